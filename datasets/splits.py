"""What a split is, and the ways to make one where a data set brings none. Random choices are made in the order in which
CoOp's readers make them, from one stream that the caller hands in, so that the same seed gives the same images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from craft.common.errors import UserError

HASH_SEED = 2024  # of ``split_by_hash``: another one would give everybody another split


class Item(NamedTuple):
    """An image before it becomes a Datum. ``path`` is relative to the data set's folder, with /."""

    path: str
    label: int
    classname: str
    domain: int = 0
    attribute: int | None = None
    group: int | None = None


@dataclass
class Split:
    """What a reader read.

    train, val, test    labelled items, in the order that few-shot draws depend on; val may be None
    train_u             unlabelled items or None; never drawn from
    draw_val            False leaves val whole when shots are drawn (ImageNet: val is the test list)
    listed              True where every path comes from a directory listing, so that it need not be looked up
    origin              one phrase for messages: the file or folder that the items come from
    """

    train: list[Item]
    val: list[Item] | None
    test: list[Item]
    train_u: list[Item] | None = None
    draw_val: bool = True
    listed: bool = False
    origin: str = "its annotations"

    def parts(self) -> dict[str, list[Item]]:
        """The parts that exist, by name."""
        named = {"train": self.train, "val": self.val, "test": self.test, "train_u": self.train_u}
        return {name: items for name, items in named.items() if items is not None}


def renumber(split: Split, labels: Mapping[int, int], keep: Callable[[Item], bool] = lambda item: True) -> Split:
    """``split`` with the items of the classes in ``labels`` (label -> its new one) that ``keep`` is true of.

    Lists that are one object (val and test may be) stay one object.
    """
    taken: dict[int, list[Item]] = {}

    def take(items: list[Item]) -> list[Item]:
        if id(items) not in taken:
            taken[id(items)] = [i._replace(label=labels[i.label]) for i in items if i.label in labels and keep(i)]
        return taken[id(items)]

    return replace(
        split,
        train=take(split.train),
        val=None if split.val is None else take(split.val),
        test=take(split.test),
        train_u=None if split.train_u is None else take(split.train_u),
    )


def seed_phrase(seed: int) -> str:
    """ "seed 3", or that there was none."""
    return f"seed {seed}" if seed >= 0 else "no seed"


# -- making a split ----------------------------------------------------------------


def split_by_class(classes: list[tuple[int, str, list[str]]], rng, p_train=0.5, p_val=0.2) -> Split:
    """50 % train, 20 % val, the rest test, of every class.

    classes     (label, class name, image paths) in the order of the draw; sizes are rounded half to even
    rng         an object with ``shuffle`` (random.Random, or the module random)

    Raises UserError where a class is too small to have an image in each part.
    """
    train, val, test = [], [], []
    for label, classname, paths in classes:
        paths = list(paths)
        rng.shuffle(paths)
        n_train, n_val = round(len(paths) * p_train), round(len(paths) * p_val)
        if min(n_train, n_val, len(paths) - n_train - n_val) < 1:
            raise UserError(f"class {classname!r} has only {len(paths)} images: too few for train, val and test")
        items = [Item(path, label, classname) for path in paths]
        train += items[:n_train]
        val += items[n_train : n_train + n_val]
        test += items[n_train + n_val :]
    return Split(train, val, test)


def split_trainval(items: list[Item], rng, p_val=0.2) -> tuple[list[Item], list[Item]]:
    """(train, val): 20 % of every label for validation, labels in the order in which they first appear."""
    train, val = [], []
    for label, members in grouped(items, lambda item: item.label).items():
        n_val = round(len(members) * p_val)
        if n_val < 1:
            raise UserError(f"label {label} ({members[0].classname!r}) has only {len(members)} images for training: "
                            "too few to put one aside for validation")  # fmt: skip
        # Shuffling positions and shuffling images take the same numbers from the stream.
        rng.shuffle(members)
        val += members[:n_val]
        train += members[n_val:]
    return train, val


def split_by_hash(items: list[Item]) -> Split:
    """50 % train, 20 % val, 30 % test of every class, domain and group, by SHA-256 of the path.

    A class of two images has one for training and one for testing; of three and more, one at least in every part.
    """
    parts: dict[str, list[Item]] = {"train": [], "val": [], "test": []}
    for members in grouped(items, lambda item: (item.label, item.domain, item.group)).values():
        members = sorted(members, key=lambda i: hashlib.sha256(f"{HASH_SEED}:{i.path}".encode()).digest())
        count = len(members)
        val = max(round(0.2 * count), 1 if count >= 3 else 0)
        test = max(round(0.3 * count), 1 if count >= 2 else 0)
        train = count - val - test
        parts["train"] += members[:train]
        parts["val"] += members[train : train + val]
        parts["test"] += members[train + val :]
    for members in parts.values():
        members.sort(key=lambda item: (item.label, item.path))
    return Split(parts["train"], parts["val"] or None, parts["test"])


def grouped(items: list[Item], key: Callable[[Item], Hashable]) -> dict[Hashable, list[Item]]:
    """The items by key, keys in the order of first appearance, items in theirs."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups
