"""What a sweep says while it goes on: a line for each run that starts or ends, how long the rest may take, and on a
terminal a last line that shows how far each run is."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from craft.common.errors import UserError
from craft.lab.sweeps.plan import Run
from craft.runs import record

EVERY = 1.0  # seconds between two looks at the records of what runs


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``3 h 20 min``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def epochs_of(folder: Path) -> tuple[int, int]:
    """(finished epochs, all epochs) of the run that is under way in a folder, by its record; zeros where it does not
    say, or is that of an earlier run still."""
    try:
        state = record.state_of(folder)
    except UserError:
        return 0, 0
    return (state.epoch, state.epochs) if state.name in ("running", "interrupted") else (0, 0)


@dataclass
class Going:
    """A run that an executor has. handle: the executor's. first: epochs that it had finished before it was started;
    started: when that was, by the monotonic clock."""

    run: Run
    arguments: tuple[str, ...]
    handle: object
    first: int = 0
    started: float = field(default_factory=time.monotonic)


@dataclass
class Estimate:
    """How long runs take, learned from those that have ended: a run takes as long as the mean of the ended ones that
    are most like it (of its phase, data set, shots and trainer; of its phase and trainer; of its phase; any)."""

    took: list[tuple[Run, float]] = field(default_factory=list)

    def of(self, run: Run) -> float | None:
        """Seconds of a whole run; None while none has ended."""
        for alike in (
            lambda one: (one.phase, one.dataset, one.shots, one.trainer),
            lambda one: (one.phase, one.trainer),
            lambda one: one.phase,
            lambda one: None,
        ):
            seconds = [took for other, took in self.took if alike(other) == alike(run)]
            if seconds:
                return sum(seconds) / len(seconds)
        return None

    def left(self, waiting: list[Run], going: list[Going], jobs: int, now: float) -> float | None:
        """Seconds until all are done, ``jobs`` at a time; None where nothing tells. waiting: those to be run."""
        seconds = []
        for one in going:
            elapsed, (epoch, epochs) = now - one.started, epochs_of(one.run.folder)
            whole = self.of(one.run)
            if epoch > one.first and epochs:
                whole = elapsed * (epochs - one.first) / (epoch - one.first)
            seconds.append(None if whole is None else max(0.0, whole - elapsed))
        known = [whole for one in going if (whole := self.of(one.run)) is not None]
        # The first run of all says by its epochs how long those like it will take.
        known += [rest + now - one.started for one, rest in zip(going, seconds) if rest is not None]
        for run in waiting:
            whole = self.of(run)
            seconds.append(sum(known) / len(known) if whole is None and known else whole)
        found = [one for one in seconds if one is not None]
        if len(found) < len(seconds):
            return None
        return max([sum(found) / max(1, jobs), *found[: len(going)]], default=0.0)


class Lines:
    """Prints lines to a stream, and where that is a terminal one below them that is written again and again."""

    def __init__(self, stream: TextIO):
        self.stream, self.terminal = stream, stream.isatty()
        self.shown, self.said = False, False  # the line of progress, now; any line, ever
        self.last = -EVERY

    def say(self, line: str) -> None:
        """A line that stays."""
        self.clear()
        self.said = True
        print(line, file=self.stream, flush=True)

    def due(self) -> bool:
        """Whether the line of progress may be written again now."""
        now = time.monotonic()
        if not self.terminal or now - self.last < EVERY:
            return False
        self.last = now
        return True

    def show(self, line: str) -> None:
        """The line of progress, cut to the width of the terminal; nothing where there is none."""
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            print("\r\x1b[K" + (line if len(line) <= width else line[: width - 1] + "…"), end="", file=self.stream)
            self.stream.flush()
            self.shown = True

    def clear(self) -> None:
        if self.shown:
            print("\r\x1b[K", end="", file=self.stream, flush=True)
            self.shown = False


def status(done: int, total: int, going: list[Going], left: float | None) -> str:
    """``3 of 12 done; CoOp pacs-photo seed1: epoch 7/50; about 12 min left``."""
    parts = [f"{done} of {total} done"]
    for one in going:
        epoch, epochs = epochs_of(one.run.folder)
        where = f"epoch {epoch}/{epochs}" if epochs else "at work"
        parts.append(f"{one.run.trainer} {one.run.dataset} seed{one.run.seed}: {where}")
    if left is not None:
        parts.append(f"about {duration(left)} left")
    return "; ".join(parts)
