"""Ways to carry out runs: what a job is, what an executor does with it, and which executors there are.

The runner decides what is to be done and when; an executor decides where, and is the only one that knows processes,
devices or a cluster. Another way takes one file with a subclass of `Executor` and one call of `register_executor`;
``--executor`` then offers it. The executors here: `local`.
"""

from __future__ import annotations

import importlib
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from craft.common.errors import Terminated, UserError, unknown


@dataclass(frozen=True)
class Job:
    """One run to be carried out.

    arguments: of ``craft train``. folder: its output. cores, gpus: what it may use; None: what the executor sees fit.
    A fraction of a GPU may be shared with other jobs.
    """

    arguments: tuple[str, ...] = field(repr=False)
    folder: Path
    cores: int | None = None
    gpus: float | None = None


@dataclass(frozen=True)
class Ended:
    """How a job ended. Whether the run is done is read from its record, never from here.

    ok: without an error. detail: one line on what went wrong. killed: it was ended from outside (a signal, a machine
    that went away), which says nothing about the run. log: where it printed. busy: it did not begin, since another
    process works in its folder; it is to be looked at again when that has ended.
    """

    ok: bool
    detail: str = ""
    killed: bool = False
    log: Path | None = None
    busy: bool = False


class Executor(ABC):
    """Base of the executors; used as ``with SomeExecutor(jobs) as executor``.

    jobs: how many runs at a time; the runner submits no more. Leaving the block ends what still runs, also on Ctrl-C
    and SIGTERM (which arrives as `Terminated`, a KeyboardInterrupt).
    """

    def __init__(self, jobs: int = 1):
        self.jobs = jobs

    @abstractmethod
    def submit(self, job: Job) -> Any:
        """Start a job, or queue it; returns a handle, soon. UserError where it cannot be started."""

    @abstractmethod
    def poll(self, handle: Any) -> Ended | None:
        """How a job ended; None while it is queued or runs. Returns at once."""

    def log(self, handle: Any) -> Path | None:
        """Where a job prints from its start on; None where that is not known."""
        return None

    @abstractmethod
    def cancel(self, handle: Any) -> None:
        """End a job; nothing happens where it has ended. Returns at once."""

    @abstractmethod
    def close(self) -> None:
        """End everything that was submitted and has not ended, and wait for that."""

    def __enter__(self):
        self._before = _sigterm(_interrupt)
        return self

    def __exit__(self, *_):
        try:
            self.close()
        finally:
            _sigterm(self._before)


def _interrupt(*_):
    raise Terminated


def _sigterm(handler):
    """Set the handler of SIGTERM and return the one before; elsewhere than in the main thread nothing can be set."""
    if handler is None or threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGTERM, handler)


# -- which there are --------------------------------------------------------------------------------------------------

#: name -> the class, or where it is (``"package.module:Class"``), imported when it is first needed
EXECUTORS: dict[str, Callable[..., Executor] | str] = {}


def register_executor(name: str, executor: Callable[..., Executor] | str) -> None:
    """Make an executor known to ``--executor``. UserError for a name that is taken."""
    if EXECUTORS.get(name, executor) != executor:
        raise UserError(f"executor {name!r}: the name is taken; choose another")
    EXECUTORS[name] = executor


def executor_named(name: str) -> Callable[..., Executor]:
    """The class of an executor. UserError with the nearest names, or where what it needs is not installed."""
    if name not in EXECUTORS:
        raise unknown("executor", name, EXECUTORS)
    found = EXECUTORS[name]
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        try:
            found = getattr(importlib.import_module(module), attribute)
        except ImportError as error:
            raise UserError(f"executor {name!r} cannot be used: {error}") from error
    return found


register_executor("local", "craft.lab.sweeps.executors.local:LocalExecutor")
