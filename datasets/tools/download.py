"""Fetching data sets by name: every download is checked against its published size and checksum (``fetch``), unpacked
without trusting it (``archives``), and moved into place only when it is whole.

What there is to fetch stands in the readers' ``files``; nothing here knows a data set by name. Downloads lie in
``.download/`` inside the data set's folder until they are in place.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import urllib.parse
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.generated import locked
from craft.datasets.sources import DataFile, Source
from craft.datasets.tools import archives
from craft.datasets.tools.fetch import fetch, move_aside


class Outcome(NamedTuple):
    """What became of a data set's missing files: ``placed`` paths, files only a person can get, and complaints."""

    placed: list[str]
    by_hand: list[DataFile]
    failures: list[str]


def download_dataset(files: tuple[DataFile, ...], folder: Path, keep: bool = False) -> Outcome:
    """Fetch what is missing of ``files`` into ``folder``.

    Annotations are fetched only where there is no published split afterwards. An archive that only a person can fetch
    is unpacked once it lies in ``folder/.download`` under its name. Where a file has several sources, the next is
    tried when one fails; a file that fails for good does not keep the others from coming, and what is whole stays, so
    that the same call goes on from there.

    Nothing is removed that was not downloaded here: an archive that was there before stays, and a file in the way of
    another one from an archive is moved aside.

    Args:
        keep: leave the archives in ``folder/.download`` after unpacking them.
    """
    outcome = Outcome([], [], [])
    workshop = folder / ".download"

    def missing(roles: set[str]) -> list[DataFile]:
        return [f for f in files if f.role in roles and not listing.present(folder / f.path, f.kind)]

    if not missing({"required", "split", "annotations"}):
        return outcome
    try:
        workshop.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another --root") from error
    with locked(workshop / "downloads", wait=False):
        _obtain(missing({"required", "split"}), folder, keep, outcome)
        if not any(f.role == "split" and listing.present(folder / f.path, f.kind) for f in files):
            _obtain(missing({"annotations"}), folder, keep, outcome)
    return outcome


def _obtain(files: list[DataFile], folder: Path, keep: bool, outcome: Outcome) -> None:
    """Fetch the files, those that come from the same place at once, and note in ``outcome`` what became of them."""
    wanted: dict[tuple[Source, ...], list[DataFile]] = {}
    for file in files:
        at_hand = [s for s in file.sources if s.scripted or _saved_as(s, file, folder).is_file()]
        if at_hand:
            wanted.setdefault(tuple(at_hand), []).append(file)
        else:
            outcome.by_hand.append(file)
    for sources, members in wanted.items():
        failures = []
        for source in sources:
            try:
                outcome.placed.extend(_fetch_and_place(source, members, folder, keep))
                break
            except UserError as error:
                failures.append(str(error))
        else:
            outcome.failures.extend(failures)


def _saved_as(source: Source, file: DataFile, folder: Path) -> Path:
    """Where a download lies until it is unpacked or moved."""
    name = source.filename or Path(urllib.parse.urlsplit(source.url).path).name or Path(file.path).name
    return folder / ".download" / Path(name).name


def _fetch_and_place(source: Source, members: list[DataFile], folder: Path, keep: bool) -> list[str]:
    """One download: fetched, checked, unpacked where it is an archive, moved into place."""
    target = _saved_as(source, members[0], folder)
    workshop = target.parent
    before = _identity(target)
    archive = fetch(source, target, published=members[0] if source.unpack is None else None)
    if source.unpack is None:
        target = folder / members[0].path
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise UserError(f"{target} is a folder where a file should be; move it away")
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
    if before is not None and before == _identity(archive):
        print(f"{archive} was there before and stays; delete it if you do not need it any more")
    elif not keep:
        archive.unlink()
    return [member.path for member in members]


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at ``path``; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_archive(scratch: Path, source: Source, member: DataFile) -> bool:
    below = os.path.relpath(member.path, source.unpack or ".")
    return below.startswith("..") or listing.present(scratch / below, member.kind)


def merge(source: Path, target: Path) -> None:
    """Move what is in ``source`` into ``target``: one rename for each entry that ``target`` does not have.

    A folder that is in both is merged. A file that is in both takes the place of one with the same bytes; one with
    other bytes is moved aside, and a line says so.
    """
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        place = target / entry.name
        if entry.is_dir() and place.is_dir():
            merge(entry, place)
        elif place.is_dir():
            raise UserError(f"{place} is a folder where the archive has a file; move it away")
        elif place.exists() and entry.is_dir():
            raise UserError(f"{place} is a file where the archive has a folder; move it away")
        else:
            if place.is_file() and not filecmp.cmp(place, entry, shallow=False):
                print(f"{place} is another file than the archive's; it is moved to {move_aside(place).name}")
            os.replace(entry, place)
