"""Unpacking archives that nobody here made: zip and tar, into an empty folder, without trusting a single member.

A member with an absolute path or ``..``, a device, and a link that points out of the archive end the unpacking. A link
inside the archive becomes a copy of the file it names, so that no link ever reaches the disk. Modes, owners and times
are not taken over. How many members there may be, what they may amount to on the disk, and how long a chain of links
may be is limited (``LIMITS``), since a few kilobytes can unpack to petabytes.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import lzma
import posixpath
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from craft.common.errors import UserError


class Limits(NamedTuple):
    """What an archive may unpack to. Data sets are images, which hardly grow: far from any of these.

    members     entries, of any kind
    ratio       times the size of the archive, in bytes on the disk
    always      bytes on the disk that every archive may have, however small it is
    chain       links to links that lead to one file, as many as Linux follows
    text        bytes of a name, a link's target, or of a header beside it
    """

    members: int = 5_000_000
    ratio: int = 100
    always: int = 2**30
    chain: int = 40
    text: int = 2**20


LIMITS = Limits()
BLOCK = 2**18  # bytes read at a time


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
        meter = _Meter(archive, into, progress)
        for member in _members(archive, into):
            meter.member()
            path = _stripped(_inside(archive, member.name), strip)
            if path is None:
                continue
            if member.kind == "link":
                links.append((member, path))
            elif member.kind == "dir":
                (into / path).mkdir(parents=True, exist_ok=True)
            else:
                _write(member, into / path, meter)
                written += 1
        # A link may point to a link that comes later, so go round until nothing moves any more.
        for _ in range(LIMITS.chain):
            ready = [(*link, source) for link in links if (source := _link_source(archive, *link, into, strip))]
            for _, path, source in ready:
                (into / path).parent.mkdir(parents=True, exist_ok=True)
                with open(source, "rb") as content, open(into / path, "wb") as sink:
                    _copy(content, sink, meter)
                written += 1
            moved = {path for _, path, _ in ready}
            links = [link for link in links if link[1] not in moved]
            if not ready or not links:
                break
        if links:
            member = links[0][0]
            raise UserError(
                f"{archive}: member {member.name!r} links to {member.target!r}, which is no file in it, or one behind "
                f"more than {LIMITS.chain} links"
            )
    except (UserError, MemoryError):
        raise
    except OSError as error:
        if not isinstance(error, gzip.BadGzipFile):
            raise UserError(f"cannot unpack {archive} into {into}: {error.strerror or error}") from error
        raise _damaged(archive, error) from error
    except Exception as error:  # zipfile and tarfile raise whatever the damage leads to
        raise _damaged(archive, error) from error
    if not written:
        raise UserError(f"{archive} holds no file" + (f" below {strip}" if strip else ""))
    return written


def _damaged(archive: Path, error: Exception) -> UserError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return UserError(f"{archive} is damaged or cut short ({reason}); delete it and download it again")


class _Meter:
    """Counts what an archive unpacks to; UserError where it is more than LIMITS or the disk allow."""

    def __init__(self, archive: Path, into: Path, progress: Callable[[int], object] | None):
        self.archive, self.progress = archive, progress
        self.most = max(LIMITS.always, LIMITS.ratio * archive.stat().st_size)
        self.free = shutil.disk_usage(into).free
        self.members = self.bytes = 0

    def member(self) -> None:
        self.members += 1
        if self.members > LIMITS.members:
            raise UserError(f"{self.archive} has more than {LIMITS.members:,} members: no data set has; not unpacked")

    def block(self, size: int) -> None:
        """To be called before ``size`` bytes are written."""
        self.bytes += size
        if self.bytes > self.most:
            raise UserError(
                f"{self.archive} unpacks to more than {self.most:,} bytes, {LIMITS.ratio} times its own size: not "
                "unpacked. If it is what its authors publish, unpack it by hand"
            )
        if self.bytes > self.free:
            raise UserError(
                f"{self.archive} unpacks to more than the {self.free / 1e9:.1f} GB that are free; make room and run "
                "the same command again"
            )
        if self.progress:
            self.progress(size)


def _members(archive: Path, into: Path) -> Iterator[Member]:
    """The entries of a zip or tar in their order; UserError for anything else and for devices."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                if info.flag_bits & 1:
                    raise UserError(f"{archive}: member {info.filename!r} is encrypted; unpack it by hand")
                mode = info.external_attr >> 16
                kind, target = "dir" if info.is_dir() else "file", ""
                if stat.S_ISLNK(mode):
                    if info.file_size > LIMITS.text:
                        raise UserError(f"{archive}: the target of link {info.filename!r} is too long; not unpacked")
                    kind, target = "link", posixpath.join(posixpath.dirname(info.filename), _text(opened.read(info)))
                elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise UserError(f"{archive}: member {info.filename!r} is a device or pipe; not unpacked")
                yield Member(info.filename, kind, target, functools.partial(opened.open, info))
        return
    with contextlib.ExitStack() as stack:
        stream = stack.enter_context(_decompressed(archive))
        try:
            tar = stack.enter_context(tarfile.open(fileobj=cast(IO[bytes], _Bounded(stream)), mode="r:"))
        except (tarfile.ReadError, OSError, EOFError, zlib.error, lzma.LZMAError):
            raise UserError(f"{archive} is neither a zip nor a tar archive; delete it and download it again") from None
        for entry in tar:
            cast(Any, tar).members.clear()  # kept for those who look up names: memory for nothing
            kind, target = "dir" if entry.isdir() else "file", ""
            if entry.issym():
                kind, target = "link", posixpath.join(posixpath.dirname(entry.name), entry.linkname)
            elif entry.islnk():
                kind, target = "link", entry.linkname
            elif not (entry.isreg() or entry.isdir()):
                raise UserError(f"{archive}: member {entry.name!r} is a device or pipe; not unpacked")
            _inside(archive, entry.name)
            _filtered(archive, entry, into)
            yield Member(entry.name, kind, target, functools.partial(tar.extractfile, entry))


def _filtered(archive: Path, entry: tarfile.TarInfo, into: Path) -> None:
    """Python's own judgement of a member, where this Python has it: UserError for what its ``data`` filter refuses."""
    if not hasattr(tarfile, "data_filter"):  # 3.10 and 3.11 before their last updates
        return
    try:
        tarfile.data_filter(entry, str(into))
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: member {entry.name!r} is refused, a link or file out of it ({error})") from error


def _decompressed(archive: Path) -> IO[bytes]:
    """The bytes of a tar that may be compressed by gzip, bzip2 or xz, told by its first bytes."""
    with open(archive, "rb") as stream:
        first = stream.read(6)
    for start, opened in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if first.startswith(start):
            return cast(IO[bytes], opened(archive, "rb"))
    return open(archive, "rb")


class _Bounded:
    """A stream that never gives much at once: a tar's headers say how much memory reading them takes."""

    def __init__(self, stream: IO[bytes]):
        self.stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LIMITS.text:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.stream.read(size)


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


def _write(member: Member, path: Path, meter: _Meter) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = member.open()
    assert content is not None, "only folders and links have none"
    with content as source, open(path, "wb") as sink:
        _copy(source, sink, meter)


def _copy(source: IO[bytes], sink: IO[bytes], meter: _Meter) -> None:
    while block := source.read(BLOCK):
        meter.block(len(block))
        sink.write(block)


def _link_source(archive: Path, member: Member, path: str, into: Path, strip: str) -> Path | None:
    """The unpacked file that a link names, None where there is none (yet); UserError for a link out of the archive."""
    target = posixpath.normpath(member.target.replace("\\", "/"))
    if target.startswith(("/", "..")):
        raise UserError(f"{archive}: member {member.name!r} links out of it, to {member.target!r}; not unpacked")
    source = _stripped(target, strip)
    if source is None or source == path or not (into / source).is_file():
        return None
    return into / source
