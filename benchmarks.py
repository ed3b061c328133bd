"""``python -m benchmarks`` was the name of ``craft bench``; it says so."""

import sys

if __name__ == "__main__":
    from craft.__main__ import renamed

    sys.exit(renamed("benchmarks", "bench"))
