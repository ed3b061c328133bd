"""SIGKILL at random moments and right before file operations, over all trainers; the same command then goes on.

A run that was killed once or several times must leave the numbers of one that was left alone, bit by bit.
"""

from __future__ import annotations

import random
import re
import shutil
import time
from pathlib import Path

from tests.soak import runs
from tests.soak.children import Child, kill_at, operations, scratch
from tests.soak.tally import Tally


def run(count: int, seed: int, names: list[str] | None = None) -> Tally:
    """``count`` kills, in turn over the trainers ``names`` (all)."""
    tally, draw = Tally("kills", count), random.Random(seed)
    names = names or [name for name in runs.trainers() if name != "ZeroshotCLIP"]
    with scratch() as folder:
        expected, seconds, writes = {}, {}, {}
        for name in names:
            whole = runs.train(folder / name, name)
            assert whole.status == 0, whole.output
            began = time.monotonic()
            runs.train(folder / f"{name}-again", name)
            seconds[name] = time.monotonic() - began  # with warm caches, as those that are killed
            writes[name] = operations(runs.arguments(folder / f"{name}-counted", name), folder)
            expected[name] = runs.numbers(folder / name)
            shutil.rmtree(folder / f"{name}-again")
        number = 0
        while tally.trials < count:
            name = names[number % len(names)]
            number += 1
            _one(tally, folder / "killed", name, expected[name], (seconds[name], writes[name]), draw, count)
    return tally


def _one(tally: Tally, folder: Path, name: str, expected: dict, bounds: tuple, draw, count: int) -> None:
    """A run that is killed one to three times and then left alone."""
    shutil.rmtree(folder, ignore_errors=True)
    kills = []
    for _ in range(min(draw.randint(1, 3), count - tally.trials)):
        before, after = None, None
        if draw.random() < 0.5:
            at = draw.randint(1, bounds[1])
            before, how = kill_at(at, folder.parent), f"before operation {at}"
        else:
            after = draw.uniform(0, bounds[0])
            how = f"after {after:.3f} s"
        ended = Child(runs.arguments(folder, name), before).wait(after)
        if ended.status == -9:
            kills.append(how)
        elif ended.status != 0:
            tally.add(name, ended.outcome(lambda: True), f"killed {'; '.join(kills)}; then {ended.last()}")
            return
    ended = runs.train(folder, name)
    outcome = ended.outcome(lambda: runs.same(folder, expected))
    left = list(folder.rglob("*.tmp")) if outcome == "same" else []
    if left:
        outcome = "files left over"
    said = re.sub(r"\s+", " ", ended.last())
    for _ in kills:
        tally.add(name, outcome, f"killed {'; '.join(kills)}; then {said} {[p.name for p in left]}")
