"""Digests that say which split, class names and shots a run had, so that two people can prove that theirs are the same.

All are the first 16 hex digits of a SHA-256. An image is known by its path relative to the data set's folder (with /)
and its label, so that no digest depends on where the data lie. Order counts only where something depends on it:

- `in_order` of a list, for the training and validation lists of a split: a few-shot draw depends on their order.
- `members` of a list, for test lists and few-shot lists: the same images in another order are the same.
- `of_split` puts the three parts together.
- `craft.runs.identity.names_digest` is of class names in the order of their labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from craft.common.files import digest_json
from craft.datasets.splits import Item, Split

PARTS = ("train", "val", "test")


def in_order(items: Iterable[Item]) -> str:
    """Of ``path<TAB>label`` lines in the order of ``items``."""
    state = hashlib.sha256()
    for item in items:
        state.update(f"{item.path}\t{item.label}\n".encode("utf-8", errors="surrogateescape"))
    return state.hexdigest()[:16]


def members(items: Iterable[Item]) -> str:
    """`in_order` of the sorted items: the same for the same images with the same labels, whatever their order."""
    return in_order(sorted(items, key=lambda item: (item.path, item.label)))


def of_parts(split: Split) -> dict[str, str]:
    """{"train": …, "val": …, "test": …}: `in_order` of train and val ("" where there is none), `members` of test."""
    val = "" if split.val is None else in_order(split.val)
    return {"train": in_order(split.train), "val": val, "test": members(split.test)}


def of_split(parts: dict[str, str]) -> str:
    """The digest of a split whose parts have these digests (`of_parts`)."""
    return digest_json(parts)[:16]


def class_names(split: Split) -> list[str]:
    """The names of the classes in the order of their labels."""
    names = {item.label: item.classname for item in split.train}
    return [names[label] for label in sorted(names)]
