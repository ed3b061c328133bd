"""Is a data set complete? Its declared files are looked at one by one, then the reader reads it as a run would, and on
request every image is decoded. What is wrong is a row of one table, with where to get it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.sources import DataFile
from craft.datasets.tools.sizes import parts_of

FOUND, MISSING, UNEXPECTED, NOT_NEEDED = "found", "missing", "unexpected size", "missing, not needed"


class Finding(NamedTuple):
    """A row of the table; ``good`` is False where somebody has to do something, ``detail`` goes below the table."""

    name: str
    path: str
    state: str
    advice: str = ""
    good: bool = True
    detail: str = ""


def folder_of(reader: type[PromptDataset], root: Path) -> Path:
    """The folder of a data set below ``root``: the first of its names that exists, else its first name."""
    names = getattr(reader, "dataset_dirs", ()) or (reader.dataset_dir,)
    return next((root / name for name in names if (root / name).is_dir()), root / names[0])


def check_files(name: str, reader: type[PromptDataset], root: Path, allow_subset: bool = False) -> list[Finding]:
    """One finding for each declared file or folder of a data set.

    ``allow_subset`` accepts folders with other numbers of images than the published set has.
    """
    folder = folder_of(reader, root)
    declared: tuple[DataFile, ...] = reader.files_in(folder)
    split_there = any(f.role == "split" and listing.present(folder / f.path, f.kind) for f in declared)
    findings = []
    for file in declared:
        path = (folder / file.path).relative_to(root).as_posix()
        if listing.present(folder / file.path, file.kind):
            odd = "" if allow_subset and file.kind == "dir" else unexpected(folder / file.path, file)
            state = f"{UNEXPECTED}: {odd}" if odd else FOUND
            findings.append(Finding(name, path, state, file.origin if odd else "", not odd))
            continue
        if file.role == "extra" or (file.role == "annotations" and split_there):
            findings.append(Finding(name, path, NOT_NEEDED, file.origin))
        elif file.role == "split":
            findings.append(Finding(name, path, "missing, a split is made without it", file.origin))
        else:
            findings.append(Finding(name, path, MISSING, file.origin, False))
    return findings


def unexpected(path: Path, file: DataFile) -> str:
    """``"12 of 7390 images"``: how a file or folder differs in size from the published one; "" where it does not."""
    if file.kind == "file":
        size = path.stat().st_size
        if not size:
            return "empty"
        return f"{size} of {file.size} bytes" if file.size not in (None, size) else ""
    if file.folders is not None and (count := len(listing.subfolders(path))) != file.folders:
        return f"{count} of {file.folders} folders"
    if file.images is not None and (count := sum(1 for _ in images_below(path))) != file.images:
        return f"{count} of {file.images} images"
    return ""


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


def unreadable(paths: list[str], workers: int | None = None) -> list[tuple[str, str]]:
    """(path, reason) of every image that cannot be decoded to its last pixel, in the order of ``paths``."""
    bad = []
    # A thread pool: Pillow lets go of the interpreter while it decodes. Slices keep the queue of a million short.
    bar = tqdm(total=len(paths), unit="image", disable=None)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is not our business here
        for start in range(0, len(paths), 4096):
            batch = paths[start : start + 4096]
            for path, reason in zip(batch, pool.map(fault, batch)):
                bar.update()
                if reason:
                    bad.append((path, reason))
    return bad


def fault(path: str) -> str:
    """Why an image cannot be read, or ""."""
    from dassl.utils import read_image

    try:
        read_image(path)
    except UserError as error:
        return getattr(error, "reason", "") or str(error)
    return ""


def check_reading(name: str, load) -> tuple[list[Finding], object | None]:
    """Read the data set as a run does: (the reader's complaint, or what it found; the data set, or None)."""
    try:
        dataset = load()
    except UserError as error:
        return [Finding(name, "(reading it)", "error, see below", "", False, str(error))], None
    counts = ", ".join(f"{len(items)} {part}" for part, items in parts_of(dataset).items())
    rows = [Finding(name, "(reading it)", f"{dataset.num_classes} classes, {counts}")]
    rows += [Finding(name, f"({what})", said) for what, said in digests_of(dataset)]
    return rows, dataset


def digests_of(dataset) -> list[tuple[str, str]]:
    """(what, digest and what is known of it) of the split, class names and shots; empty for Dassl's own data sets.

    `craft.datasets.prompt_dataset` says what each is, `craft.datasets.digests` how it is taken.
    """
    told = getattr(dataset, "told", None)
    if not told:
        return []
    rows = [("split", f"{told['split']} {told['standing']}".strip()), ("class names", told["classnames"])]
    if told["few_shot"]:
        both = " and ".join(f"{part} {digest}" for part, digest in told["few_shot"].items() if digest)
        rows.append(("shots", f"{both}: {told['draw']}"))
    return rows


def check_images(name: str, dataset, root: Path) -> list[Finding]:
    """A finding for each unreadable image (named below ``root`` where it is), or one that says all are readable."""
    paths = list(dict.fromkeys(item.impath for items in parts_of(dataset).values() for item in items))
    bad = unreadable(paths)
    if not bad:
        return [Finding(name, "(images)", f"all {len(paths)} can be decoded")]
    advice = "restore it from its archive, or delete it and its annotation"
    prefix = f"{root.absolute()}{os.sep}"
    return [
        Finding(name, path.removeprefix(prefix), f"cannot be decoded: {reason}", advice, False) for path, reason in bad
    ]
