"""Files that are written whole or not at all, their fingerprints, and where caches live."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.texts import parse_json, read_text

SEAL = "sha256"  # key of a JSON file's digest of itself


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside ``target`` to write to; it takes target's place only if the block succeeds.

    The temporary file is synced to disk before the rename, so that a power cut leaves the old file or the new
    one. On any error, an interrupt included, it is removed; what a killed process left is removed by the next one that
    writes there. Raises UserError where the folder cannot be written or the disk is full.
    """
    target = Path(target)
    temporary = _made(target, lambda prefix: _close(tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=TMP)))
    try:
        yield temporary
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes private files; what we publish follows the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except OSError as error:
        raise _unwritten(target, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """An empty folder beside ``target`` to fill; it becomes ``target`` only if the block succeeds.

    Where ``target`` has come into being meanwhile (another process was quicker), the new folder is dropped and the
    one in place is kept. On any error, an interrupt included, nothing is left. Raises UserError as ``atomic_path``.
    """
    target = Path(target)
    temporary = _made(target, lambda prefix: tempfile.mkdtemp(dir=target.parent, prefix=prefix, suffix=TMP))
    try:
        yield temporary
        # mkdtemp makes private folders; what we publish follows the user's umask like any other folder.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        try:
            os.rename(temporary, target)
        except OSError:
            if not target.is_dir():
                raise
    except OSError as error:
        raise _unwritten(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Take a folder of ours away: out of sight first, because deleting many files takes time and may be cut short."""
    aside = _made(folder, lambda prefix: tempfile.mkdtemp(dir=folder.parent, prefix=prefix, suffix=TMP))
    os.rename(folder, aside)  # in place of the empty one
    shutil.rmtree(aside, ignore_errors=True)


def _made(target: Path, make: Callable[[str], str]) -> Path:
    """What ``make`` makes beside ``target`` for a prefix of its name, which says whose it is."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        clean(target.parent)
        return Path(make(f".{target.name}.{os.getpid()}-{_machine()}-"))
    except OSError as error:
        if error.errno in FULL:
            raise _unwritten(target, error) from error
        raise UserError(f"cannot write to {target.parent}: {error.strerror}; choose another folder") from error


def _close(made: tuple[int, str]) -> str:
    os.close(made[0])
    return made[1]


def _unwritten(target: Path, error: OSError) -> UserError:
    remedy = "; free space there, or choose another folder" if error.errno in FULL else ""
    return UserError(f"could not write {target}: {error.strerror or error}{remedy}")


# -- what killed processes left ---------------------------------------------------------------------------------------


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
TMP = ".tmp"
# .<name>.<process>-<machine>-<8 random>.tmp, and before it told whose it is: .<name>.<8 or 32 random>.tmp
OURS = re.compile(r"\..+\.(?:(?P<process>\d+)-(?P<machine>[0-9a-f]{8})-[a-z0-9_]{8}|[a-z0-9_]{8}|[0-9a-f]{32})\.tmp")
DAY = 24 * 3600.0

_cleaned: set[tuple[int, str]] = set()  # (process, folder): once in each


def clean(folder: Path) -> None:
    """Remove temporary files and folders of ours whose process is gone, or that nobody has written to for a day.

    What is named otherwise is not touched, nor what a living process of this machine writes, nor what another machine
    that shares the disk may be writing. Looks once a process and folder.
    """
    key = (os.getpid(), os.path.abspath(folder))
    if key in _cleaned:
        return
    _cleaned.add(key)
    with contextlib.suppress(OSError), os.scandir(str(folder)) as entries:
        for entry in entries:
            match = OURS.fullmatch(entry.name)
            if match is None:
                continue
            with contextlib.suppress(OSError):
                own = match["machine"] == _machine()
                if own and _lives(int(match["process"])):
                    continue
                if not own and time.time() - entry.stat(follow_symlinks=False).st_mtime < DAY:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


@functools.cache
def _machine() -> str:
    """8 hex digits that tell this machine, and within it this container, in which process numbers mean something."""
    name = socket.gethostname()
    with contextlib.suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True


def write_text(target: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8, atomically. What UTF-8 lacks, as in names of folders from elsewhere, is written
    ``\\udcff``, which in JSON means just that."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(target: str | os.PathLike, value: Any, indent: int | None = 2) -> None:
    """Write ``value`` as JSON, atomically, with a final newline."""
    write_text(target, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The JSON value in ``path``; UserError where it is missing, unreadable or damaged."""
    return parse_json(read_text(path), path)


def write_sealed(target: str | os.PathLike, value: dict[str, Any]) -> None:
    """Write ``value`` as JSON, atomically, with a digest of itself, which `read_sealed` checks."""
    plain = {key: part for key, part in json.loads(json.dumps(value)).items() if key != SEAL}
    write_json(target, {**plain, SEAL: digest_json(plain)})


def read_sealed(path: str | os.PathLike) -> Any:
    """The JSON value in ``path``, without its digest; UserError as `read_json`, and where the digest is of another.

    A file without one (from before there were any, or written by hand) is believed.
    """
    content = read_json(path)
    if isinstance(content, dict) and SEAL in content:
        seal = content.pop(SEAL)
        if seal != digest_json(content):
            raise UserError(
                f"{path} is damaged: it is not what was written (another {SEAL}); restore or delete it, or if you "
                f"changed it yourself, take {SEAL} out of it"
            )
    return content


def digest_file(path: str | os.PathLike) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(stream)


def _digest(stream) -> str:
    """hashlib.file_digest for Python 3.10, which lacks it."""
    state = hashlib.sha256()
    while block := stream.read(1 << 20):
        state.update(block)
    return state.hexdigest()


def digest_json(value: Any) -> str:
    """Hex SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def cache_dir(*parts: str) -> Path:
    """``$CRAFT_CACHE`` (default ``~/.cache/craft``) joined with ``parts``; created when first written to."""
    base = os.environ.get("CRAFT_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "craft")
    return Path(base).joinpath(*parts)
