"""Writing for `craft data adopt`: links or copies in a scratch folder beside the data sets."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.tools.adopt_plan import Plan


def holds_images(place: Path) -> bool:
    """Whether a folder holds images or folders (of classes), a data set's own caches aside."""
    if not place.is_dir():
        return False
    return any(
        (entry.is_dir() and not entry.name.startswith((".", "split_fewshot"))) or listing.is_image(entry.name)
        for entry in place.iterdir()
    )


def put(source: Path, to: Path, copy: bool) -> None:
    """A link at ``to`` that leads to ``source``, or a copy of it."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(source, to)
        else:
            os.symlink(source, to, target_is_directory=source.is_dir())
    except OSError as error:
        remedy = "" if copy else "; --copy copies files where links cannot be made"
        raise UserError(f"cannot write {to}: {error.strerror or error}{remedy}") from error


def lay(plan: Plan, images: dict[str, str], into: Path, copy: bool) -> None:
    """Lay ``images`` ({path below ``into``: path below the plan's folder}); whole folders as one link where
    they fit."""
    files_in: Counter[str] = Counter()
    for path in plan.paths:
        if listing.is_image(path):
            parts = path.split("/")
            files_in.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    tree: dict = {}
    for to, path in images.items():
        node = tree
        *folders, name = to.split("/")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = path
    _lay_folder(plan.folder, tree, into, copy, files_in)


def _lay_folder(source: Path, tree: dict, into: Path, copy: bool, files_in: Counter[str]) -> None:
    for name, entry in tree.items():
        whole = None if copy or isinstance(entry, str) else _one_folder(entry)
        if isinstance(entry, str):
            put(source / entry, into / name, copy)
        elif whole and files_in[whole[0]] == whole[1]:
            put(source / whole[0], into / name, copy)
        else:
            _lay_folder(source, entry, into / name, copy, files_in)


def _one_folder(tree: dict) -> tuple[str, int] | None:
    """(folder, number of files) where all of ``tree`` lies in one folder under the same names, else None."""
    folders, count = set(), 0
    for name, entry in tree.items():
        if isinstance(entry, str):
            folder, _, base = entry.rpartition("/")
            inner = (entry, 1)
        else:
            found = _one_folder(entry)
            if found is None:
                return None
            inner = found
            folder, _, base = found[0].rpartition("/")
        if base != name:
            return None
        folders.add(folder)
        count += inner[1]
    folder = folders.pop() if len(folders) == 1 else ""
    return (folder, count) if folder else None


@contextlib.contextmanager
def scratch(root: Path, dry_run: bool) -> Iterator[Path]:
    """A folder that is gone afterwards: below ``root``, so that a rename puts things into place, or elsewhere."""
    try:
        if not dry_run:
            root.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".adopt-", dir=None if dry_run else root))
    except OSError as error:
        raise UserError(f"cannot write to {root}: {error.strerror}; choose another --root") from error
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
