"""A disk that is full at one write of a run, or cannot take files beyond a size, or a small one that fills up.

The run ends with a line that says so, or with its numbers; and the same command afterwards, with room, gives the
numbers of a run that was left alone.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import subprocess
from pathlib import Path

from tests.soak import runs
from tests.soak.children import NEED_ROOM, Child, command, full_at, full_beyond, operations, scratch
from tests.soak.tally import Tally

SIZES = (0, 1, 100, 1000, 2000, 3000, 5000, 10_000, 20_000, 50_000)


def run(names: list[str], seed: int, every: int = 1) -> Tally:
    """Each of the trainers ``names`` with every ``every``-th write failing, and files limited to each size."""
    tally, draw = Tally("full disk", 0), random.Random(seed)
    with scratch() as folder:
        for name in names:
            runs.train(folder / name, name)
            expected = runs.numbers(folder / name)
            writes = operations(
                runs.arguments(folder / "counted", name), folder, changes=NEED_ROOM, environment=_cold(folder)
            )
            for number in range(draw.randint(1, every), writes + 1, every):
                _one(tally, folder, name, expected, full_at(number, folder), f"write {number} of {writes}")
            for size in SIZES[:: max(1, every // 3)]:
                _one(tally, folder, name, expected, full_beyond(size), f"files of {size} bytes at most")
        _small_disk(tally, folder, names[0], range(16, 400, 16 * every))
    return tally


def _cold(folder: Path) -> dict[str, str]:
    """The environment of a run with cold caches, but for the images, which take hundreds of writes."""
    cache = folder / "cold"
    shutil.rmtree(folder / "draws", ignore_errors=True)
    shutil.rmtree(cache, ignore_errors=True)
    for images in (folder / "cache").glob("digits*"):
        shutil.copytree(images, cache / images.name)
    return {"CRAFT_CACHE": str(cache)}


def _one(tally: Tally, folder: Path, name: str, expected: dict, before, how: str) -> None:
    """One run with a full disk, and one with room after it."""
    here, cold = folder / "full", _cold(folder)
    shutil.rmtree(here, ignore_errors=True)
    ended = Child(runs.arguments(here, name), before, cold).wait()
    outcome = ended.outcome(lambda: runs.same(here, expected))
    if outcome in ("same", "refused"):
        again = command(runs.arguments(here, name), environment=cold)
        after = again.outcome(lambda: runs.same(here, expected))
        if after != "same":
            outcome, ended = f"afterwards {after}", again
    tally.add(name, outcome, f"{how}: {ended.last()}")


def _small_disk(tally: Tally, folder: Path, name: str, sizes) -> None:
    """A real file system of so many KiB, where this machine lets one be mounted."""
    disk = folder / "disk"
    disk.mkdir()
    runs.train(folder / name, name)
    expected = runs.numbers(folder / name)
    kind = f"{name} on a small disk"
    for size in sizes:
        if not _mounts(disk, size):
            return
        try:
            ended = command(runs.arguments(disk / "run", name))
            tally.add(kind, ended.outcome(lambda: runs.same(disk / "run", expected)), f"{size} KiB: {ended.last()}")
        finally:
            subprocess.run(["umount", str(disk)], check=True)


def _mounts(disk: Path, kib: int) -> bool:
    if os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.mount(b"tmpfs", str(disk).encode(), b"tmpfs", 0, f"size={kib}k".encode()) == 0
