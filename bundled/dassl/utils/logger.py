"""The tee that copies everything printed into ``log.txt``."""

from __future__ import annotations

import os
import sys
import time

from .errors import UserError

__all__ = ["Logger", "setup_logger"]


class Logger:
    """Stands in for ``sys.stdout``: writes to the console and to a file.

    The file is line-buffered, so that a killed run leaves every finished line behind. Everything else
    (``isatty``, ``encoding``, ``fileno``) is the console's.

    Args:
        fpath: the log file; None writes to the console only.
    """

    def __init__(self, fpath: str | None = None):
        self.console = sys.stdout
        self.file = None
        if fpath is not None:
            try:
                os.makedirs(os.path.dirname(fpath) or ".", exist_ok=True)
                self.file = open(fpath, "w", encoding="utf-8", buffering=1)  # noqa: SIM115 (lives as long as the run)
            except OSError as error:
                raise UserError(f"cannot write {fpath}: {error.strerror}; choose another --output-dir") from error

    def __getattr__(self, name: str):
        if name == "console":  # not yet set: avoid asking ourselves for ever
            raise AttributeError(name)
        return getattr(self.console, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def write(self, msg: str) -> int:
        if self.file is not None:
            self.file.write(msg)
        return self.console.write(msg)

    def flush(self) -> None:
        self.console.flush()
        if self.file is not None:
            self.file.flush()

    def close(self) -> None:
        """Close the file. The console belongs to the process and stays open."""
        if self.file is not None:
            self.file.close()
            self.file = None


def setup_logger(output: str | None = None) -> None:
    """From now on, copy what is printed to ``output`` (a .txt or .log file) or to ``output``/log.txt (a folder).

    An existing log is kept: the new one gets the time appended to its name. A second call ends the first log.
    """
    if output is None:
        return
    fpath = output if output.endswith((".txt", ".log")) else os.path.join(output, "log.txt")
    if os.path.exists(fpath):
        base, n = fpath + time.strftime("-%Y-%m-%d-%H-%M-%S"), 1
        fpath = base
        while os.path.exists(fpath):  # two runs within one second
            n += 1
            fpath = f"{base}-{n}"
    if isinstance(sys.stdout, Logger):
        previous, sys.stdout = sys.stdout, sys.stdout.console
        previous.close()
    sys.stdout = Logger(fpath)
