"""Runs as processes of this machine, so that a crash stays inside its run; several at a time share cores and GPUs."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from craft.common import places
from craft.common.errors import UserError
from craft.lab.sweeps.executors import Ended, Executor, Job
from craft.runs.locks import Busy

CONSOLE = "console.txt"  # what the process printed, also before its log was open and after it was closed
PATIENCE = 10.0  # seconds that a process has to end when it is asked to


@dataclass(eq=False)
class Running:
    """A job's process, where it prints, and the GPU that it was given."""

    process: subprocess.Popen
    console: Path
    gpu: str | None = None
    ended: Ended | None = None


class LocalExecutor(Executor):
    """One process a job. With several jobs at a time each gets its share of the cores and, where there are several
    GPUs, one of them."""

    def __init__(self, jobs: int = 1):
        super().__init__(jobs)
        self.living: list[Running] = []
        devices = _gpus() if jobs > 1 else []
        self.free = [devices[number % len(devices)] for number in range(jobs)] if len(devices) > 1 else []

    def submit(self, job: Job) -> Running:
        if job.gpus is not None and job.gpus > 1:
            raise UserError(f"a local run uses one GPU, {job.gpus:g} were asked for; give --gpus 1 or less")
        environment = places.environment()
        if job.cores is not None:
            environment["OMP_NUM_THREADS"] = str(job.cores)
        elif self.jobs > 1:  # or every job takes all cores and they wait for each other
            environment.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // self.jobs)))
        gpu = None
        if job.gpus == 0:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        elif self.free:
            gpu = environment["CUDA_VISIBLE_DEVICES"] = self.free.pop(0)
        try:
            job.folder.mkdir(parents=True, exist_ok=True)
            with _own_console(job.folder) as stream:
                console = Path(stream.name)
                process = subprocess.Popen(
                    [sys.executable, "-m", "craft", "train", *job.arguments],
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    env=environment,
                )
        except OSError as error:
            if gpu is not None:
                self.free.append(gpu)
            raise UserError(f"cannot start: {error.strerror or error}") from error
        running = Running(process, console, gpu)
        self.living.append(running)
        return running

    def poll(self, handle: Running) -> Ended | None:
        code = handle.process.poll()
        if code is not None and handle.ended is None:
            self.living.remove(handle)
            if handle.gpu is not None:
                self.free.append(handle.gpu)
            handle.ended = _ended(code, handle.console)
        return handle.ended

    def log(self, handle: Running) -> Path:
        return handle.console

    def cancel(self, handle: Running) -> None:
        if handle.process.poll() is None:
            handle.process.terminate()

    def close(self) -> None:
        for running in self.living:
            self.cancel(running)
        deadline = time.monotonic() + PATIENCE
        for running in self.living:
            try:
                running.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                running.process.kill()
                running.process.wait()
        self.living.clear()


def _own_console(folder: Path) -> TextIO:
    """A console file, opened empty, that no other sweep's process is writing: the lock goes with the process that
    inherits the stream. console.txt, or where that is taken console-2.txt and so on."""
    for number in itertools.count(1):
        stream = open(folder / (CONSOLE if number == 1 else f"console-{number}.txt"), "a")  # noqa: SIM115 (returned)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):  # a disk without locks: all write to one
                return stream
            stream.close()
            continue
        stream.truncate(0)
        return stream
    raise AssertionError


def _ended(code: int, console: Path) -> Ended:
    if code >= 0:
        said = "" if code == 0 else _last_line(console) or f"exit status {code}"
        return Ended(code == 0, said, log=console, busy=code == Busy.status)
    name = signal.Signals(-code).name
    why = ", as the kernel does when memory runs out" if name == "SIGKILL" else ""
    return Ended(False, f"ended by {name}{why}", killed=True, log=console)


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
