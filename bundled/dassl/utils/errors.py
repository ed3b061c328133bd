"""Errors for the person at the keyboard: one line that names the culprit and the remedy, and the nearest known names.

This package stands alone. Beside Craft it raises Craft's own class, which Craft's commands print as one line.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

try:
    from craft.common.errors import UserError, nearest
except ImportError:

    class UserError(Exception):
        """A mistake in the input; its text is one line with what is wrong and what to do."""

    def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
        """``"a, b"``: the known names closest to ``name`` whatever the case, or all where none is close."""
        by_lower = {candidate.lower(): candidate for candidate in known}
        close = difflib.get_close_matches(name.lower(), by_lower, n=count, cutoff=0.5)
        return ", ".join(by_lower[lower] for lower in close or sorted(by_lower))


__all__ = ["UnknownName", "UserError", "nearest"]


class UnknownName(UserError, KeyError, ValueError):
    """A name that a registry does not know.

    Dassl raises KeyError from ``Registry.get`` and ValueError from ``check_availability``; code that catches
    either keeps working.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]):
        known = list(known)
        hint = f"did you mean: {nearest(str(name), known)}?" if known else "nothing is registered yet"
        super().__init__(f"unknown {kind} {name!r}; {hint}")

    def __reduce__(self):
        return _rebuild, (self.args[0],)

    def __str__(self) -> str:
        return self.args[0]  # KeyError would show the repr


def _rebuild(message: str) -> UnknownName:
    error = UnknownName.__new__(UnknownName)
    error.args = (message,)
    return error
