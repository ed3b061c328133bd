"""Base and new classes: the first half of the labels and the rest, as base-to-new protocols take them."""

from __future__ import annotations

import math

from craft.common.errors import UserError
from craft.datasets.splits import Split, renumber


def take_classes(split: Split, subset: str) -> Split:
    """All classes, or the first half of the labels (``base``, rounded up), or the rest (``new``), renumbered from 0.

    The labels of train decide which half a class is in. Lists that are one object stay one object.
    """
    if subset not in ("all", "base", "new"):
        raise UserError(f"DATASET.SUBSAMPLE_CLASSES is {subset!r}; it can be all, base or new")
    if subset == "all":
        return split
    labels = sorted({item.label for item in split.train})
    middle = math.ceil(len(labels) / 2)
    chosen = labels[:middle] if subset == "base" else labels[middle:]
    if not chosen:
        raise UserError("DATASET.SUBSAMPLE_CLASSES is 'new', but with one class there is no second half")
    renumbered = {label: number for number, label in enumerate(chosen)}
    print(f"Taking the {len(chosen)} {subset} classes of {len(labels)}")
    return renumber(split, renumbered)
