"""What ``bundled/dassl`` uses and ``bundled.upstream`` puts in place of upstream's: files, logs and errors."""
