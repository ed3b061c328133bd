"""Commands in processes of their own that need not import anything: forks of this one, which imported everything.

A child may be killed at a random moment, or at its n-th file operation (seen by an audit hook), or find the disk full
there. This process itself never computes with torch, so that its forks may.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from craft.runs.locks import Busy
from tests.forkserver import PRELOADED

HUNG = 120  # seconds after which a command counts as hanging
#: audit events of operations that change what is on the disk
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate"}
#: those of them, beside "open" of a file to write, that can need room
NEED_ROOM = {"os.rename", "os.mkdir", "os.link", "os.symlink"}


@dataclass(frozen=True)
class Ended:
    """status: the exit status, or the negative number of the signal. output: what was printed, errors included."""

    status: int
    output: str
    hung: bool = False

    @property
    def refused(self) -> bool:
        """Ended as a command does that cannot do what it is asked for."""
        return self.status in (1, 2, Busy.status) and "error: " in self.output and "Traceback (most" not in self.output

    def outcome(self, same: Callable[[], bool]) -> str:
        """One of `tally.FINE`, or what is wrong. same: whether the numbers are those of an undisturbed run."""
        if self.hung:
            return "hung"
        if "Traceback (most" in self.output:
            return "traceback"
        if self.status == 0:
            return "same" if same() else "other numbers"
        return "refused" if self.refused else f"status {self.status}"

    def last(self) -> str:
        """The last line that was printed; of a traceback where it came from, too."""
        lines = self.output.strip().splitlines() or ["(nothing)"]
        others = ("site-packages", "/lib/python", "/tests/")
        places = [line.strip() for line in lines if line.startswith('  File "')]
        ours = [place for place in places if not any(part in place for part in others)]
        return " <- ".join([lines[-1][:200], *ours[:-4:-1]])


def warm() -> None:
    """Import all that commands import, and find out once what each of them would."""
    for module in PRELOADED:
        importlib.import_module(module)
    importlib.import_module("craft.runs.identity").versions()
    gc.collect()
    gc.freeze()  # or every collection in a fork would copy all of this


class Child:
    """``craft`` with ``arguments``, or any function, in a fork. before: called in the child first."""

    def __init__(
        self,
        work: list[str] | Callable[[], int],
        before: Callable[[], None] | None = None,
        environment: dict[str, str] | None = None,
    ):
        self.pipe, end = os.pipe()  # not a file, which a full disk could not take
        os.set_blocking(self.pipe, False)
        self.output = b""
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            status = 70
            try:
                for number, name in ((1, "stdout"), (2, "stderr")):
                    os.dup2(end, number)
                    setattr(sys, name, os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False))
                os.environ.update(environment or {})
                status = _run(work, before)
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        os.close(end)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self.pipe, 1 << 16):
                self.output += block

    def wait(self, kill_after: float | None = None, limit: float = HUNG) -> Ended:
        """Its end, which is brought about by SIGKILL after ``kill_after`` seconds if it has not come by then."""
        began, hung = time.monotonic(), False
        while not (ended := os.waitpid(self.pid, os.WNOHANG))[0]:
            passed = time.monotonic() - began
            if passed > (limit if kill_after is None else kill_after):
                hung = kill_after is None
                os.kill(self.pid, signal.SIGKILL)
                ended = os.waitpid(self.pid, 0)
                break
            self._read()
            time.sleep(0.002)
        self._read()
        os.close(self.pipe)
        return Ended(os.waitstatus_to_exitcode(ended[1]), self.output.decode("utf-8", "replace"), hung)


def _run(work: list[str] | Callable[[], int], before: Callable[[], None] | None) -> int:
    from craft.__main__ import main

    try:
        if before:
            before()
        return main(work) if isinstance(work, list) else work()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1


def command(arguments: list[str], **options) -> Ended:
    """``craft arguments``, waited for."""
    return Child(arguments, **options).wait()


# -- what happens to a child ------------------------------------------------------------------------------------------


def _at_operation(
    number: int, happen: Callable[[], None], folders: tuple[str, ...], changes: set[str] = CHANGES
) -> list[int]:
    """Call ``happen`` before the file operation ``number`` (from 1) below ``folders`` in this process.

    Returns a list with one entry: how many operations are left until then.
    """
    left = [number]

    def hook(event: str, arguments: tuple) -> None:
        if event == "open":
            path, _, flags = arguments
            if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
        elif event in changes:
            path = arguments[0]
        else:
            return
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, str | os.PathLike) or not str(path).startswith(folders):
            return
        left[0] -= 1
        if left[0] == 0:
            happen()

    sys.addaudithook(hook)
    return left


def operations(arguments: list[str], *folders: Path, changes: set[str] = CHANGES, **options) -> int:
    """How many file operations below ``folders`` the command ``craft arguments`` makes."""

    def work() -> int:
        from craft.__main__ import main

        left = _at_operation(0, lambda: None, tuple(map(str, folders)), changes)
        main(arguments)
        return not print(f"\noperations {-left[0]}")

    return int(Child(work, **options).wait().output.rsplit("operations ", 1)[1])


def kill_at(number: int, *folders: Path) -> Callable[[], None]:
    """For ``before``: SIGKILL right before the n-th file operation below ``folders``."""
    places = tuple(map(str, folders))

    def before() -> None:
        _at_operation(number, lambda: os.kill(os.getpid(), signal.SIGKILL), places)

    return before


def full_at(number: int, *folders: Path) -> Callable[[], None]:
    """For ``before``: of file operations below ``folders`` that can need room the n-th, and no other, has none."""

    def happen() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def before() -> None:
        _at_operation(number, happen, tuple(map(str, folders)), NEED_ROOM)

    return before


def full_beyond(size: int) -> Callable[[], None]:
    """For ``before``: no file can be written beyond ``size`` bytes, by Python or by any library."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    return before


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one part, and a cold cache in it that commands use."""
    with tempfile.TemporaryDirectory(prefix="craft-soak-") as name:
        folder = Path(name)
        os.environ["CRAFT_CACHE"] = str(folder / "cache")
        yield folder
