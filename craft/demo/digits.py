"""scikit-learn's handwritten digits: the real images that the demonstration has, and how they are parted.

The partition is a function of a seed and nothing else, the same on every machine and version.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEMPLATE = "a photo of the digit {}."
SIZE = 32
SPLIT_SEED = 2024
SHARES = {"train": 0.4, "val": 0.2, "test": 0.4}


@functools.cache
def handwritten() -> tuple[np.ndarray, np.ndarray]:
    """``(images, labels)``: uint8 [1797, 32, 32], light strokes on black, and int64 [1797]."""
    # Slow to import, and only needed when images are written: readers of digits are declared without them.
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    raw = load_digits()
    levels = np.round(raw.images * (255 / 16)).astype(np.uint8)
    images = [np.asarray(Image.fromarray(level).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for level in levels]
    return np.stack(images), raw.target


def partition(labels: list[int], seed: int = SPLIT_SEED) -> dict[str, list[int]]:
    """Indexes of the images of each part, stratified by class, ascending in (class, index).

    The order within a class is that of SHA-256 over seed and index: the same on every machine and version.
    """
    parts: dict[str, list[int]] = {name: [] for name in SHARES}
    for label in sorted(set(labels)):
        members = [index for index, other in enumerate(labels) if other == label]
        members.sort(key=lambda index: hashlib.sha256(f"{seed}:{index}".encode()).digest())
        train = round(SHARES["train"] * len(members))
        val = train + round(SHARES["val"] * len(members))
        parts["train"] += sorted(members[:train])
        parts["val"] += sorted(members[train:val])
        parts["test"] += sorted(members[val:])
    return parts
