"""Errors meant for the person at the keyboard.

Anything a user can cause (a misspelt name, a missing folder, a damaged file) is raised as ``UserError``
with one line that names the culprit and the remedy. Entry points print that line and exit with status 1;
``CRAFT_TRACEBACK=1`` shows the traceback as well.
"""

from __future__ import annotations

import difflib
import functools
import os
import sys
from collections.abc import Callable, Iterable


class UserError(Exception):
    """A mistake in the input; its text is one line with what is wrong and what to do.

    status: the exit status of a command that ends with it.
    """

    status = 1

    def __str__(self) -> str:
        text = super().__str__()
        if text.startswith("Caught ") and "\nOriginal Traceback" in text:
            # torch's loader workers hand an error over with their traceback in its text: the last line is ours.
            return text.rstrip().rsplit("\n", 1)[-1].split(": ", 1)[-1]
        return text


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """``"a, b"``: the known names closest to ``name``, or all of them where none is close and they are not too many.

    Comparison ignores case, so that ``coopcraft`` finds ``CoOpCraft``.
    """
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    cutoff = 0.5 if len(by_lower) <= 40 else 0.0
    close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=cutoff)
    return ", ".join(by_lower[c] for c in close) if close else ", ".join(sorted(by_lower.values()))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not registered: ``unknown trainer 'X'; did you mean: …?``"""
    return UserError(f"unknown {kind} {name!r}; did you mean: {nearest(name, known)}?")


class Terminated(KeyboardInterrupt):
    """SIGTERM, for whoever would let what is under way end in order."""

    status = 143


def entry_point(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wrap a command's ``main``: a mistake becomes one line on stderr and exit status 1, Ctrl-C status 130.

    A mistake is a UserError, or whatever the system says of a file (``OSError``). Before anything else the platform,
    the environment's variables and the encoding of the words are checked. An interrupt may carry a text that says how
    to go on; one that began nothing has none.
    """

    @functools.wraps(main)
    def run(*args, **kwargs) -> int:
        from craft.common import environment, streams

        streams.prepare()
        try:
            check_platform()
            environment.check()
            _check_words(args[0] if args and args[0] is not None else sys.argv[1:])
            status = main(*args, **kwargs) or 0
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            # The reader (head, less) has gone. Give stdout somewhere to flush to, or Python complains at exit.
            streams.silence(sys.stdout)
            return 141
        except (UserError, OSError) as error:
            if os.environ.get("CRAFT_TRACEBACK") == "1":
                raise
            print(f"error: {_one_line(error)}", file=sys.stderr)
            return getattr(error, "status", 1)
        except KeyboardInterrupt as stop:
            print("interrupted" + (f"; {stop}" if str(stop) else ""), file=sys.stderr)
            return getattr(stop, "status", 130)

    return run


def check_platform() -> None:
    """UserError on Windows, where file locks, process limits and paths are others; the one place that decides this."""
    if sys.platform in ("win32", "cygwin", "msys"):
        raise UserError(
            "Craft runs on Linux and macOS; on Windows use WSL (`wsl --install`, then the same commands in its shell)"
        )


def _check_words(words: Iterable[str]) -> None:
    for word in words:
        if not is_utf8(word):
            raise UserError(f"{word!a} is not UTF-8 text; rename the file or folder that it names")


def is_utf8(text: str) -> bool:
    """Whether a text can be written in UTF-8. Python reads other bytes, of a command line or a folder's name, as halves
    of characters, which cannot."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _one_line(error: Exception) -> str:
    """The text of a UserError, or ``FILE: what the system says``."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    return str(error) or type(error).__name__
