"""``Digits``: scikit-learn's 1,797 handwritten digits (8x8, UCI), the real images of the embedded default.

Nothing is downloaded: the images come with scikit-learn and are written once as 32x32 PNG. Every digit belongs to
one fixed part (train 40 %, val 20 %, test 40 % of each class), which depends on neither the run's seed nor any
library's random generator, and the other sets made of these digits (``DigitsShift``, ``DigitsGroups``) keep to the
same parts: what is a test image in one of them is a training image in none.
"""

from __future__ import annotations

from pathlib import Path

from craft.datasets.generated import generated_folder
from craft.datasets.listing import image_names
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts
from craft.datasets.splits import Item, Split
from craft.demo.digits import NAMES, SHARES, SIZE, SPLIT_SEED, TEMPLATE, handwritten, partition


def write_digits(folder: Path) -> None:
    """Write every digit as ``PART/NAME/INDEX.png``: a tree of split folders of class folders."""
    from PIL import Image

    images, labels = handwritten()
    for part, indexes in partition(labels.tolist()).items():
        for index in indexes:
            path = folder / part / NAMES[labels[index]] / f"{index:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[index]).convert("RGB").save(path)


def digits_folder(root: str = "") -> Path:
    """Where the images are; they are written first if need be."""
    recipe = {"name": "Digits", "version": 1, "size": SIZE, "split_seed": SPLIT_SEED, "shares": SHARES}
    return generated_folder("digits", root, recipe, write_digits)


def digits_parts(folder: Path) -> dict[str, list[Item]]:
    """The digits of each part as items with paths relative to ``folder``, in the order of class and index."""
    return {
        part: [
            Item(f"{part}/{name}/{file}", label, name)
            for label, name in enumerate(NAMES)
            for file in image_names(folder / part / name)
        ]
        for part in SHARES
    }


@register_reader
class Digits(PromptDataset):
    """Handwritten digits, zero to nine; the base classes are 0-4, the new ones 5-9.

    1,797 grey images of 43 writers' digits (E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits",
    UCI Machine Learning Repository, 1998, CC BY 4.0), the part of them that scikit-learn carries.
    """

    template = TEMPLATE
    expected = Counts(10, 719, 359, 719)
    generated = True

    @classmethod
    def locate(cls, cfg) -> Path:
        return digits_folder(cfg.DATASET.ROOT)

    def read(self) -> Split:
        parts = digits_parts(self.folder)
        return Split(parts["train"], parts["val"], parts["test"], listed=True, origin="scikit-learn's digits")
