"""``python -m datasets`` was the name of ``craft data``; it says so."""

import sys

if __name__ == "__main__":
    from craft.__main__ import renamed

    sys.exit(renamed("datasets", "data"))
