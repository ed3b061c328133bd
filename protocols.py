"""``python -m protocols`` was the name of ``craft sweep``; it says so."""

import sys

if __name__ == "__main__":
    from craft.__main__ import renamed

    sys.exit(renamed("protocols", "sweep"))
