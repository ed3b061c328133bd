"""What one configuration key may hold: type, choices, range. A `Rule` knows values, not which key they belong to.

Also here is what people mean by the text that they type for a value: `Rule.fit` gives ``32,32``, ``(32, 32)``,
``[32, 32]`` and ``32 32`` the same sense, from a yaml file and from the command line.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
import reprlib
import unicodedata
from dataclasses import dataclass
from typing import Any

NOUNS: dict[type, str] = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
SEVERAL: dict[type | None, str] = {int: "whole numbers", float: "numbers", str: "texts"}
MANY = 8  # choices beyond which a close one is named instead of all


@dataclass(frozen=True)
class Rule:
    """What a key may hold, beside the type, which is its default's.

    choices: the only texts. low, high: bounds that are allowed themselves; above, below: bounds that are not. Numbers
    are finite in any case. For a sequence all of these hold for each element; each: type of its elements, where an
    empty default does not tell; length: how many there are; rising: none is smaller than the one before. odd: not
    even. absent: what a run made before the key existed effectively had, where that is not the default. volatile: no
    number depends on the key, so it is no part of what makes a run that run.
    """

    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    length: int | None = None
    each: type | None = None
    rising: bool = False
    odd: bool = False
    absent: Any = None
    volatile: bool = False

    def _element(self, like: Any) -> type | None:
        """Type of a sequence's elements; None where nobody says, or where they differ."""
        kinds = {float} if {type(part) for part in like} == {int, float} else {type(part) for part in like}
        return self.each or (kinds.pop() if len(kinds) == 1 and kinds <= NOUNS.keys() else None)

    # -- reading ------------------------------------------------------------------------------------------------------

    def fit(self, value: Any, like: Any) -> Any:
        """``value``, of a yaml file or typed as text, as a value of the type of ``like``, the key's default.

        ValueError where it is of another type. Ranges and choices are not looked at.
        """
        try:
            if isinstance(like, tuple | list):
                element = self._element(like)
                # A domain's name may hold a space; numbers and names from a list do not.
                parts = _parts(value, at_spaces=element is not str or bool(self.choices))
                return type(like)(_scalar(part, element) for part in parts)
            return _scalar(value, None if like is None else type(like))
        except (SyntaxError, TypeError, OverflowError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from error

    # -- checking -----------------------------------------------------------------------------------------------------

    def allows(self, value: Any, like: Any) -> bool:
        """Whether a key with the default ``like`` may have ``value``."""
        if not isinstance(like, tuple | list):
            return like is None or self._allows_one(value, type(like))
        if not isinstance(value, tuple | list) or self.length not in (None, len(value)):
            return False
        element = self._element(like)
        if not all(element is None or self._allows_one(part, element) for part in value):
            return False
        return not self.rising or list(value) == sorted(value)

    def _allows_one(self, value: Any, kind: type) -> bool:
        if kind in (int, float):
            if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
                return False
            return (
                (kind is int or math.isfinite(value))
                and (self.low is None or value >= self.low)
                and (self.high is None or value <= self.high)
                and (self.above is None or value > self.above)
                and (self.below is None or value < self.below)
                and (not self.odd or value % 2 == 1)
            )
        if isinstance(value, str) and not is_text(value):
            return False
        return isinstance(value, kind) and (not self.choices or value in self.choices)

    def allowed(self, like: Any) -> str:
        """The values that `allows` accepts, in words: ``it must be a number above 0``."""
        if self.choices:
            return f"it can be {', '.join(self.choices)}"
        limits = self._range()
        if not isinstance(like, tuple | list):
            noun = "an odd whole number" if self.odd else NOUNS.get(type(like), f"a {type(like).__name__}")
            return f"it must be {noun}{limits}"
        count = "" if self.length is None else f"{self.length} "
        noun = SEVERAL.get(self._element(like), "values")
        return f"it must be {count}{noun}{limits and ', each' + limits}{', in rising order' if self.rising else ''}"

    def _range(self) -> str:
        """`` from 0 up``, `` from 0 to 1``, `` from 0 to below 1``, `` above 0``; empty without bounds."""
        start = "" if self.low is None else f" from {self.low:g}"
        if self.above is not None:
            start = f" above {self.above:g}"
        if self.high is not None:
            return f"{start} to {self.high:.10g}" if start else f" of at most {self.high:.10g}"
        if self.below is not None:
            return f"{start} to below {self.below:g}" if start else f" below {self.below:g}"
        return f"{start} up" if start and self.above is None else start

    def complaint(self, value: Any, like: Any) -> str:
        """``'fp64'; it can be fp32, fp16, amp, amp_bf16``: a value that is not allowed, what is, and what was meant."""
        texts = value if isinstance(value, tuple | list) else [value]
        if not all(is_text(text) for text in texts if isinstance(text, str)):
            return f"{show(value)}; it must be text without control characters, in UTF-8"
        wrong = next((text for text in texts if isinstance(text, str) and text not in self.choices), "")
        close = difflib.get_close_matches(wrong, self.choices, n=1, cutoff=0.8)
        meant = f"did you mean {close[0]}?" if close else ""
        if meant and len(self.choices) > MANY:
            return f"{show(value)}; {meant}"
        return f"{show(value)}; {self.allowed(like)}{meant and '; ' + meant}"


def is_text(value: str) -> bool:
    """Whether a text can be written to a file, name one, and stand in a line: no line breaks, NUL or halves of
    characters, which is how Python reads bytes that are not UTF-8."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def show(value: Any) -> str:
    """``repr`` of a value for a message of one line, shortened where it is long, deep or endless."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 80
    return brief.repr(value)


# -- text to values ---------------------------------------------------------------------------------------------------


def _parts(value: Any, at_spaces: bool) -> list:
    """The elements of a sequence; text is split at commas, or where there are none and ``at_spaces``, at spaces."""
    if isinstance(value, tuple | list):
        return list(value)
    if not isinstance(value, str):
        return [value]
    text = value.strip()
    if text[:1] in ("(", "["):
        try:
            found = ast.literal_eval(text)
            return list(found) if isinstance(found, tuple | list) else [found]
        except (ValueError, SyntaxError):  # words without quotes
            text = re.sub(r"^[(\[]|[)\]]$", "", text)
            if not text:
                raise
    parts = text.split() if at_spaces and "," not in text else text.split(",")
    return [part for part in map(_unquoted, parts) if part]


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _scalar(value: Any, kind: type | None) -> Any:
    """``value`` as a ``kind`` (None: as what it looks like); ValueError where it is something else."""
    if kind is str:
        if not isinstance(value, str):
            raise ValueError("not text")
        return value
    if isinstance(value, str):
        if kind is float:
            return float(value)
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            if kind is None:
                return value
            raise
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is not None and type(value) is not kind:
        raise ValueError(f"not {kind.__name__}")
    if kind is int and abs(value) >= 2**63:
        raise ValueError("too large for anything that counts")
    return value
