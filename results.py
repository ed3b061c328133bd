"""``python -m results`` was the name of ``craft results``; it says so."""

import sys

if __name__ == "__main__":
    from craft.__main__ import renamed

    sys.exit(renamed("results", "results"))
