"""A folder of images to try things on: handwritten digits, a folder a class.

python -m craft.demo.images my_images
"""

from __future__ import annotations

import sys
from pathlib import Path

from craft.common.errors import UserError, entry_point
from craft.demo.digits import NAMES, handwritten, partition

EACH = 40  # images a class


@entry_point
def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if len(words) != 1 or words[0].startswith("-"):
        print(__doc__.strip())
        return 0 if words and words[0] in ("-h", "--help") else 2
    write(Path(words[0]))
    print(f"{words[0]}: {EACH} images of each of {', '.join(NAMES)}")
    return 0


def write(folder: Path) -> None:
    """``folder/zero/0003.png`` …; UserError where there is something already."""
    from PIL import Image

    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty; give a new folder")
    images, labels = handwritten()
    chosen = partition(labels.tolist())["test"]
    for label, name in enumerate(NAMES):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in [index for index in chosen if labels[index] == label][:EACH]:
            Image.fromarray(images[index]).convert("RGB").save(folder / name / f"{index:04d}.png")


if __name__ == "__main__":
    sys.exit(main())
