"""Errors for names that are not registered: one line with the nearest known names."""

from __future__ import annotations

import re
from collections.abc import Iterable

from craft.common.errors import UserError, nearest


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


def check_availability(requested: str, available: Iterable[str]) -> None:
    """Raise UnknownName unless ``requested`` is one of ``available``."""
    available = list(available)
    if requested not in available:
        raise UnknownName("name", requested, available)


def readable(registry_name: str) -> str:
    """``"DATASET"`` -> ``"dataset"``: what an error calls the members of a registry."""
    return re.sub(r"[_\s]+", " ", registry_name).strip().lower()
