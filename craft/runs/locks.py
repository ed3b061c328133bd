"""One process a run's folder: a lock that goes with its process, so that a killed one never blocks.

`fcntl.flock` itself rather than the package filelock, which opens its file for writing: whether somebody works in a
folder is asked of folders that can only be read, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

from craft.common.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: without locks, a running run looks like an interrupted one
    fcntl = None  # type: ignore[assignment]  # None stands for a module that is not there

LOCK = ".run.lock"
HELD = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)  # what a lock that somebody has is answered with


def locked(folder: str | os.PathLike) -> bool:
    """Whether a living process works in ``folder``."""
    path = Path(folder) / LOCK
    if fcntl is None or not path.is_file():
        return False
    with open(path) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno in HELD
    return False


_held: set = set()  # open lock files of this process


def _let_go() -> None:
    """In a forked child (a loader's worker): close the lock, or it would outlive the run with the worker."""
    for stream in _held:
        stream.close()
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = open(folder / LOCK, "a")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {folder}: {error.strerror}; choose another with --output-dir"
        ) from error
    with stream:
        for attempt in range(5):
            try:
                if fcntl is not None:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in HELD:  # a file system without locks is no reason not to run
                    print(f"Note: {folder} cannot be locked ({error.strerror}); start one process at a time in it")
                    break
                if attempt == 4:
                    raise UserError(
                        f"another process is running in {folder}; wait for it or choose another --output-dir"
                    ) from None
                time.sleep(0.3)  # somebody may only be looking
        _held.add(stream)
        try:
            yield
        finally:
            _held.discard(stream)
