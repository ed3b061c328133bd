"""Unpacking archives that nobody here made: zip and tar, into an empty folder, without trusting a single member.

A member with an absolute path or ``..``, a device, and a link that points out of the archive end the unpacking. A link
inside the archive becomes a copy of the file it names, so that no link ever reaches the disk. Modes, owners and times
are not taken over.
"""

from __future__ import annotations

import contextlib
import functools
import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

from craft.common.errors import UserError

DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


class Member(NamedTuple):
    """One entry: ``name`` as written, ``kind`` "file", "dir" or "link" (to ``target``), ``open`` gives its bytes."""

    name: str
    kind: str
    target: str
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, into: Path, strip: str = "", progress: Callable[[int], object] | None = None) -> int:
    """Unpack ``archive`` (zip, tar, tar.gz, tar.bz2, tar.xz: told by content) into the empty folder ``into``.

    Args:
        strip: leading path inside the archive to drop; members elsewhere are left out.
        progress: called with the number of bytes of each block written.

    Returns the number of files written. Raises UserError for a damaged archive, one that is no archive, a full disk,
    and for a member that must not be unpacked; the caller throws ``into`` away then.
    """
    links: list[tuple[Member, str]] = []
    written = 0
    try:
        for member in _members(archive):
            path = _stripped(_inside(archive, member.name), strip)
            if path is None:
                continue
            if member.kind == "link":
                links.append((member, path))
            elif member.kind == "dir":
                (into / path).mkdir(parents=True, exist_ok=True)
            else:
                _write(member, into / path, progress)
                written += 1
        # A link may point to a link that comes later, so go round until nothing moves any more.
        while ready := [link for link in links if _link_source(archive, *link, into, strip)]:
            for member, path in ready:
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                source = _link_source(archive, member, path, into, strip)
                assert source is not None, "found a moment ago"
                shutil.copyfile(source, into / path)
                written += 1
            links = [link for link in links if link not in ready]
        if links:
            member = links[0][0]
            raise UserError(f"{archive}: member {member.name!r} links to {member.target!r}, which is no file in it")
    except DAMAGE as error:
        raise UserError(f"{archive} is damaged or cut short ({error}); delete it and download it again") from error
    except OSError as error:
        raise UserError(f"cannot unpack {archive} into {into}: {error.strerror or error}") from error
    if not written:
        raise UserError(f"{archive} holds no file" + (f" below {strip}" if strip else ""))
    return written


def _members(archive: Path) -> Iterator[Member]:
    """The entries of a zip or tar in their order; UserError for anything else and for devices."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if info.flag_bits & 1:
                    raise UserError(f"{archive}: member {info.filename!r} is encrypted; unpack it by hand")
                mode = info.external_attr >> 16
                kind, target = "dir" if info.is_dir() else "file", ""
                if stat.S_ISLNK(mode):
                    kind, target = "link", posixpath.join(posixpath.dirname(info.filename), _text(opened.read(info)))
                elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise UserError(f"{archive}: member {info.filename!r} is a device or pipe; not unpacked")
                yield Member(info.filename, kind, target, functools.partial(opened.open, info))
        return
    with contextlib.ExitStack() as stack:
        try:
            tar = stack.enter_context(tarfile.open(archive, "r:*"))
        except tarfile.ReadError:
            raise UserError(f"{archive} is neither a zip nor a tar archive; delete it and download it again") from None
        for entry in tar:
            kind, target = "dir" if entry.isdir() else "file", ""
            if entry.issym():
                kind, target = "link", posixpath.join(posixpath.dirname(entry.name), entry.linkname)
            elif entry.islnk():
                kind, target = "link", entry.linkname
            elif not (entry.isreg() or entry.isdir()):
                raise UserError(f"{archive}: member {entry.name!r} is a device or pipe; not unpacked")
            yield Member(entry.name, kind, target, functools.partial(tar.extractfile, entry))


def _text(name: bytes) -> str:
    """A link's target as text; what is not UTF-8 stays distinguishable and matches no member."""
    return name.decode("utf-8", errors="surrogateescape")


def _inside(archive: Path, name: str) -> str:
    """The name of a member, normalised; UserError where it leads out of the folder that it is unpacked to.

    Backslashes and drive letters count as they would on Windows, so that a hostile archive is refused everywhere.
    """
    parts = name.replace("\\", "/").split("/")
    if not name or name[0] in "/\\" or ".." in parts or name[1:2] == ":" or "\0" in name:
        raise UserError(f"{archive}: member {name!r} would be written outside of the target folder; nothing unpacked")
    return posixpath.normpath(name)


def _stripped(path: str, strip: str) -> str | None:
    """``path`` relative to ``strip``, or None where it is not below it (or is the root itself)."""
    if strip:
        prefix = strip.strip("/") + "/"
        path = path.removeprefix(prefix) if path.startswith(prefix) else "."
    return None if path == "." else path


def _write(member: Member, path: Path, progress: Callable[[int], object] | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = member.open()
    assert content is not None, "only folders and links have none"
    with content as source, open(path, "wb") as sink:
        while block := source.read(1 << 20):
            sink.write(block)
            if progress:
                progress(len(block))


def _link_source(archive: Path, member: Member, path: str, into: Path, strip: str) -> Path | None:
    """The unpacked file that a link names, None where there is none (yet); UserError for a link out of the archive."""
    target = posixpath.normpath(member.target.replace("\\", "/"))
    if target.startswith(("/", "..")):
        raise UserError(f"{archive}: member {member.name!r} links out of it, to {member.target!r}; not unpacked")
    source = _stripped(target, strip)
    if source is None or source == path or not (into / source).is_file():
        return None
    return into / source
