"""Data sets that are made on this machine: their images are written once, whole or not at all, and checked when read.

A generated folder holds images and a ``manifest.json`` with the recipe that it was made from and a digest of every
file. The folder's name carries a digest of the recipe, so another version of the recipe never meets old images, and
a folder in which a file is missing, cut short or has another bit is made again instead of being believed.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from craft.common.errors import UserError
from craft.common.files import atomic_folder, cache_dir, digest_file, digest_json, read_json, remove_folder, write_json

try:
    import fcntl
except ImportError:  # Windows: publishing by rename is still atomic, only a repair is not serialised.
    fcntl = None  # type: ignore[assignment]  # None stands for a module that is not there

MANIFEST = "manifest.json"
DIGITS = 16  # of a file's digest: enough to notice damage


def recipe_of(folder: Path) -> str | None:
    """Digest of the recipe that a folder was generated from; None for every other folder."""
    if not (folder / MANIFEST).is_file():
        return None
    content = read_json(folder / MANIFEST)
    version = digest_json(content["recipe"])[:16] if isinstance(content, dict) and "recipe" in content else None
    return version if version == folder.name else None


def generated_folder(name: str, root: str, recipe: dict, write: Callable[[Path], None]) -> Path:
    """The folder of the generated data set ``name``, made now if it is missing or damaged.

    Args:
        name: folder name; images go to ``root/name`` where that folder exists, else to the user's cache.
        root: data root (``DATASET.ROOT``), may be empty.
        recipe: JSON value with everything that the images depend on.
        write: fills the empty folder that it is given; called at most once.

    Several processes may call this at the same time: one of them writes, the others wait for it.
    """
    recipe = json.loads(json.dumps(recipe))  # as the manifest will give it back: JSON knows no tuples
    version = digest_json(recipe)[:16]
    places = [cache_dir(name) / version]
    if root and (own := Path(root).expanduser() / name).is_dir():
        places.insert(0, own / version)
    for target in places:
        if _is_whole(target, recipe):
            return target
        if _writable(target.parent):
            break
    else:
        raise UserError(f"cannot write the images of {name} to {places[-1].parent}; set CRAFT_CACHE to another folder")
    with locked(target):
        if _is_whole(target, recipe):
            return target
        if target.exists():
            _discard(target)
        print(f"Writing the images of {name} to {target}")
        with atomic_folder(target) as folder:
            write(folder)
            files = sorted(p for p in folder.rglob("*") if p.is_file())
            digests = {p.relative_to(folder).as_posix(): digest_file(p)[:DIGITS] for p in files}
            write_json(folder / MANIFEST, {"recipe": recipe, "files": digests}, indent=None)
    return target


def _is_whole(folder: Path, recipe: dict) -> bool:
    """Whether the folder was made from this recipe and every file of it is the one that was written."""
    try:
        manifest = read_json(folder / MANIFEST)
        if manifest["recipe"] != recipe:
            return False
        return all(digest_file(folder / name)[:DIGITS] == digest for name, digest in manifest["files"].items())
    except (UserError, OSError, KeyError, TypeError, AttributeError):
        return False


def _writable(folder: Path) -> bool:
    """Whether something can be written into a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _discard(folder: Path) -> None:
    """Take a damaged folder away.

    One that holds a file which was not written here, or has no list of those that were, is kept under another name.
    """
    try:
        ours = {*read_json(folder / MANIFEST)["files"], MANIFEST}
    except (UserError, KeyError, TypeError):
        ours = set()
    others = [p for p in folder.rglob("*") if not p.is_dir() and p.relative_to(folder).as_posix() not in ours]
    if not others:
        remove_folder(folder)
        return
    aside = folder.with_name(f".{folder.name}.damaged-{os.getpid()}")
    os.rename(folder, aside)
    print(f"{folder} holds {others[0].relative_to(folder)}, which was not written here: it is kept as {aside}")


@contextlib.contextmanager
def locked(target: Path, wait: bool = True) -> Iterator[None]:
    """Hold a lock beside ``target``; it goes with the process, so a killed one leaves nothing locked.

    With ``wait`` off, UserError where another process holds it.
    """
    with open(target.with_name(f".{target.name}.lock"), "a") as stream:
        if fcntl is not None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise UserError(f"another process is at work on {target}; wait for it to end") from None
        yield
