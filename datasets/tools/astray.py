"""Images that are on the disk, but not where they should be: one folder too deep or too high, under a folder of another
name, twice inside one another, or sorted anew by somebody into training and test folders.

They are found by the names that the split file lists, or without it by the number of folders and images, below the data
set's folder first and then below the data root. What is found is a sentence with the command that helps.
"""

from __future__ import annotations

import os
import posixpath
import shlex
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from craft.datasets import caches, listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.sources import DataFile

SAMPLES = 200  # listed images that are looked for
SECONDS = 60.0  # that a search takes at most
ALL, ENOUGH = 0.9, 0.5  # of the samples, for the place where they lie as listed; and otherwise


class Seen(NamedTuple):
    """A folder below the place that was searched: its images' names where they were asked for, their number, and the
    names of its folders."""

    hits: frozenset[str]
    images: int
    folders: tuple[str, ...]


def wrong_root(reader: type[PromptDataset], root: Path) -> str:
    """A sentence where the data set's folder is not below ``root``, but near it: ``root`` itself, a folder further
    down, or under another name. "" otherwise."""
    names = reader.dataset_dirs or (reader.dataset_dir,)
    if not root.is_dir() or any((root / name).is_dir() for name in names):
        return ""
    wanted = [file for file in reader.files if file.role == "required"]

    def holds(folder: Path) -> bool:
        return all(listing.present(folder / file.path, file.kind) for file in wanted)

    if holds(root):
        if root.absolute().name in names:
            above = _quoted(root.absolute().parent)
            return f"{root.absolute()} is the data set's own folder; --root names the one above: --root {above}"
        return f"{root.absolute()} is the data set's own folder, which should be called {names[0]} and lie below --root"
    for name in listing.subfolders(root):
        below = root / name
        if deeper := next((n for n in names if (below / n).is_dir()), ""):
            return f"{below / deeper} is there, one folder further down: --root {_quoted(below)}"
        if holds(below):
            link = f"ln -s {_quoted(below.absolute())} {_quoted(root.absolute() / names[0])}"
            return f"{below} holds what {names[0]} should: rename it, or {link}"
    return ""


def elsewhere(
    name: str, reader: type[PromptDataset], root: Path, folder: Path, file: DataFile, gone: Sequence[str]
) -> str:
    """A sentence that says where the images of ``file``, a folder, lie instead, and what helps; "" where none is found.

    ``gone``: those that a split file lists and that are not there, relative to ``file``; empty where there is no list.
    """
    target = folder / file.path
    samples = [gone[index * len(gone) // SAMPLES] for index in range(SAMPLES)] if len(gone) > SAMPLES else gone
    others = {d.split("/")[0] for r in _readers() if r is not reader for d in (r.dataset_dirs or (r.dataset_dir,)) if d}
    for place, skipped in ((folder, set()), (root, others | {folder.name})):
        if not place.is_dir():
            continue
        seen = _search(place, {posixpath.basename(path) for path in samples}, skipped)
        # Images of another folder of the set may have the same names, as those of cars_train and cars_test.
        seen = {at: one for at, one in seen.items() if not _of_another(at, reader, folder, file)}
        found = _by_names(seen, samples, place) if samples else _by_numbers(seen, file, place, target)
        if found is None:
            continue
        where, whole = found
        adopt = f"craft data adopt {_quoted(where)} --as {name} --root {_quoted(root)}"
        if whole:
            how = _direction(where, target)
            lie = f"{file.path} of {name}: the images lie in {where}{how}"
            return f"{lie}, and should lie in {target}. Move them, or: {adopt}"
        return (
            f"{file.path} of {name}: images of the same names lie below {where}, in other folders; nothing need be "
            f"fetched: {adopt}"
        )
    return ""


def _direction(where: Path, target: Path) -> str:
    where, target = where.absolute(), target.absolute()
    if target in where.parents:
        return f", {_folders(len(where.relative_to(target).parts))} too deep"
    if where in target.parents:
        return f", {_folders(len(target.relative_to(where).parts))} too high"
    return ""


def _folders(count: int) -> str:
    return f"{count} folder" + ("s" if count > 1 else "")


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _readers() -> list[type[PromptDataset]]:
    from craft.datasets.registry import READERS

    return list(READERS.values())


def _of_another(at: str, reader: type[PromptDataset], folder: Path, file: DataFile) -> bool:
    """Whether a folder seems to belong to another folder of the data set by its name."""
    names = {posixpath.basename(other.path) for other in reader.files_in(folder) if other.kind == "dir"} - {"."}
    own, parts = posixpath.basename(file.path), set(at.split("/"))
    return own not in parts and bool((names - {own}) & parts)


def _search(place: Path, wanted: set[str], skipped: set[str]) -> dict[str, Seen]:
    """{folder relative to ``place``, with /: what is in it}, parents before children; folders of ours and ``skipped``
    ones directly in ``place`` left out. Ends early after `SECONDS`."""
    seen: dict[str, Seen] = {}
    end = time.monotonic() + SECONDS
    for base, folders, files in os.walk(place):
        at = os.path.relpath(base, place).replace(os.sep, "/")
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in caches.FOLDERS)
        if at == ".":
            folders[:] = [n for n in folders if n not in skipped]
        images = [n for n in files if listing.is_image(n)]
        seen["" if at == "." else at] = Seen(frozenset(wanted.intersection(images)), len(images), tuple(folders))
        if time.monotonic() > end:
            break
    return seen


def _by_names(seen: dict[str, Seen], samples: Sequence[str], place: Path) -> tuple[Path, bool] | None:
    """(folder, True) where the images lie below it as they are listed; (folder, False) where images of these names lie
    below it in other folders; None where most are not found."""
    hits = {at: one.hits for at, one in seen.items() if one.hits}
    starts: Counter[str] = Counter()
    holders: list[str] = []
    for path in samples:
        parent, name = posixpath.split(path)
        having = [at for at, names in hits.items() if name in names]
        starts.update(
            at.removesuffix(parent).rstrip("/") for at in having if not parent or f"/{at}".endswith(f"/{parent}")
        )
        if len(having) > 1:  # a name that many folders have says nothing, unless the folder is called like the class
            having = [at for at in having if posixpath.basename(at) == posixpath.basename(parent)]
        holders += having[:1]
    start, count = min(starts.items(), key=lambda found: (-found[1], len(found[0])), default=("", 0))
    if count >= ALL * len(samples):
        return place / start, True
    if len(holders) < ENOUGH * len(samples):
        return None
    return place / posixpath.commonpath(holders), False


def _by_numbers(seen: dict[str, Seen], file: DataFile, place: Path, target: Path) -> tuple[Path, bool] | None:
    """The folder with as many folders and images as ``file`` should have."""
    if file.images is None or file.nested:
        return None
    for at, one in seen.items():
        inside = [seen[c] for n in one.folders if (c := posixpath.join(at, n)) in seen] if file.folders else [one]
        matches = file.folders in (None, len(one.folders)) and sum(s.images for s in inside) == file.images
        if matches and (place / at).absolute() != target.absolute():
            return place / at, True
    return None
