"""``DigitsGroups``: handwritten threes and eights on a coloured ground, which goes with the class for 95 % of the
training images and for half of the others. The embedded default's Waterbirds, from the parts of ``Digits``.

The demonstration backbone tells the digits apart (81 % of the validation images), but takes eights on yellow, where
white ink is hard to see, for threes. Tuning on images whose eights are on yellow mends that at the cost of threes on
yellow, which hardly any run sees: 95 % of them before, 49 to 62 % after CoOp with 16 shots. That, on validation images,
chose the two digits and grounds, out of seven pairs of digits and five of grounds.
"""

from __future__ import annotations

from pathlib import Path

from craft.datasets.generated import generated_folder
from craft.datasets.groups import GroupDataset
from craft.datasets.listing import image_names
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts
from craft.datasets.splits import Item, Split
from craft.demo.digits import SIZE, SPLIT_SEED, TEMPLATE, handwritten, partition

CLASSES = {"three": 3, "eight": 8}
GROUNDS = {"blue": (30, 70, 170), "yellow": (200, 170, 20)}
# Of each class 5 % are on the other ground in training, as on Waterbirds; val and test have every digit on both.
SIZES = {"train": (69, 4, 4, 66), "val": (37, 37, 35, 35), "test": (73, 73, 69, 69)}


def write_groups(folder: Path) -> None:
    """Write ``PART/CLASS/GROUND/INDEX.png``."""
    import numpy as np
    from PIL import Image

    images, labels = handwritten()
    for part, indexes in partition(labels.tolist()).items():
        for label, (classname, digit) in enumerate(CLASSES.items()):
            of_class = np.array([index for index in indexes if labels[index] == digit])
            order = np.random.RandomState(SPLIT_SEED).permutation(of_class)
            sizes = SIZES[part][2 * label : 2 * label + 2]
            on_ground = np.split(order, [sizes[0]]) if part == "train" else [order] * len(sizes)
            for ground, chosen in zip(GROUNDS, on_ground):
                place = folder / part / classname / ground
                place.mkdir(parents=True)
                for index in chosen:
                    ink = images[index][..., None] / 255.0
                    pixels = np.asarray(GROUNDS[ground]) * (1 - ink) + 255 * ink
                    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(place / f"{index:04d}.png")


@register_reader
class DigitsGroups(GroupDataset):
    """Handwritten threes and eights on blue or yellow.

    Splits: 143 train, 144 val, 284 test. Label: three, eight. Attribute: ground (0 blue, 1 yellow).
    Group: 2 * label + ground. A model that looks at the ground alone is right on 94 % of the training images, on
    half of the test images, and on none of two groups.
    """

    template = TEMPLATE
    generated = True
    group_names = [f"{classname} on {ground}" for classname in CLASSES for ground in GROUNDS]
    expected = Counts(2, *(sum(sizes) for sizes in SIZES.values()))
    expected_groups = SIZES

    @classmethod
    def locate(cls, cfg) -> Path:
        recipe = {
            "name": "DigitsGroups",
            "version": 2,
            "size": SIZE,
            "split_seed": SPLIT_SEED,
            "classes": CLASSES,
            "sizes": SIZES,
            "grounds": GROUNDS,
        }
        return generated_folder("digits_groups", cfg.DATASET.ROOT, recipe, write_groups)

    def read(self) -> Split:
        parts = {
            part: [
                Item(f"{part}/{name}/{ground}/{file}", label, name, attribute=place, group=2 * label + place)
                for label, name in enumerate(CLASSES)
                for place, ground in enumerate(GROUNDS)
                for file in image_names(self.folder / part / name / ground)
            ]
            for part in SIZES
        }
        return Split(parts["train"], parts["val"], parts["test"], listed=True, origin="the generated digits")
