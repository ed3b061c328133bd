"""Files that are written whole or not at all, their fingerprints, and where caches live."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from craft.common.errors import UserError

SEAL = "sha256"  # key of a JSON file's digest of itself


@contextlib.contextmanager
def atomic_path(target: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside ``target`` to write to; it takes target's place only if the block succeeds.

    The temporary file is synced to disk before the rename, so that a power cut leaves the old file or the new
    one. On any error, an interrupt included, it is removed. Raises UserError where the folder cannot be written
    or the disk is full.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    except OSError as error:
        raise UserError(f"cannot write to {target.parent}: {error.strerror}; choose another folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes private files; what we publish follows the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, target)
    except OSError as error:
        raise UserError(f"could not write {target}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(target: str | os.PathLike) -> Iterator[Path]:
    """An empty folder beside ``target`` to fill; it becomes ``target`` only if the block succeeds.

    Where ``target`` has come into being meanwhile (another process was quicker), the new folder is dropped and the
    one in place is kept. On any error, an interrupt included, nothing is left. Raises UserError as ``atomic_path``.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    except OSError as error:
        raise UserError(f"cannot write to {target.parent}: {error.strerror}; choose another folder") from error
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
        raise UserError(f"could not write {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: str | os.PathLike, text: str) -> None:
    """Write ``text`` as UTF-8, atomically."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: str | os.PathLike, value: Any, indent: int | None = 2) -> None:
    """Write ``value`` as JSON, atomically, with a final newline."""
    write_text(target, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """The JSON value in ``path``; UserError where it is missing, unreadable or damaged."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); delete it or restore it") from error


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
