"""Splits: reading and writing the json files that CoOp's data guide calls ``split_zhou_*.json``, making a split where
there is none, drawing shots, and taking base or new classes. Every random choice is made in the order in which CoOp's
readers make it, from one stream that the caller hands in, so that the same seed gives the same images."""

from __future__ import annotations

import dataclasses
import math
import os
import posixpath
import uuid
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from craft.common.errors import UserError
from craft.common.files import read_json, write_json


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


# -- split files -----------------------------------------------------------------


def read_split(path: Path, image_dir: str) -> tuple[Split, str]:
    """The split in a ``split_zhou_*.json`` and one phrase that says who made it.

    The file maps "train", "val" and "test" to lists of [image path relative to ``image_dir``, label, class name].
    Raises UserError that names the file and the entry at fault.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a split file: it should map train, val and test to lists; fetch it again")
    parts = {}
    for part in ("train", "val", "test"):
        if not isinstance(content.get(part), list):
            raise UserError(f"{path} has no list {part!r}; fetch it again")
        parts[part] = [_entry(path, f"{part}[{index}]", entry, image_dir) for index, entry in enumerate(content[part])]
    shared = {item.path for item in parts["train"]} & {item.path for item in parts["test"]}
    if shared:
        print(f"Warning: {len(shared)} image(s) of {path} are in train and in test, e.g. {min(shared)}")
    maker = content.get("made_by")
    if isinstance(maker, dict) and "seed" in maker:
        who = f"made here by an earlier run with {seed_phrase(maker['seed'])}"
    else:
        who = "no maker recorded in it: the published split, or one that CoOp's reader made"
    return Split(**parts, origin=path.name), who


def _entry(path: Path, where: str, entry, image_dir: str) -> Item:
    try:
        name, label, classname = entry
        label = int(label)
    except (TypeError, ValueError):
        raise UserError(f"{path}: {where} is {entry!r}, not [image path, label, class name]") from None
    if not isinstance(name, str) or not isinstance(classname, str):
        raise UserError(f"{path}: {where} is {entry!r}, not [image path, label, class name]")
    if label < 0:
        raise UserError(f"{path}: {where} has the label {label}; labels start at 0")
    full = posixpath.normpath(posixpath.join(image_dir, name)) if image_dir else posixpath.normpath(name)
    if full.startswith(("/", "../")) or (image_dir and not full.startswith(image_dir + "/")):
        raise UserError(f"{path}: {where} names {name!r}, which lies outside {image_dir or 'the data set'}")
    return Item(full, label, classname)


def publish_split(path: Path, split: Split, image_dir: str, seed: int) -> bool:
    """Write a split that was made here, unless another process has just written one: then False, and theirs counts.

    Raises UserError where the folder cannot be written.
    """
    prefix = f"{image_dir}/" if image_dir else ""
    content: dict = {
        part: [[item.path.removeprefix(prefix), item.label, item.classname] for item in split.parts()[part]]
        for part in ("train", "val", "test")
    }
    content["made_by"] = {"seed": seed, "note": "made by a reader because no published split was there"}
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    write_json(scratch, content, indent=None)
    try:
        os.link(scratch, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return True


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


# -- shots and classes -------------------------------------------------------------


def grouped(items: list[Item], key: Callable[[Item], Hashable]) -> dict[Hashable, list[Item]]:
    """The items by key, keys in the order of first appearance, items in theirs."""
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def draw(items: list[Item], shots: int, rng, key: Callable[[Item], Hashable]) -> list[Item]:
    """``shots`` items of every key, without repetition; a key with fewer gives all it has."""
    drawn = []
    for members in grouped(items, key).values():
        drawn += rng.sample(members, shots) if len(members) >= shots else members
    return drawn


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
    taken: dict[int, list[Item]] = {}

    def take(items: list[Item] | None) -> list[Item] | None:
        if items is None:
            return None
        if id(items) not in taken:
            taken[id(items)] = [i._replace(label=renumbered[i.label]) for i in items if i.label in renumbered]
        return taken[id(items)]

    return dataclasses.replace(
        split, train=take(split.train), val=take(split.val), test=take(split.test), train_u=take(split.train_u)
    )
