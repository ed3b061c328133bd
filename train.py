"""Train and evaluate: ``python train.py --trainer CoOpCraft …``. Everything is in `craft.trainers.launch`."""

import sys

from craft.trainers.launch import main

if __name__ == "__main__":
    sys.exit(main())
