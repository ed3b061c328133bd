"""Fetching data sets by name: every download is resumed where it was cut off, checked against its published size and
checksum, unpacked without trusting it (``archives``), and moved into place only when it is whole.

What there is to fetch stands in the readers' ``files``; nothing here knows a data set by name. A download in progress
lies in ``.download/`` inside the data set's folder, as ``NAME.part`` with a note ``NAME.part.json`` of what it is part
of, so that a part of another file, or of another version of it, is never continued.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from tqdm import tqdm

from common.errors import UserError
from common.files import read_json, write_json
from datasets import archives, listing
from datasets.generated import locked
from datasets.sources import DataFile, Source

ATTEMPTS = 5
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 16
AGENT = "dassl-craft (datasets download)"


def download_dataset(files: tuple[DataFile, ...], folder: Path, keep: bool = False) -> tuple[list[str], list[DataFile]]:
    """Fetch what is missing of ``files`` into ``folder``.

    Args:
        keep: leave the archives in ``folder/.download`` after unpacking them.

    Returns the paths that were put in place, and the files that only a person can fetch. Raises UserError for a
    failed download, a wrong size or checksum, and an archive that must not be unpacked; whatever was whole by then
    stays, and the same call goes on from there.
    """
    wanted: dict[Source, list[DataFile]] = {}
    by_hand = []
    for file in files:
        if file.role == "extra" or listing.present(folder / file.path, file.kind):
            continue
        source = next((source for source in file.sources if source.scripted), None)
        if source is None:
            by_hand.append(file)
        else:
            wanted.setdefault(source, []).append(file)
    placed: list[str] = []
    if wanted:
        workshop = folder / ".download"
        try:
            workshop.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {folder}: {error.strerror}; choose another --root") from error
        with locked(workshop / "downloads", wait=False):
            for source, members in wanted.items():
                placed += _fetch_and_place(source, members, folder, keep)
    return placed, by_hand


def _fetch_and_place(source: Source, members: list[DataFile], folder: Path, keep: bool) -> list[str]:
    """One download: fetched, checked, unpacked where it is an archive, moved into place."""
    name = source.filename or Path(urllib.parse.urlsplit(source.url).path).name or Path(members[0].path).name
    workshop = folder / ".download"
    archive = fetch(source, workshop / Path(name).name, published=members[0] if source.unpack is None else None)
    if source.unpack is None:
        target = folder / members[0].path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(archive, target)
        return [members[0].path]
    scratch = workshop / f"{archive.name}.unpacked"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        scratch.mkdir()
        with tqdm(desc=f"unpacking {archive.name}", unit="B", unit_scale=True, disable=None) as bar:
            archives.unpack(archive, scratch, source.strip, bar.update)
        absent = [m.path for m in members if not _in_archive(scratch, source, m)]
        if absent:
            raise UserError(f"{archive} does not hold {', '.join(absent)}; look at {source.page or source}")
        merge(scratch, folder / source.unpack)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not keep:
        archive.unlink()
    return [member.path for member in members]


def _in_archive(scratch: Path, source: Source, member: DataFile) -> bool:
    below = os.path.relpath(member.path, source.unpack or ".")
    return below.startswith("..") or listing.present(scratch / below, member.kind)


def merge(source: Path, target: Path) -> None:
    """Move what is in ``source`` into ``target``: one rename for each entry that ``target`` does not have.

    A folder that is in both is merged; a file that is in both is replaced.
    """
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            merge(entry, place)
        elif place.is_dir():
            raise UserError(f"{place} is a folder where the archive has a file; move it away")
        else:
            os.replace(entry, place)


# -- one file --------------------------------------------------------------------------


def fetch(source: Source, target: Path, published: DataFile | None = None) -> Path:
    """Download ``source`` to ``target``, continuing ``target.part``; returns ``target``.

    ``published`` may carry a size and checksums of its own (a plain file's). A resumed download that fails its
    checksum is fetched once more from the start: the server may have changed the file meanwhile without saying so.
    """
    problem = ""
    if target.is_file():
        problem = mismatch(target, source, published)
        if not problem:
            return target
        target.unlink()
    part = target.with_name(target.name + ".part")
    for _ in range(2):
        resumed = part.exists()
        (_fetch_drive if source.gdrive else _fetch_url)(source, part)
        problem = mismatch(part, source, published)
        if not problem:
            os.replace(part, target)
            _note(part).unlink(missing_ok=True)
            return target
        part.unlink()
        _note(part).unlink(missing_ok=True)
        if not resumed:
            break
    raise UserError(f"{source} gave {problem}; nothing was kept. Try again, or fetch it by hand to {target}")


def mismatch(path: Path, source: Source, published: DataFile | None = None) -> str:
    """What is wrong with a download, or "" where size and checksums are the published ones (or none is published)."""
    known = [source] + ([published] if published else [])
    size = path.stat().st_size
    for size_wanted in (k.size for k in known if k.size is not None):
        if size != size_wanted:
            return f"{size} bytes instead of {size_wanted}"
    for algorithm in ("md5", "sha256"):
        for digest_wanted in (getattr(k, algorithm) for k in known if getattr(k, algorithm)):
            state = hashlib.new(algorithm, usedforsecurity=False)
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    state.update(block)
            if state.hexdigest() != digest_wanted.lower():
                return f"a file with {algorithm} {state.hexdigest()} instead of {digest_wanted}"
    if not size:
        return "an empty file"
    return ""


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _fetch_url(source: Source, part: Path) -> None:
    """Download ``source.url`` to ``part``; after an interruption go on from there, up to ATTEMPTS times in a row."""
    scheme = urllib.parse.urlsplit(source.url).scheme
    if scheme not in ("http", "https"):
        raise UserError(f"{source.url}: only http and https addresses are fetched")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _continue_url(source.url, part)
            return
        except urllib.error.HTTPError as error:
            if error.code == 416:  # the part is as long as the file, or longer: it is not to be trusted
                part.unlink(missing_ok=True)
            elif error.code < 500 and error.code not in (408, 429):
                page = f"; see {source.page}" if source.page else ""
                raise UserError(f"{source.url} answered {error.code} {error.reason}{page}") from error
            reason: object = f"{error.code} {error.reason}"
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno is not None and error.filename:
                raise UserError(f"cannot write {part}: {error.strerror}") from error
            reason = getattr(error, "reason", None) or error
        grown = part.exists() and part.stat().st_size > before
        failures = 1 if grown else failures + 1
        if failures >= ATTEMPTS:
            have = part.stat().st_size if part.exists() else 0
            kept = f"; {have} bytes are kept, the same command goes on from there" if have else ""
            raise UserError(f"{source.url} could not be downloaded ({reason}){kept}")
        time.sleep(_pause(failures))


def _pause(failures: int) -> float:
    """Seconds to wait before another attempt."""
    return min(30.0, 0.5 * 2**failures)


def _continue_url(url: str, part: Path) -> None:
    """One connection: asks for what is missing of ``part`` and appends it; OSError where it ends early."""
    request = urllib.request.Request(url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity"})
    have = 0
    note = _read_note(part)
    if part.exists() and note.get("url") == url and note.get("validator"):
        have = part.stat().st_size
        if have and have == note.get("size"):
            return
        # If-Range: the server sends the rest only if the file is still the one that the part belongs to.
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", note["validator"])
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if urllib.parse.urlsplit(response.url).scheme not in ("http", "https"):
            raise UserError(f"{url} redirects to {response.url}; only http and https addresses are fetched")
        resumed = response.status == 206 and _range_start(response) == have > 0
        if not resumed:
            have = 0
            etag = response.headers.get("ETag", "")
            validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
            size = int(response.headers.get("Content-Length") or 0) or None
            write_json(_note(part), {"url": url, "validator": validator, "size": size})
        else:
            size = note.get("size")
        if size:
            _check_space(part, size - have)
        with (
            open(part, "ab" if resumed else "wb") as sink,
            tqdm(desc=part.stem, total=size, initial=have, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while block := response.read(BLOCK):
                sink.write(block)
                bar.update(len(block))
    got = part.stat().st_size
    if size and got < size:
        raise ConnectionError(f"the connection ended after {got} of {size} bytes")


def _range_start(response) -> int:
    """The first byte of a partial answer, or -1."""
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    first = rest.split("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1


def _read_note(part: Path) -> dict:
    """What a part belongs to; empty where the note is missing or damaged, so that the download starts anew."""
    try:
        note = read_json(_note(part))
    except UserError:
        return {}
    return note if isinstance(note, dict) else {}


def _check_space(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise UserError(f"{part.parent} has {free / 1e9:.1f} GB free, the download needs {needed / 1e9:.1f} GB more")


def _fetch_drive(source: Source, part: Path) -> None:
    """Download a Google Drive file to ``part``; gdown keeps and continues its own partial file beside it."""
    import gdown

    try:
        answer = gdown.download(id=source.gdrive, output=str(part), resume=True, quiet=False)
    except Exception as error:  # gdown raises errors of its own, of requests, and plain RuntimeError
        line = " ".join(str(error).split())[:200] or type(error).__name__
        by_hand = part.with_suffix("")
        raise UserError(
            f"Google Drive would not give {source} to a script ({line}); open that address and save the file as "
            f"{by_hand}, then run the same command again"
        ) from error
    if not answer or not part.is_file():
        by_hand = part.with_suffix("")
        raise UserError(f"Google Drive gave nothing for {source}; open that address and save it as {by_hand}")
