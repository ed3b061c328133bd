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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from craft.datasets import caches, listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import READERS
from craft.datasets.sources import DataFile
from craft.datasets.tools.files import folder_of, unexpected

SAMPLES = 200  # listed images that are looked for
SECONDS = 60.0  # that a search takes at most
DEPTH, MANY = 4, 40  # of folders that are looked into for a whole set
ALL, ENOUGH = 0.9, 0.5  # of the samples, for the place where they lie as listed; and otherwise


class Seen(NamedTuple):
    """A folder below the place that was searched: its images' names where they were asked for, their number, and the
    names of its folders."""

    hits: frozenset[str]
    images: int
    folders: tuple[str, ...]


def whole_set(name: str, reader: type[PromptDataset], root: Path) -> str:
    """A sentence where all that the data set's folder should hold lies together elsewhere: in ``root`` itself, further
    down, or in a folder of another name. "" otherwise."""
    names = reader.dataset_dirs or (reader.dataset_dir,)
    folder = folder_of(reader, root)
    if not root.is_dir() or _holds(reader, folder):
        return ""
    if _holds(reader, root):
        at = root.absolute()
        if at.name in names:
            above = _quoted(at.parent)
            return f"{at} is the folder of {name} itself; --root names the one above: --root {above}"
        return f"{at} is the folder of {name} itself; it should be called {names[0]}, and --root names the one above"
    others = _folders_of_others(reader)
    for at in _down(folder, set()) if folder.is_dir() else _down(root, others):
        if not _holds(reader, at):
            continue
        adopt = _adopting(name, at, folder, root)
        if folder in at.parents:
            return f"what {folder} should hold lies in {at}{_direction(at, folder)}. Move it up, or:\n    {adopt}"
        if inner := next((n for n in names if at.as_posix().endswith(f"/{n}")), ""):
            return f"the folder of {name} is {at}: --root {_quoted(Path(at.as_posix().removesuffix('/' + inner)))}"
        return f"{at} holds what {folder} should. Rename it, or:\n    {adopt}"
    return ""


def _holds(reader: type[PromptDataset], folder: Path) -> bool:
    """Whether all that is required lies in a folder, and it is this set: with its split file, with a file of its own,
    or with as many folders and images as it has. Many sets have a folder ``images``."""
    wanted = [file for file in reader.files_in(folder) if file.role == "required"]
    if not wanted or not all(listing.present(folder / file.path, file.kind) for file in wanted):
        return False
    own = getattr(reader, "split_file", "")
    if own and (folder / own).is_file():
        return True
    return all(file.kind == "file" or not unexpected(folder / file.path, file) for file in wanted)


def _down(place: Path, skipped: set[str]) -> Iterator[Path]:
    """Folders below ``place``, the nearer ones first, to a depth of `DEPTH`; not into those of many folders, which are
    class folders, nor ``skipped`` ones directly in it."""
    level = [place]
    for depth in range(DEPTH):
        below: list[Path] = []
        for folder in level:
            found = [n for n in listing.subfolders(folder) if depth or n not in skipped]
            below += [folder / n for n in found if len(found) <= MANY]
        yield from below
        level = below


def _folders_of_others(reader: type[PromptDataset]) -> set[str]:
    """The names that other data sets' folders have below the root."""
    readers = [other for other in READERS.values() if other is not reader]
    return {name.split("/")[0] for other in readers for name in (*other.dataset_dirs, other.dataset_dir) if name}


def elsewhere(
    name: str, reader: type[PromptDataset], root: Path, folder: Path, file: DataFile, gone: Sequence[str]
) -> str:
    """A sentence that says where the images of ``file``, a folder, lie instead, and what helps; "" where none is found.

    ``gone``: those that a split file lists and that are not there, relative to ``file``; empty where there is no list.
    """
    target = folder / file.path
    samples = [gone[index * len(gone) // SAMPLES] for index in range(SAMPLES)] if len(gone) > SAMPLES else gone
    for place, skipped in ((folder, set()), (root, _folders_of_others(reader) | {folder.name})):
        if not place.is_dir():
            continue
        seen = _search(place, {posixpath.basename(path) for path in samples}, skipped)
        # Images of another folder of the set may have the same names, as those of cars_train and cars_test.
        seen = {at: one for at, one in seen.items() if not _of_another(at, reader, folder, file)}
        found = _by_names(seen, samples, place) if samples else _by_numbers(seen, file, place, target)
        if found is None:
            continue
        where, whole = found
        adopt = _adopting(name, where, folder, root)
        if whole:
            how = _direction(where, target)
            lie = f"{file.path} of {name}: the images lie in {where}{how}"
            return f"{lie}, and should lie in {target}. Move them, or:\n    {adopt}"
        return (
            f"{file.path} of {name}: images of the same names lie below {where}, in other folders; nothing need be "
            f"fetched:\n    {adopt}"
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


def _of_another(at: str, reader: type[PromptDataset], folder: Path, file: DataFile) -> bool:
    """Whether a folder seems to belong to another folder of the data set by its name."""
    names = {posixpath.basename(other.path) for other in reader.files_in(folder) if other.kind == "dir"} - {"."}
    own, parts = posixpath.basename(file.path), set(at.split("/"))
    return own not in parts and bool((names - {own}) & parts)


def _search(place: Path, wanted: set[str], skipped: set[str]) -> dict[str, Seen]:
    """{folder relative to ``place``, with /: what is in it}, parents before children, each once; folders of ours and
    ``skipped`` ones directly in ``place`` left out. Ends early after `SECONDS`."""
    seen: dict[str, Seen] = {}
    been: set[str] = set()
    end = time.monotonic() + SECONDS
    for base, folders, files in os.walk(place, followlinks=True):  # sets are often linked
        if (real := os.path.realpath(base)) in been:
            folders.clear()
            continue
        been.add(real)
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


def _adopting(name: str, place: Path, folder: Path, root: Path) -> str:
    """What to type to have ``place`` adopted; where it lies in the set's own ``folder``, that one moves aside first."""
    to = f"--as {name} --root {_quoted(root)}"
    if folder != place and folder not in place.parents:
        return f"craft data adopt {_quoted(place)} {to}"
    aside = _quoted(folder.absolute().with_name(f"{folder.name}.original"))
    return f"mv {_quoted(folder.absolute())} {aside} && craft data adopt {aside} {to}"
