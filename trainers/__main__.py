"""``python -m trainers`` was the name of ``python -m craft.trainers.describe``; it says so."""

import sys

if __name__ == "__main__":
    print("`python -m trainers` is now `python -m craft.trainers.describe`", file=sys.stderr)
    sys.exit(2)
