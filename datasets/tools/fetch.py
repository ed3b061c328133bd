"""One file from the web or from Google Drive: resumed where it was cut off, checked before it is believed.

A download in progress is ``NAME.part`` with a note ``NAME.part.json`` of what it is part of, so that a part of another
file, or of another version of it, is never continued.
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

from craft.common.errors import UserError
from craft.common.files import read_json, write_json
from craft.datasets.sources import DataFile, Source

ATTEMPTS = 5
TIMEOUT = 60  # seconds without a byte
BLOCK = 1 << 16
AGENT = "dassl-craft (craft data download)"


def fetch(source: Source, target: Path, published: DataFile | None = None) -> Path:
    """Download ``source`` to ``target``, continuing ``target.part``; returns ``target``.

    ``published`` may carry a size and checksums of its own (a plain file's). A resumed download that fails its
    checksum is fetched once more from the start: the server may have changed the file meanwhile without saying so.
    A file that lies at ``target`` and is not the published one was put there by somebody: it is moved aside.
    """
    problem = ""
    if target.is_file():
        problem = mismatch(target, source, published)
        if not problem:
            return target
        if not source.scripted:
            raise UserError(f"{target} is {problem}; fetch it again from {source}")
        print(f"{target} is {problem}; it is moved to {move_aside(target).name}, and the published file is fetched")
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


def move_aside(path: Path) -> Path:
    """Rename a file that is in the way to ``NAME.aside`` (``NAME.aside2``, …), and return its new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.aside{number if number > 1 else ''}")).exists():
        number += 1
    return path.rename(aside)


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
