"""Looking at the disk: sorted listings that never take a stray file for an image or a class."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from craft.common.errors import UserError

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
FRESH_NS = 2_000_000_000  # a folder changed this shortly before it was listed may change again without a new mtime


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image: a known extension, not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry]:
    """What lies in a folder, sorted by name, without hidden things and what a Mac packs beside them."""
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith((".", "__MACOSX"))), key=lambda e: e.name)
    except OSError as error:
        raise UserError(f"cannot list {folder}: {error.strerror or error}") from error


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def _readable(folder: str | os.PathLike[str], name: str) -> str:
    """``name``; UserError for one that is not UTF-8, which no list, prompt or file of results could hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name).decode("utf-8", errors="backslashreplace")
        raise UserError(f"the name of {shown} in {folder} is not UTF-8; rename it") from None
    return name


def subfolders(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the folders directly inside ``folder``, sorted, hidden ones left out; files are passed over."""
    return [_readable(folder, entry.name) for entry in _entries(folder) if _is_folder(entry)]


def image_names(folder: str | os.PathLike[str]) -> list[str]:
    """Names of the image files directly inside ``folder``, sorted as text (so ``10.jpg`` before ``9.jpg``).

    Files that are not images by their extension are left out and named in a log line.
    """
    names, other = [], []
    for entry in _entries(folder):
        if _is_folder(entry):
            continue
        if is_image(entry.name):
            names.append(_readable(folder, entry.name))
        else:
            other.append(os.fsencode(entry.name).decode("utf-8", errors="backslashreplace"))
    if other:
        print(f"Ignoring {len(other)} file(s) in {folder} that are not images: {', '.join(other[:3])}")
    return names


def holds_images(folder: str | os.PathLike[str]) -> bool:
    """Whether an image file lies directly inside ``folder``; says nothing of others."""
    return any(is_image(entry.name) and not _is_folder(entry) for entry in _entries(folder))


def class_images(folder: str | os.PathLike[str]) -> list[str]:
    """``image_names`` of a class folder; UserError where it holds none."""
    names = image_names(folder)
    if not names:
        raise UserError(f"the class folder {folder} holds no image; fill it or remove it")
    return names


def present(path: Path, kind: str) -> bool:
    """Whether a file (kind "file") or a folder (kind "dir") is there."""
    return path.is_dir() if kind == "dir" else path.is_file()


def missing(folder: str | os.PathLike, paths: Iterable[str]) -> list[str]:
    """Those of ``paths`` (relative to ``folder``) that are not files there, in their order, each once.

    One listing a folder instead of one look-up a file: on a network disk that is minutes less. What the listing does
    not show is looked up by itself, so that links and names in another Unicode form are not called missing.
    """
    seen: dict[str, set[str]] = {}
    gone: dict[str, None] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        if parent not in seen:
            try:
                with os.scandir(os.path.join(folder, parent)) as entries:
                    seen[parent] = {entry.name for entry in entries if not _is_folder(entry)}
            except (OSError, ValueError):  # ValueError: a NUL in the path
                seen[parent] = set()
        if name not in seen[parent] and not os.path.isfile(os.path.join(folder, path)):
            gone[path] = None
    return list(gone)


def class_folders(dataset, relative: str) -> dict[str, list[str]]:
    """{class folder: sorted image names} of a folder of class folders, e.g. ``images/train`` of ImageNet.

    Kept in ``listing-images-train.json`` with every class folder's time of change; a folder whose time differs is
    listed again, so one look per folder replaces one per image. Raises UserError for a class folder without images.
    """
    base = dataset.folder / relative
    cache = f"listing-{relative.replace('/', '-')}.json"
    now = time.time_ns()
    times = {name: (base / name).stat().st_mtime_ns for name in subfolders(base)}

    def accept(content: dict) -> dict[str, list]:
        for name, (changed, images) in content["folders"].items():
            if not isinstance(changed, int) or not all(isinstance(i, str) and is_image(i) for i in images):
                raise ValueError(f"damaged at {name}")
        return content["folders"]

    kept = dataset.caches.load(cache, accept, "listing the folders again") or {}
    result, fresh = {}, 0
    for name, changed in times.items():
        if name in kept and kept[name][0] == changed and kept[name][1]:
            result[name] = kept[name][1]
        else:
            result[name] = class_images(base / name)
            fresh += 1
    if fresh or kept.keys() - times.keys():
        settled = {n: [times[n], images] for n, images in result.items() if now - times[n] > FRESH_NS}
        if settled != kept:
            dataset.caches.save(cache, {"folders": settled})
        print(f"Listed {fresh} of {len(times)} class folders in {base}")
    return result
