"""Looking at the disk: sorted listings that never take a stray file for an image or a class, and annotation files
whose faults are named by file and line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from craft.common.errors import UserError

IMAGE_EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image: a known extension, not hidden."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_EXTENSIONS


def _entries(folder: str | os.PathLike) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as found:
            return sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        raise UserError(f"cannot list {folder}: {error.strerror or error}") from error


def subfolders(folder: str | os.PathLike) -> list[str]:
    """Names of the folders directly inside ``folder``, sorted, hidden ones left out; files are passed over."""
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def image_names(folder: str | os.PathLike) -> list[str]:
    """Names of the image files directly inside ``folder``, sorted as text (so ``10.jpg`` before ``9.jpg``).

    Files that are not images by their extension are left out and named in a log line.
    """
    names, other = [], []
    for entry in _entries(folder):
        if is_image(entry.name):
            names.append(entry.name)
        elif not entry.is_dir():
            other.append(entry.name)
    if other:
        print(f"Ignoring {len(other)} file(s) in {folder} that are not images: {', '.join(other[:3])}")
    return names


def class_images(folder: str | os.PathLike) -> list[str]:
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
                seen[parent] = set(os.listdir(os.path.join(folder, parent)))
            except OSError:
                seen[parent] = set()
        if name not in seen[parent] and not os.path.isfile(os.path.join(folder, path)):
            gone[path] = None
    return list(gone)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without surrounding blanks) of every line that is not empty, of a UTF-8 file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def read_mat(path: Path, variable: str) -> Any:
    """A variable of a MATLAB file; UserError where the file is damaged or lacks it."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises whatever the damage leads to
        raise UserError(f"cannot read {path} as a MATLAB file ({error}); fetch it again") from error
    if variable not in content:
        raise UserError(f"{path} holds no variable {variable!r}; fetch it again")
    return content[variable]
