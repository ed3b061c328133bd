"""Standard output and error of a command, whatever the shell made of them: closed, broken, or in an old encoding."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any


def prepare() -> None:
    """Make the three standard streams usable.

    One that is closed (``>&-``) goes nowhere, and its number is taken, or the next file opened would get it and what
    is printed would land there. A character that the terminal's encoding lacks is written as ``\\u2212``.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)
        elif getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
            with contextlib.suppress(OSError):  # one whose file was changed under it, by os.dup2
                stream.reconfigure(errors="backslashreplace")


def silence(stream: Any) -> None:
    """Let everything that is written to ``stream``, what it still holds included, go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


class _Lasting:
    """A stream that takes what is written for ever, also where its reader (``| head``) has gone or its disk is full."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            silence(self._stream)
            return len(text)

    def close(self) -> None:
        """Nothing: the console belongs to the process, whatever a log that copies it does at its end."""

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            silence(self._stream)


@contextlib.contextmanager
def lasting() -> Iterator[None]:
    """Within the block a console that is lost ends nothing: a run goes on, and its log with it. What took the place
    of stdout meanwhile, as Dassl's log does, is closed at the end."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = lost = _Lasting(before[0]), _Lasting(before[1])
    hook, threading.excepthook = threading.excepthook, _of_threads(threading.excepthook)
    try:
        yield
    finally:
        threading.excepthook = hook
        if sys.stdout not in lost and hasattr(sys.stdout, "console"):
            sys.stdout.close()
        for stream in lost:
            stream.flush()
        sys.stdout, sys.stderr = before


def _of_threads(usual: Callable) -> Callable:
    """What is said of a thread that ends with an error: one line where the disk is what failed it (TensorBoard writes
    its numbers in a thread; whether the run can go on, its own files tell), else what is usual."""

    def said(args) -> None:
        if isinstance(args.exc_value, OSError):
            print(f"Note: {args.thread.name if args.thread else 'a thread'} stopped: {args.exc_value}", file=sys.stderr)
        else:
            usual(args)

    return said
