"""Few-shot lists as files: those that others published, to train on their very shots, and ours for others.

Two forms are read and written. JSON, one file for both lists: ``{"train": {"data": [{"impath": …, "label": …,
"classname": …}, …]}, "val": …}`` (also without "data", and with [path, label, class name] for an image). JSONL, a file
for each list, ``NAME_train.jsonl`` and ``NAME_val.jsonl``: lines ``{"_impath": …, "_label": …, "_domain": …,
"_classname": …}``. Paths may begin anywhere: an image is known by the end of its path.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from craft.common.errors import UserError
from craft.common.files import read_json, write_text
from craft.datasets import digests
from craft.datasets.annotations import read_lines
from craft.datasets.splits import Item, Split


class Listed(NamedTuple):
    """An image in a file. where: its place there, for messages. classname: None where the file has none."""

    where: str
    path: str
    label: int
    classname: str | None


# -- reading -------------------------------------------------------------------------------


def read(path: Path) -> dict[str, list[Listed]]:
    """{"train": …} and "val" where the file (or the one beside it) has such a list. UserError that names the place."""
    if path.suffix.lower() == ".json":
        return _read_json(path)
    if path.suffix.lower() == ".jsonl":
        train = path if path.is_file() else path.with_name(f"{path.stem}_train.jsonl")
        found = {"train": _read_jsonl(train)}
        val = train.with_name(f"{train.stem.removesuffix('_train')}_val.jsonl")
        if train.stem.endswith("_train") and val.is_file():
            found["val"] = _read_jsonl(val)
        return found
    pickled = " (a pickle may run any code: let its authors' code write it as JSON)" if "pkl" in path.suffix else ""
    raise UserError(f"DATASET.FEWSHOT_FILE {path}: a few-shot list is a .json or .jsonl file{pickled}")


def _read_json(path: Path) -> dict[str, list[Listed]]:
    content = read_json(path)
    found = {}
    for part in ("train", "val"):
        listed = content.get(part) if isinstance(content, dict) else None
        if isinstance(listed, dict):
            listed = listed.get("data")
        if isinstance(listed, list):
            found[part] = [_entry(f"{path}, {part}[{number}]", entry) for number, entry in enumerate(listed)]
        elif part == "train":
            raise UserError(f"{path} is no few-shot list: it has no list of images under 'train'")
    return found


def _read_jsonl(path: Path) -> list[Listed]:
    found = []
    for number, line in read_lines(path):
        try:
            entry = json.loads(line)
        except ValueError:
            raise UserError(f"{path}, line {number} is not JSON") from None
        found.append(_entry(f"{path}, line {number}", entry))
    return found


def _entry(where: str, entry) -> Listed:
    if isinstance(entry, dict):
        entry = [entry.get(name, entry.get(f"_{name}")) for name in ("impath", "label", "classname")]
    if not isinstance(entry, list) or len(entry) not in (2, 3):
        raise UserError(f"{where}: {entry!r} is no image; it should have impath, label and classname")
    path, label, classname = entry if len(entry) == 3 else (*entry, None)
    right = isinstance(path, str) and path and type(label) is int and (classname is None or isinstance(classname, str))
    if not right:
        raise UserError(f"{where}: {entry!r} is no image; it should have impath, label and classname")
    return Listed(where, path, label, classname)


# -- taking a file's shots -----------------------------------------------------------------


def place(cfg, folder: Path) -> Path:
    """The file that DATASET.FEWSHOT_FILE names, {shots} and {seed} filled in; below ``folder`` where it is not found as
    it stands."""
    node = cfg.DATASET
    text = node.FEWSHOT_FILE.replace("{shots}", str(node.NUM_SHOTS)).replace("{seed}", str(cfg.SEED))
    path = Path(os.path.expanduser(text))
    for candidate in (path, folder / path):
        if any(c.is_file() for c in (candidate, candidate.with_name(f"{candidate.stem}_train.jsonl"))):
            return candidate
    raise UserError(f"DATASET.FEWSHOT_FILE: there is no file {path}, nor one below {folder}")


def taken(dataset, split: Split) -> tuple[Split, str]:
    """(``split`` with the images that DATASET.FEWSHOT_FILE lists, how they are to be called).

    A file without a list "val" gives no validation images, unless those are the test images (ImageNet) or SHOTS_VAL is
    "all". UserError where the file is of another data set or split, numbers the classes otherwise, lists test images,
    or has another number of shots than NUM_SHOTS.
    """
    node = dataset.cfg.DATASET
    path = place(dataset.cfg, dataset.folder)
    listed = read(path)
    lookup = _Lookup(dataset, split)
    found = {part: lookup.items(path, entries) for part, entries in listed.items()}
    _check_parts(dataset.name, path, split, found)
    most = _check_shots(path, split, found["train"], node.NUM_SHOTS)
    twice = [item.path for item, count in Counter(found["train"]).items() if count > 1]
    if twice:
        print(f"Note: {path} lists {len(twice)} image(s) more than once, e.g. {twice[0]}")
    val = found.get("val", split.val if not split.draw_val else None)
    if node.SHOTS_VAL == "all" and split.val is not None:
        val = split.val if split.val is split.test else _without(split.val, found["train"])
    chosen = dataclasses.replace(split, train=found["train"], val=val)
    print(
        f"Few-shot images: the list {path}, at most {most} a class, {len(chosen.train)} in all; its digest is "
        f"{digests.members(chosen.train)}"
    )
    return chosen, f"the list {path.name}, at most {most} a class"


def _without(items: list[Item], others: Iterable[Item]) -> list[Item]:
    gone = set(others)
    return items if gone.isdisjoint(items) else [item for item in items if item not in gone]


class _Lookup:
    """The images of a split by the ends of their paths."""

    def __init__(self, dataset, split: Split):
        self.name = dataset.name
        below = f"{dataset.image_dir}/" if getattr(dataset, "image_dir", "") else ""
        parts = [part for part in (split.test, split.val, split.train) if part is not None]
        self.known = {item.path: item for part in parts for item in part}
        if below:  # as split files name them, unless that is another image's whole path
            self.known = {path.removeprefix(below): item for path, item in self.known.items()} | self.known

    def find(self, path: str) -> Item | None:
        """The image whose path is ``path`` or its longest ending that there is."""
        words = [word for word in path.replace("\\", "/").split("/") if word not in ("", ".")]
        endings = ("/".join(words[start:]) for start in range(len(words)))
        return next((self.known[ending] for ending in endings if ending in self.known), None)

    def items(self, file: Path, entries: list[Listed]) -> list[Item]:
        """The images of a file's list, as our split has them."""
        found = [self.find(entry.path) for entry in entries]
        gone = [entry for entry, item in zip(entries, found) if item is None]
        if entries and len(gone) == len(entries):
            raise UserError(
                f"{file}: none of its {len(entries)} images is one of {self.name}, e.g. {gone[0].path}: it is the list "
                "of another data set"
            )
        if gone:
            raise UserError(
                f"{gone[0].where}: there is no image {gone[0].path} in {self.name} ({len(gone)} of {len(entries)} are "
                "missing); complete the data set, or take the list that belongs to its split"
            )
        there = [item for item in found if item is not None]
        for entry, item in zip(entries, there):
            if entry.label != item.label:
                raise UserError(
                    f"{entry.where}: {entry.path} has the label {entry.label}, in {self.name} it has {item.label} "
                    f"({item.classname!r}): the file numbers the classes otherwise"
                )
        other = {
            item.label: (entry.classname, item.classname)
            for entry, item in zip(entries, there)
            if entry.classname is not None and _plain(entry.classname) != _plain(item.classname)
        }
        if other:
            label, (theirs, ours) = next(iter(other.items()))
            print(
                f"Warning: {file} has other names for {len(other)} classes, e.g. {theirs!r} for label {label}, here "
                f"{ours!r}. Images and labels are the same; prompts are made of the names here"
            )
        return there


def _plain(name: str) -> str:
    """As CLIP reads a name: without case, underscores as spaces."""
    return " ".join(name.replace("_", " ").split()).casefold()


def _check_parts(name: str, path: Path, split: Split, found: dict[str, list[Item]]) -> None:
    """Nothing is trained on that is tested or validated on; UserError says which image is."""
    test = set(split.test)
    tested = [item for item in found["train"] if item in test]
    if split.val is not split.test:
        tested += [item for item in found.get("val", ()) if item in test]
    if tested:
        raise UserError(
            f"{path} lists {len(tested)} test image(s) of {name}, e.g. {tested[0].path}: it belongs to another split"
        )
    both = set(found["train"]) & set(found.get("val", ()))
    if both:
        raise UserError(f"{path} lists {len(both)} image(s) in train and in val, e.g. {min(both).path}")
    trained = set(split.train)
    moved = sum(item not in trained for item in found["train"])
    if moved:
        print(f"Note: {moved} of the training images that {path} lists are validation images of the split here")


def _check_shots(path: Path, split: Split, train: list[Item], shots: int) -> int:
    """The most images that a class has; UserError for a class without one, and where that is not ``shots``."""
    counts = Counter(item.label for item in train)
    names = {item.label: item.classname for item in split.train}
    bare = [label for label in sorted(names) if label not in counts]
    if bare:
        raise UserError(
            f"{path} has no training image of {len(bare)} of {len(names)} classes, e.g. of {names[bare[0]]!r}; take a "
            "list of the whole data set: base and new classes are taken from it afterwards"
        )
    most = max(counts.values())
    if shots >= 1 and most != shots:
        raise UserError(f"{path} has {most} images a class, and DATASET.NUM_SHOTS is {shots}: set it to {most}")
    return most


# -- writing -------------------------------------------------------------------------------


def write(path: Path, dataset, whole: Split, drawn: Split, prefix: str = "") -> list[Path]:
    """Write the shots of ``drawn`` in the form that the ending of ``path`` says; returns the files.

    Paths are relative to the data root, after ``prefix``. whole: the split before the draw, whose positions JSON's
    "indices" are. UserError for another ending than .json and .jsonl.
    """
    root = "/".join(filter(None, (prefix.rstrip("/"), os.path.relpath(dataset.folder, _root(dataset)))))
    root = "" if root == "." else f"{root.replace(os.sep, '/')}/"
    lists = {"train": drawn.train} | ({} if drawn.val is None else {"val": drawn.val})
    if path.suffix.lower() == ".json":
        content = {}
        for part, items in lists.items():
            positions = {item: index for index, item in enumerate(whole.parts()[part])}
            data = [{"impath": root + i.path, "label": i.label, "classname": i.classname} for i in items]
            content[part] = {"data": data, "indices": [positions[item] for item in items]}
        write_text(path, json.dumps(content, indent=4, ensure_ascii=False) + "\n")
        return [path]
    if path.suffix.lower() != ".jsonl":
        raise UserError(f"--to {path}: a few-shot list is a .json or .jsonl file")
    files = []
    for part, items in lists.items():
        lines = (
            {"_impath": root + i.path, "_label": i.label, "_domain": i.domain, "_classname": i.classname} for i in items
        )
        file = path.with_name(f"{path.stem.removesuffix('_train')}_{part}.jsonl")
        write_text(file, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        files.append(file)
    return files


def _root(dataset) -> str:
    return os.path.abspath(os.path.expanduser(dataset.cfg.DATASET.ROOT))
