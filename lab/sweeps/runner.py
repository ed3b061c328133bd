"""Carries out a plan: every run in a process of its own, so that a crash stays inside it.

Done runs are skipped after their configuration was compared, interrupted ones go on (``train.py`` sees to that), a
failed one leaves the others alone, and only what needs it is left out. Several jobs share the GPUs between them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from craft.common import places
from craft.common.errors import UserError
from craft.lab.sweeps.plan import Run
from craft.runs import identity, record

CONSOLE = "console.txt"  # what the process printed, also before its log was open and after it was closed


@dataclass(frozen=True)
class Outcome:
    """result: done, kept (done before), failed, or left out. detail: why; log: where to read on."""

    run: Run
    result: str
    detail: str = ""
    log: Path | None = None
    seconds: float = 0.0


class Check:
    """Compares a planned run with what its folder holds. Resolving configurations needs torch; it is loaded once."""

    def __init__(self, runs: list[Run]):
        self.lock = threading.Lock()
        self.any_record = any((run.folder / record.RECORD).is_file() for run in runs)
        self.defaults = None

    def __call__(self, run: Run, code: bool = False) -> str:
        """``new``, ``resume`` or ``done``; UserError for a run with other settings. code: done by other code is new."""
        if not (run.folder / record.RECORD).is_file():
            return "new"
        with self.lock:
            from craft.config.commandline import parser
            from craft.trainers import launch
            from craft.trainers.settings import absent_values, get_cfg, setup_cfg

            options = parser("").parse_args(list(run.arguments))
            cfg = setup_cfg(options)
            if self.defaults is None:
                self.defaults = get_cfg()
            mode, model = launch.mode_and_model(cfg, options)
            todo = record.what_to_do(run.folder, cfg, self.defaults, mode, model, absent=absent_values(cfg))
        if todo == "done" and code and record.read(run.folder)["identity"]["code"] != identity.code_digest():
            return "new"
        return todo


def execute(runs: list[Run], jobs: int = 1, rerun: str = "", say=print) -> list[Outcome]:
    """Carry out ``runs``, ``jobs`` at a time. rerun: ``code`` also repeats what other code did, ``all`` everything.

    say: gets a line for every finished run.
    """
    check, total = Check(runs), len(runs)
    workers = _Workers(jobs)
    outcomes: dict[Path, Outcome] = {}
    waiting, going = list(runs), {}
    planned = {run.folder for run in runs}
    with ThreadPoolExecutor(jobs) as pool, _terminate_on_exit(workers):
        while waiting or going:
            # One task a free job: what became ready meanwhile must not queue behind what comes later in the plan.
            for run in list(waiting):
                if len(going) == jobs:
                    break
                if run.needs in planned and run.needs not in outcomes:
                    continue
                waiting.remove(run)
                going[pool.submit(_one, run, outcomes.get(run.needs), check, workers, rerun)] = run
            # A short timeout, because a signal only reaches Python code between waits.
            finished, _ = wait(going, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                run = going.pop(future)
                outcome = future.result()
                outcomes[run.folder] = outcome
                took = f" ({outcome.seconds:.0f} s)" if outcome.seconds else ""
                why = f": {outcome.detail}" if outcome.detail else ""
                say(f"[{len(outcomes):>{len(str(total))}}/{total}] {run.name}  {outcome.result}{took}{why}")
    return [outcomes[run.folder] for run in runs]


def _one(run: Run, needed: Outcome | None, check: Check, workers: _Workers, rerun: str) -> Outcome:
    if needed is not None and needed.result in ("failed", "left out"):
        return Outcome(run, "left out", f"it needs {needed.run.name}")
    if run.needs is not None and needed is None and record.state_of(run.needs).name != "done":
        return Outcome(run, "left out", f"it needs the run in {run.needs}, which is {record.state_of(run.needs)}")
    try:
        while record.locked(run.folder):  # another sweep is at it: its result will be ours
            time.sleep(1)
        todo = "new" if rerun == "all" else check(run, code=rerun == "code")
    except UserError as error:
        return Outcome(run, "failed", str(error), record.log_of(run.folder))
    if todo == "done":
        return Outcome(run, "kept")
    return workers.run(run, force=bool(rerun) and (run.folder / record.RECORD).is_file() and todo == "new")


class _Workers:
    """Starts processes, knows the living ones, and hands out GPUs."""

    def __init__(self, jobs: int):
        self.jobs, self.living, self.stopping = jobs, set(), False
        self.gpus: queue.Queue[str] | None = None
        devices = _gpus() if jobs > 1 else []
        if len(devices) > 1:
            self.gpus = queue.Queue()
            for number in range(jobs):
                self.gpus.put(devices[number % len(devices)])

    def run(self, run: Run, force: bool) -> Outcome:
        if self.stopping:
            return Outcome(run, "left out", "the sweep was stopped")
        started = time.monotonic()
        arguments = (["--force"] if force else []) + list(run.arguments)
        gpu = self.gpus.get() if self.gpus else None
        try:
            code = self._process(run, arguments, gpu)
        except OSError as error:
            return Outcome(run, "failed", f"cannot start: {error.strerror or error}", run.folder)
        finally:
            if self.gpus:
                self.gpus.put(gpu)
        seconds = time.monotonic() - started
        state = record.state_of(run.folder)
        if code == 0 and state.name == "done":
            return Outcome(run, "done", seconds=seconds)
        console = run.folder / CONSOLE
        if state.name == "failed" and state.error:
            return Outcome(run, "failed", state.error, record.log_of(run.folder) or console, seconds)
        detail = _last_line(console) or f"exit status {code}"
        if code < 0:
            name = signal.Signals(-code).name
            detail = f"ended by {name}" + (", as the kernel does when memory runs out" if name == "SIGKILL" else "")
        elif state.name == "not started":  # it ended before it could say so itself
            record.mark_failed(run.folder, detail.removeprefix("error: "), ["train.py", *arguments])
        return Outcome(run, "failed", detail.removeprefix("error: "), console, seconds)

    def _process(self, run: Run, arguments: list[str], gpu: str | None) -> int:
        environment = places.environment()
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        if self.jobs > 1:  # or every job takes all cores and they wait for each other
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.jobs)))
        run.folder.mkdir(parents=True, exist_ok=True)
        with open(run.folder / CONSOLE, "w") as console:
            process = subprocess.Popen(
                [sys.executable, "-m", "craft", "train", *arguments],
                stdout=console,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment,
            )
            self.living.add(process)
            try:
                return process.wait()
            finally:
                self.living.discard(process)

    def stop(self) -> None:
        self.stopping = True
        for process in list(self.living):
            process.terminate()


def _gpus() -> list[str]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]


def _last_line(path: Path) -> str:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")


@contextlib.contextmanager
def _terminate_on_exit(workers: _Workers):
    """End the children with the sweep: on Ctrl-C, on SIGTERM, and on any error here."""

    def interrupt(*_):
        raise KeyboardInterrupt

    main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGTERM, interrupt) if main else None
    try:
        yield
    except BaseException:
        workers.stop()
        raise
    finally:
        if main:
            signal.signal(signal.SIGTERM, previous)
