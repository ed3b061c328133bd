"""Carries out a plan: what is ready goes to an executor, and what came of it is read from the runs' records.

Done runs are kept after their configuration was compared, interrupted ones go on (`craft train` sees to that), a failed
one leaves the others alone, and only what needs it is left out.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.lab.sweeps.executors import Ended, Executor, Job
from craft.lab.sweeps.plan import Run
from craft.lab.sweeps.progress import Estimate, Going, Lines, duration, status
from craft.runs import identity, record
from craft.runs.matching import differences, listed

REMEDY = "Choose another --output, or replace it with --rerun all, narrowed to it by --datasets, --trainers and --seeds"
PAUSE = 0.05  # seconds between two looks at what runs


@dataclass(frozen=True)
class Outcome:
    """result: done, kept (done before), failed, or left out. detail: why; log: where to read on."""

    run: Run
    result: str
    detail: str = ""
    log: Path | None = None
    seconds: float = 0.0


class Check:
    """Compares a planned run with what its folder holds, settings and data. Resolving configurations needs torch; it is
    loaded once, and so is each data set."""

    def __init__(self) -> None:
        self.defaults: Any = None
        self.data: Any = None

    def __call__(self, run: Run, code: bool = False) -> str:
        """``new``, ``resume`` or ``done``; `record.OtherRun` for a run with other settings or data, UserError for data
        that cannot be compared. code: done by other code is new."""
        if not (run.folder / record.RECORD).is_file():
            return "new"
        from craft.trainers import launch

        cfg, options, absent = self._resolved(run)
        mode, model = launch.mode_and_model(cfg, options)
        data = functools.partial(self.data, cfg)
        todo = record.what_to_do(run.folder, cfg, self.defaults, mode, model, absent=absent, data=data, remedy=REMEDY)
        if todo == "done" and code and (record.read(run.folder) or {})["identity"]["code"] != identity.code_digest():
            return "new"
        return todo

    def trained_otherwise(self, run: Run) -> list[str]:
        """In what the training whose prompts ``run`` evaluates is not the one of this plan; how it was tested does not
        count. For a training that is no part of the plan: one that is was compared in its turn."""
        found = record.read(run.trained.folder) if run.trained else None
        if run.trained is None or found is None or "config" not in found:
            return []
        cfg, _, absent = self._resolved(run.trained)
        lines = differences(found, cfg, self.defaults, "train", absent)
        return [line for line in lines if not line.startswith(("TEST.", "DATALOADER.TEST."))]

    def _resolved(self, run: Run) -> tuple[Any, Any, dict[str, Any]]:
        """(configuration, options, `absent_values`) of a run."""
        from craft.config.commandline import parser
        from craft.trainers.data_identity import KnownData
        from craft.trainers.settings import absent_values, get_cfg, setup_cfg

        options = parser("").parse_args(list(run.arguments))
        cfg = setup_cfg(options)
        if self.defaults is None:
            self.defaults, self.data = get_cfg(), KnownData()
        return cfg, options, absent_values(cfg)

    def refusal(self, run: Run) -> tuple[str, str]:
        """What `run` would not keep or go on with, for a grid: ``OTHER``, or ``done?`` for data that cannot be read
        here, and why; empty words for a run that is what was asked for, or that has nothing to lose."""
        try:
            self(run)
        except record.OtherRun as error:
            return "OTHER", str(error)
        except UserError as error:
            return "done?", f"cannot be compared: {error}"
        return "", ""


class _Sweep:
    """A plan while it is carried out."""

    def __init__(
        self, runs: list[Run], executor: Executor, rerun: str, say: Callable[[str], None], lines: Lines | None
    ):
        self.runs, self.executor, self.rerun, self.say = runs, executor, rerun, say
        self.lines, self.estimate = lines, Estimate()
        # Most of these will be kept when their turn comes: they take no time.
        self.there = {run.folder for run in runs if not rerun and _finished(run.folder)}
        self.planned = {run.folder for run in runs}
        self.waiting: list[Run] = list(runs)
        self.going: list[Going] = []
        self.outcomes: dict[Path, Outcome] = {}
        self.check = Check()

    def settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.run.folder] = outcome
        if outcome.result == "done":
            self.estimate.took.append((outcome.run, outcome.seconds))
        took = f" ({outcome.seconds:.0f} s)" if outcome.seconds else ""
        why = f": {outcome.detail}" if outcome.detail else ""
        done, total = len(self.outcomes), len(self.runs)
        left = self.left() if outcome.seconds >= 1 and done < total else None
        rest = "" if left is None else f"; about {duration(left)} left"
        self.say(f"[{done:>{len(str(total))}}/{total}] {outcome.run.name}  {outcome.result}{took}{why}{rest}")

    def left(self) -> float | None:
        """Seconds that the rest may take; None where nothing tells."""
        to_be_run = [run for run in self.waiting if run.folder not in self.there]
        return self.estimate.left(to_be_run, self.going, self.executor.jobs, time.monotonic())

    def show(self) -> None:
        """The line of progress, where it is due."""
        if self.lines is not None and self.lines.due():
            self.lines.show(status(len(self.outcomes), len(self.runs), self.going, self.left()))

    def start_what_is_ready(self, cores: int | None, gpus: float | None) -> None:
        # One run a free job: what became ready meanwhile must not queue behind what comes later in the plan.
        for run in list(self.waiting):
            if len(self.going) >= self.executor.jobs:
                return
            if run.needs in self.planned and run.needs not in self.outcomes:
                continue
            if record.locked(run.folder):  # another sweep is at it: its result will be ours
                continue
            self.waiting.remove(run)
            try:
                todo = self._todo(run)
                if isinstance(todo, Outcome):
                    self.settle(todo)
                    continue
                replaces = self.rerun and todo == "new" and (run.folder / record.RECORD).is_file()
                arguments = (*(["--force"] if replaces else []), *run.arguments)
                handle = self.executor.submit(Job(arguments, run.folder, cores, gpus))
            except UserError as error:
                self.settle(Outcome(run, "failed", str(error), record.log_of(run.folder)))
                continue
            first = record.state_of(run.folder).epoch if todo == "resume" else 0
            self.going.append(Going(run, arguments, handle, first))
            how = f"goes on after epoch {first}" if first else "starts"
            log = self.executor.log(handle)
            self.say(f"{run.name}  {how}" + (f"; log: {log}" if log else ""))

    def _todo(self, run: Run) -> str | Outcome:
        """``new`` or ``resume``, or the outcome of a run that is not to be run."""
        needed = self.outcomes.get(run.needs) if run.needs is not None else None
        if needed is not None and needed.result in ("failed", "left out"):
            return Outcome(run, "left out", f"it needs {needed.run.name}")
        if run.needs is not None and needed is None and record.state_of(run.needs).name != "done":
            return Outcome(run, "left out", f"it needs the run in {run.needs}, which is {record.state_of(run.needs)}")
        if run.needs is not None and needed is None and (other := self.check.trained_otherwise(run)):
            why = f"its prompts in {run.needs} were learned with other settings: {listed(other)}"
            return Outcome(run, "left out", f"{why}. Evaluate them with those settings, or train with these first")
        todo = "new" if self.rerun == "all" else self.check(run, code=self.rerun == "code")
        return Outcome(run, "kept") if todo == "done" else todo

    def take_what_ended(self) -> None:
        for one in list(self.going):
            ended = self.executor.poll(one.handle)
            if ended is not None:
                self.going.remove(one)
                self.settle(_outcome(one, ended, time.monotonic() - one.started))


def execute(
    runs: list[Run],
    executor: Executor,
    rerun: str = "",
    say: Callable[[str], None] = print,
    cores: int | None = None,
    gpus: float | None = None,
    lines: Lines | None = None,
) -> list[Outcome]:
    """Carry out ``runs``, as many at a time as the executor takes; an outcome for each, in their order.

    rerun: ``code`` also repeats what other code did, ``all`` everything. say: gets a line for every run that
    starts or has ended. cores, gpus: of a run; None: as the executor sees fit. lines: where progress within the runs
    is shown.
    """
    sweep = _Sweep(runs, executor, rerun, say, lines)
    with executor:
        while sweep.waiting or sweep.going:
            sweep.start_what_is_ready(cores, gpus)
            sweep.take_what_ended()
            sweep.show()
            if sweep.going or sweep.waiting:
                time.sleep(PAUSE)
    return [sweep.outcomes[run.folder] for run in runs]


def _finished(folder: Path) -> bool:
    try:
        return record.state_of(folder).name == "done"
    except UserError:
        return False


def _outcome(one: Going, ended: Ended, seconds: float) -> Outcome:
    """What a run's record says now; where it says nothing, how the executor saw it end."""
    run, state = one.run, record.state_of(one.run.folder)
    if ended.ok and state.name == "done":
        return Outcome(run, "done", seconds=seconds)
    if state.name == "failed" and state.error:
        return Outcome(run, "failed", state.error, record.log_of(run.folder) or ended.log, seconds)
    detail = (ended.detail or "it ended without a result").removeprefix("error: ")
    if state.name == "not started" and not ended.killed:  # it ended before it could say so itself
        record.mark_failed(run.folder, detail, ["train.py", *one.arguments])
    return Outcome(run, "failed", detail, ended.log, seconds)
