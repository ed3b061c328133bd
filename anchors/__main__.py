"""``python -m anchors`` in a clone: the same as ``craft anchors``."""

import sys

from craft.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["anchors", *sys.argv[1:]]))
