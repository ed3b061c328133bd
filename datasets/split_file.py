"""The base of the benchmarks that come with a ready-made split file, and reading and writing such files, which CoOp's
data guide calls ``split_zhou_*.json``. Where the file is missing, a split is made from the raw annotations as CoOp's
readers make it, and saved under the same name, so that later runs (and CoOp itself) read it."""

from __future__ import annotations

import os
import posixpath
import random
import uuid
from collections.abc import Mapping
from pathlib import Path

from craft.common.errors import UserError
from craft.common.files import read_json, write_json
from craft.datasets import listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.splits import Item, Split, seed_phrase, split_by_class, split_trainval

MADE_HERE = "made here"


class SplitFileDataset(PromptDataset):
    """Base of readers with a split file; subclasses set ``image_dir``, ``split_file`` and write ``make_split``.

    image_dir       folder that paths in the split file are relative to, below the data set's folder; may be ""
    split_file      name of the split file in the data set's folder
    """

    image_dir: str = ""
    split_file: str = ""
    made: bool = False

    def split_paths(self) -> list[Path]:
        """Where a split file is looked for, best first."""
        paths = [self.folder / self.split_file]
        if self.cfg.DATASET.CACHE_DIR:
            paths.append(self.caches.places[0] / self.split_file)
        return paths

    def split_ready(self) -> bool:
        return any(path.is_file() for path in self.split_paths())

    def read(self) -> Split:
        for path in self.split_paths():
            if path.is_file():
                split, who = read_split(path, self.image_dir)
                self.made_here = who.startswith(MADE_HERE)
                print(f"{self.name}: reading the split {path} ({who})")
                return split
        origin = next((f.origin for f in self.files if f.role == "split"), "its authors")
        print(
            f"{self.name}: there is no {self.split_file} (it comes from {origin}); making a split with "
            f"{seed_phrase(self.cfg.SEED)}, which is not the one that published numbers stand on"
        )
        self.made = self.made_here = True
        return self.make_split()

    def make_split(self) -> Split:
        """A split of the raw data, drawn from ``self.rng``."""
        raise NotImplementedError

    def settle(self, split: Split) -> Split:
        """Save a split that was made here, now that it has passed the checks; a concurrent run's wins."""
        if not self.made:
            return split
        path = self.split_paths()[-1]
        try:
            first = publish_split(path, split, self.image_dir, self.cfg.SEED)
        except UserError:
            print(
                f"{self.name}: {path.parent} cannot be written, so the split is not saved: each seed makes its own, "
                "the same in every run. DATASET.CACHE_DIR names a folder to share one split between seeds"
            )
            return split
        if first:
            print(f"{self.name}: saved the split as {path}; runs with other seeds will use it too")
            return split
        if self.cfg.SEED >= 0:
            self.rng = random.Random(self.cfg.SEED)  # as every run does that finds a split
        split = self.read()
        self.check_labels(split)
        return split

    # -- ways to make a split ----------------------------------------------------

    def split_folders(self, ignored: tuple[str, ...] = (), names: Mapping[str, str] | None = None) -> Split:
        """50/20/30 of every class folder of ``image_dir``; labels follow the sorted folder names.

        ``names`` maps folders to class names where they differ.
        """
        base = self.folder / self.image_dir
        classes: list[tuple[int, str, list[str]]] = []
        for folder in listing.subfolders(base):
            if folder not in ignored:
                paths = [f"{self.image_dir}/{folder}/{name}" for name in listing.class_images(base / folder)]
                classes.append((len(classes), (names or {}).get(folder, folder), paths))
        split = split_by_class(classes, self.rng)
        split.listed, split.origin = True, f"the folders of {self.image_dir}"
        return split

    def split_lists(self, trainval: list[Item], test: list[Item], origin: str) -> Split:
        """The given test list, and the given training list less 20 % of every class for validation."""
        train, val = split_trainval(trainval, self.rng)
        return Split(train, val, test, origin=origin)


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
        who = f"{MADE_HERE} by an earlier run with {seed_phrase(maker['seed'])}"
    else:
        who = "no maker recorded in it: the published split, or one that CoOp's reader made"
    return Split(parts["train"], parts["val"], parts["test"], origin=path.name), who


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
