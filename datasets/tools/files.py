"""What a data set's files and folders are like: of which size, and which of the images that a split file lists."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from craft.common.errors import UserError
from craft.datasets import caches, listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.sources import DataFile
from craft.datasets.split_file import MADE_HERE, SplitFileDataset, read_split


def folder_of(reader: type[PromptDataset], root: Path) -> Path:
    """The folder of a data set below ``root``: the first of its names that exists, else its first name."""
    names = getattr(reader, "dataset_dirs", ()) or (reader.dataset_dir,)
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


class FoundSplit(NamedTuple):
    """A split file that a run would read. made: who made it, where a run here did; paths: of all listed images;
    whole: whether it lists as many as are published."""

    path: Path
    made: str
    paths: list[str]
    whole: bool

    def below(self, file: DataFile) -> list[str]:
        """The listed images of a folder, relative to it."""
        return [path.removeprefix(file.path + "/") for path in self.paths if path.startswith(file.path + "/")]


def found_split(name: str, reader: type[PromptDataset], folder: Path, cache: str = "") -> FoundSplit | None:
    """The split file of a data set; None where there is none. One that cannot be read lists nothing: the reader says
    why. cache: DATASET.CACHE_DIR, where a split that was made may lie."""
    if not issubclass(reader, SplitFileDataset):
        return None
    places = [folder] + ([Path(cache).expanduser() / name] if cache else [])
    path = next((place / reader.split_file for place in places if (place / reader.split_file).is_file()), None)
    if path is None:
        return None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            split, who = read_split(path, reader.image_dir)
    except UserError:
        return FoundSplit(path, "", [], False)
    paths = list(dict.fromkeys(item.path for items in split.parts().values() for item in items))
    size = reader.expected
    whole = size is not None and len(paths) == size.train + (size.val or 0) + size.test
    return FoundSplit(path, who if who.startswith(MADE_HERE) else "", paths, whole)


def unexpected(path: Path, file: DataFile, split: FoundSplit | None = None) -> str:
    """``"12 of 7390 images"``: how a file or folder differs from the published one; "" where it does not.

    Where a split file lists images of the folder, these are looked for; all of a whole split are all that a run needs.
    """
    if file.kind == "file":
        size = path.stat().st_size
        if not size:
            return "empty"
        return f"{size} of {file.size} bytes" if file.size not in (None, size) else ""
    listed = split.below(file) if split else []
    if gone := listing.missing(path, listed):
        some = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
        return f"{len(listed) - len(gone)} of {len(listed)} listed images; missing: {some}"
    if file.folders == 0 and (inner := [name for name in listing.subfolders(path) if name not in caches.FOLDERS]):
        return f"the folder {inner[0]} in it, where images should lie"
    if split and listed and split.whole:
        return ""
    names = [name for name in listing.subfolders(path) if name not in caches.FOLDERS]
    if file.folders is not None and len(names) != file.folders:
        return f"{len(names)} of {file.folders} folders"
    if file.images is None:
        return ""
    if file.nested:
        count = sum(1 for _ in images_below(path))
    else:  # not at any depth: a copy inside itself has as many images where no reader looks
        count = sum(map(images_in, [path / name for name in names] if file.folders is not None else [path]))
    return f"{count} of {file.images} images" if count != file.images else ""


def images_in(folder: Path) -> int:
    """How many images lie directly in a folder."""
    with os.scandir(folder) as entries:
        return sum(1 for entry in entries if listing.is_image(entry.name))


def images_below(folder: Path) -> Iterator[str]:
    """Paths of the image files in and below a folder, links to folders followed, hidden ones left out."""
    seen: set[tuple[int, int]] = set()  # a link may lead to a folder above it
    for base, folders, files in os.walk(folder, followlinks=True):
        place = os.stat(base)
        if (place.st_dev, place.st_ino) in seen:
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if listing.is_image(name):
                yield os.path.join(base, name)
