"""``DigitsGroups``: handwritten digits on a coloured ground, even or odd; the ground goes with the class for 95 % of
the training images and for half of the others. The embedded default's Waterbirds, from the parts of ``Digits``."""

from __future__ import annotations

from pathlib import Path

from craft.datasets.generated import generated_folder
from craft.datasets.groups import GroupDataset
from craft.datasets.listing import image_names
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts
from craft.datasets.splits import Item, Split
from craft.demo.digits import SIZE, SPLIT_SEED, handwritten, partition

CLASSES = ("even", "odd")
GROUNDS = {"blue": (30, 70, 170), "red": (165, 40, 35)}
# As many even digits as each part of Digits has; the other sizes follow in Waterbirds' proportions (3498 : 184 : 56 :
# 1057 in training, 2255 : 2255 : 642 : 642 in test). The digits that remain are not used.
SIZES = {"train": (338, 18, 5, 102), "val": (88, 88, 25, 25), "test": (177, 177, 50, 50)}


def write_groups(folder: Path) -> None:
    """Write ``PART/CLASS/GROUND/INDEX.png``; every digit is used once at most."""
    import numpy as np
    from PIL import Image

    images, labels = handwritten()
    for part, indexes in partition(labels.tolist()).items():
        for label, classname in enumerate(CLASSES):
            of_class = [index for index in indexes if labels[index] % 2 == label]
            # Parts are sorted by digit; a fixed shuffle puts every digit on both grounds.
            order = iter(np.random.RandomState(SPLIT_SEED).permutation(of_class))
            for ground, count in zip(GROUNDS, SIZES[part][2 * label : 2 * label + 2]):
                place = folder / part / classname / ground
                place.mkdir(parents=True)
                for _ in range(count):
                    index = next(order)
                    ink = images[index][..., None] / 255.0
                    pixels = np.asarray(GROUNDS[ground]) * (1 - ink) + 255 * ink
                    Image.fromarray(np.rint(pixels).astype(np.uint8)).save(place / f"{index:04d}.png")


@register_reader
class DigitsGroups(GroupDataset):
    """Even or odd handwritten digits on blue or red.

    Splits: 463 train, 226 val, 454 test. Label: even, odd. Attribute: ground (0 blue, 1 red).
    Group: 2 * label + ground. A model that looks at the ground alone is right on 95 % of the training images, on
    half of the test images, and on none of two groups.
    """

    template = "a photo of an {} digit."
    generated = True
    group_names = [f"{classname} on {ground}" for classname in CLASSES for ground in GROUNDS]
    expected = Counts(2, *(sum(sizes) for sizes in SIZES.values()))
    expected_groups = SIZES

    @classmethod
    def locate(cls, cfg) -> Path:
        recipe = {
            "name": "DigitsGroups",
            "version": 1,
            "size": SIZE,
            "split_seed": SPLIT_SEED,
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
