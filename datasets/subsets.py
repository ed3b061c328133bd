"""What is left of a split where not all of its images are there, and DATASET.ALLOW_SUBSET goes on with the rest."""

from __future__ import annotations

from collections.abc import Collection

from craft.datasets.splits import Split, renumber


def without(split: Split, gone: Collection[str]) -> Split:
    """``split`` less the images whose paths are in ``gone``, and less the classes that have no training image then,
    whose labels the following ones take. Lists that are one object stay one object."""
    gone = set(gone)
    left = sorted({item.label for item in split.train if item.path not in gone})
    renumbered = {label: number for number, label in enumerate(left)}
    return renumber(split, renumbered, lambda item: item.path not in gone)
