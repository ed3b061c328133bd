"""What is left of a split where not all of its images are there, and DATASET.ALLOW_SUBSET goes on with the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from craft.datasets.splits import Item, Split


def without(split: Split, gone: Collection[str]) -> Split:
    """``split`` less the images whose paths are in ``gone``, and less the classes that have no training image then,
    whose labels the following ones take. Lists that are one object stay one object."""
    gone = set(gone)
    left = sorted({item.label for item in split.train if item.path not in gone})
    renumbered = {label: number for number, label in enumerate(left)}
    taken: dict[int, list[Item]] = {}

    def take(items: list[Item]) -> list[Item]:
        if id(items) not in taken:
            taken[id(items)] = [
                item._replace(label=renumbered[item.label])
                for item in items
                if item.path not in gone and item.label in renumbered
            ]
        return taken[id(items)]

    return dataclasses.replace(
        split,
        train=take(split.train),
        val=None if split.val is None else take(split.val),
        test=take(split.test),
        train_u=None if split.train_u is None else take(split.train_u),
    )
