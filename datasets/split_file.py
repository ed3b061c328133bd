"""The base of the benchmarks that come with a ready-made split file, and reading and writing such files, which CoOp's
data guide calls ``split_zhou_*.json``. Where the file is missing, a split is made from the raw annotations as CoOp's
readers make it, and saved under the same name, so that later runs (and CoOp itself) read it."""

from __future__ import annotations

import os
import posixpath
import uuid
from collections.abc import Mapping
from pathlib import Path

from craft.common.errors import UserError
from craft.common.files import digest_json, read_json, write_json
from craft.config.rules import is_text
from craft.datasets import caches, digests, listing, published
from craft.datasets.annotations import whole_number
from craft.datasets.prompt_dataset import PromptDataset, stream
from craft.datasets.splits import Item, Split, seed_phrase, split_by_class, split_trainval

MADE_HERE = "made here"


class SplitFileDataset(PromptDataset):
    """Base of readers with a split file; subclasses set ``image_dir``, ``split_file`` and write ``make_split``.

    image_dir       folder that paths in the split file are relative to, below the data set's folder; may be ""
    split_file      name of the split file in the data set's folder
    published_seed  the seed that makes the published split of the raw annotations, where it can be made; a split is
                    then always made with it. Elsewhere the published draw depended on the order in which somebody's
                    disk listed its files, which no seed brings back
    """

    image_dir: str = ""
    split_file: str = ""
    published_seed: int | None = None
    made: bool = False
    maker: str = ""  # who made the split, "" where nobody knows
    made_earlier: Path | None = None  # the split file, where a run here made it

    @property
    def made_with(self) -> int:
        """The seed that a split is made with where there is none."""
        return self.cfg.SEED if self.published_seed is None else self.published_seed

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
                split, self.maker = read_split(path, self.image_dir)
                self.made_earlier = path if self.maker.startswith(MADE_HERE) else None
                found = self.standing(split, digests.of_parts(split))
                print(f"{self.name}: reading the split {path} ({found.words or 'its maker is not known'})")
                if self.maker and found.same is False and self.published_seed is not None:
                    print(f"{self.name}: delete {path} to have the published split made from the annotations")
                return split
        origin = next((f.origin for f in self.files if f.role == "split"), "its authors")
        absent = f"{self.name}: there is no {self.split_file} (it comes from {origin}); making"
        if self.published_seed is None:
            print(
                f"{absent} a split with {seed_phrase(self.cfg.SEED)}, which is not the one that published numbers "
                "stand on: that cannot be made anew"
            )
        else:
            print(f"{absent} it from the annotations with {seed_phrase(self.published_seed)}, as it was published")
        self.made, self.maker = True, f"made by this run with {seed_phrase(self.made_with)}"
        self.rng = stream(self.made_with)
        split = self.make_split()
        self.rng = stream(self.cfg.SEED)  # shots are then drawn as by every run that finds the split
        return split

    def remedy(self) -> str:
        if self.made_earlier is None:
            return ""
        return (
            f"The split was made here, of the images that were there then; if more are there now, delete "
            f"{self.made_earlier}, and the next run makes it anew. "
        )

    def make_split(self) -> Split:
        """A split of the raw data, drawn from ``self.rng``."""
        raise NotImplementedError

    def standing(self, split: Split, parts: dict[str, str]) -> published.Standing:
        found = super().standing(split, parts)
        return found._replace(words="; ".join(filter(None, (found.words, self.maker))))

    def settle(self, split: Split) -> Split:
        """Save a split that was made here, now that it has passed the checks; a concurrent run's wins."""
        if not self.made:
            return split
        if self.published_seed is not None:
            same, words = published.standing(self.name, split)
            words = words or (
                "compared with no digest, as that of the published file is not known; all positions of it that are "
                "known agree with a split made this way"
            )
            print(f"{'Warning: ' if same is False else ''}{self.name}: the split that was made is {words}")
        if not caches.keeps():
            return split
        path = self.split_paths()[-1]
        try:
            first = publish_split(path, split, self.image_dir, self.made_with)
        except UserError:
            own = "each seed makes its own, the same in every run. DATASET.CACHE_DIR names a folder to share one"
            every = "every run makes it anew. DATASET.CACHE_DIR names a folder to keep it"
            print(
                f"{self.name}: {path.parent} cannot be written, so the split is not saved: "
                + (own if self.published_seed is None else every)
            )
            return split
        if first:
            print(f"{self.name}: saved the split as {path}; runs with other seeds will use it too")
            return split
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
    """The split in a ``split_zhou_*.json`` and one phrase that says who made it, "" where nothing is recorded.

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
        listed = {part: content[part] for part in ("train", "val", "test")}
        if "sha256" in maker and maker["sha256"] != digest_json(listed):
            raise UserError(
                f"{path} is not what the run that made it wrote (damaged or edited): delete it and the next run makes "
                "it anew, or take made_by out of it to have it read as it is"
            )
        who = f"{MADE_HERE} by an earlier run with {seed_phrase(maker['seed'])}"
    else:
        who = ""  # published, or made by CoOp's reader: its digest knows more
    return Split(parts["train"], parts["val"], parts["test"], origin=path.name), who


def _entry(path: Path, where: str, entry, image_dir: str) -> Item:
    try:
        name, label, classname = entry
    except (TypeError, ValueError):
        name = label = classname = None
    texts = isinstance(name, str) and isinstance(classname, str) and is_text(name) and is_text(classname)
    if not texts:
        raise UserError(f"{path}: {where} is {_short(entry)}, not [image path, label, class name]")
    label = _label(f"{path}: {where}", label)
    name = name.replace("\\", "/")  # written on Windows
    full = posixpath.normpath(posixpath.join(image_dir, name)) if image_dir else posixpath.normpath(name)
    if full.startswith("/") or full in (".", "..") or full.startswith("../") or "\0" in full:
        raise UserError(f"{path}: {where} names {name!r}, which lies outside {image_dir or 'the data set'}")
    if image_dir and not full.startswith(image_dir + "/"):
        raise UserError(f"{path}: {where} names {name!r}, which lies outside {image_dir}")
    return Item(full, label, classname)


def _label(where: str, label) -> int:
    """A label as whole number; what other programs write for one (``3.0``, ``"3"``) counts, a fraction does not."""
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    elif isinstance(label, str):
        return whole_number(where, "the label", label)
    if isinstance(label, bool) or not isinstance(label, int):
        raise UserError(f"{where} has the label {_short(label)}; labels are whole numbers from 0")
    if label < 0:
        raise UserError(f"{where} has the label {_short(label)}; labels start at 0")
    return label


def _short(value) -> str:
    """A value for a message, which stays one line of a readable length."""
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def publish_split(path: Path, split: Split, image_dir: str, seed: int) -> bool:
    """Write a split that was made here, unless another process has just written one: then False, and theirs counts.

    Raises UserError where the folder cannot be written.
    """
    prefix = f"{image_dir}/" if image_dir else ""
    content: dict = {
        part: [[item.path.removeprefix(prefix), item.label, item.classname] for item in split.parts()[part]]
        for part in ("train", "val", "test")
    }
    note = "made by a reader because no published split was there"
    content["made_by"] = {"seed": seed, "note": note, "sha256": digest_json(content)}
    scratch = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    write_json(scratch, content, indent=None)
    try:
        os.link(scratch, path)  # unlike a rename, fails where the name is taken
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if path.exists():
            return False
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
    return True
