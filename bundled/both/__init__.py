"""What ``bundled/dassl`` uses and ``craft.bundled.upstream`` puts in place of upstream's: files, logs and errors."""
