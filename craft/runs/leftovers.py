"""What an earlier run left in a folder that another is to begin in: nothing of it may be taken for the other's."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection
from pathlib import Path

from craft.common.errors import UserError

OURS = (
    *("state*.pth.tar", "metrics.json"),
    *("*/model*.pth.tar*", "*/prompts-*.safetensors", "*/checkpoint"),
    "tensorboard/events.*",
)


def _left(folder: Path) -> list[Path]:
    return [path for pattern in OURS for path in folder.glob(pattern) if path.is_file()]


def clear(folder: Path) -> None:
    """Delete what the run left that is to be replaced. Logs stay."""
    for path in _left(folder):
        path.unlink(missing_ok=True)


def put_aside(folder: Path, but: Collection[str] = ()) -> None:
    """Move what lies there though no record says whose it is into a folder of its own, and say so; files named in
    ``but`` stay. UserError where that cannot be done."""
    left = [path for path in _left(folder) if path.name not in but]
    if not left:
        return
    name = time.strftime("before-%Y%m%d-%H%M%S")
    try:
        for path in left:
            target = folder / name / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
            with contextlib.suppress(OSError):  # a folder that is empty now
                path.parent.rmdir()
    except OSError as error:
        raise UserError(
            f"cannot move {path} aside: {error.strerror}; move it yourself, or choose another --output-dir"
        ) from error
    print(f"{folder} has no record of the run that it holds files of: {len(left)} were moved to {folder / name}")
