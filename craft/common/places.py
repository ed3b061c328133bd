"""Where parts of the project lie on disk, in a clone and when installed."""

from __future__ import annotations

import os
from pathlib import Path

import craft
from craft.common.errors import UserError


def room(name: str) -> Path:
    """The folder that is imported as ``craft.<name>``, or holds the data files of that name (``configs``)."""
    for place in craft.__path__:
        if (Path(place) / name).is_dir():
            return Path(place) / name
    raise UserError(f"this installation of craft has no folder {name!r}; install it again")


def configs() -> Path:
    """The yaml files: ``datasets/<name>.yaml`` and ``trainers/<structure>/<name>.yaml``."""
    return room("configs")


def is_clone() -> bool:
    """Whether this is a checkout of the repository rather than an installed package."""
    return room("trainers").parent != Path(craft.__file__).resolve().parent


def command(name: str) -> list[str]:
    """The words that start a command in a shell where this process runs: ``craft train`` where it is installed,
    ``python train.py`` in the root of a clone, ``python -m craft train`` for a clone that is on Python's path."""
    if not is_clone():
        return ["craft", name]
    if name == "train" and room("trainers").resolve().parent == Path.cwd():
        return ["python", "train.py"]
    return ["python", "-m", "craft", name]


def environment() -> dict[str, str]:
    """This process's environment for a child that is to import ``craft`` from the same place, whatever its folder."""
    own = str(Path(craft.__file__).resolve().parent.parent)
    known = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != own]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([own, *known])}
