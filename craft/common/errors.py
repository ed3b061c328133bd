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
    """A mistake in the input; its text is one line with what is wrong and what to do."""

    def __str__(self) -> str:
        text = super().__str__()
        if text.startswith("Caught ") and "\nOriginal Traceback" in text:
            # torch's loader workers hand an error over with their traceback in its text: the last line is ours.
            return text.rstrip().rsplit("\n", 1)[-1].split(": ", 1)[-1]
        return text


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """``"a, b"``: the known names closest to ``name``, or all of them where none is close.

    Comparison ignores case, so that ``coopcraft`` finds ``CoOpCraft``.
    """
    by_lower: dict[str, str] = {}
    for candidate in known:
        by_lower.setdefault(candidate.lower(), candidate)
    close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.5)
    return ", ".join(by_lower[c] for c in close) if close else ", ".join(sorted(by_lower.values()))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not registered: ``unknown trainer 'X'; did you mean: …?``"""
    return UserError(f"unknown {kind} {name!r}; did you mean: {nearest(name, known)}?")


def entry_point(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wrap a command's ``main``: UserError becomes one line on stderr and exit status 1, Ctrl-C status 130."""

    @functools.wraps(main)
    def run(*args, **kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except UserError as error:
            if os.environ.get("CRAFT_TRACEBACK") == "1":
                raise
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted; run the same command again to go on", file=sys.stderr)
            return 130
        except BrokenPipeError:
            # The reader (head, less) has gone. Give stdout somewhere to flush to, or Python complains at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 141

    return run
