"""SIGTERM, by which schedulers and sweeps end a run: at once, or after the step at work where its state can be kept.

The process ends as one that the signal killed (a shell says 143), after its workers have ended and its half-written
files are gone. What was on disk stays; the run's record says that it was interrupted.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator


class Terminated(BaseException):
    """Somebody asked for the end of this process; not to be caught on the way."""


class Ending:
    """asked: whether SIGTERM has come while a step was waited for. now: ends the run."""

    def __init__(self, now: Callable[[], None]):
        self.asked, self.now = False, now
        self._waits = False

    @contextlib.contextmanager
    def after_a_step(self, wanted: bool) -> Iterator[None]:
        """Where ``wanted``, a signal within the block only sets ``asked``; whoever runs it calls ``now`` in time."""
        self._waits = wanted
        try:
            yield
        finally:
            self._waits = False

    def signalled(self) -> None:
        if self._waits:
            self.asked = True
        else:
            self.now()


@contextlib.contextmanager
def ends_by_sigterm() -> Iterator[Ending]:
    """Within the block SIGTERM ends the process through all cleaning up. Whoever has a handler already keeps it: it is
    called when the run may end. Elsewhere than in the main thread, or where the signal is ignored, nothing changes."""
    before = signal.getsignal(signal.SIGTERM) if threading.current_thread() is threading.main_thread() else None

    def now() -> None:
        if callable(before):
            before(signal.SIGTERM, None)
        raise Terminated

    ending = Ending(now)
    if before is None or before == signal.SIG_IGN:
        yield ending
        return
    signal.signal(signal.SIGTERM, lambda number, frame: ending.signalled())
    try:
        yield ending
    except Terminated:
        if before != signal.SIG_DFL:
            raise
        sys.stdout.flush()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
