"""The environment variables that this project reads, and which values each may have; the one place that knows them."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from craft.common.errors import UserError, is_utf8

SWITCH = ("0", "1")
#: name -> its values beside nothing; None: text
VARIABLES: dict[str, tuple[str, ...] | None] = {
    "CRAFT_CACHE": None,  # folder of all caches
    "CRAFT_DASSL": ("bundled", "upstream"),  # whose `dassl` is imported
    "CRAFT_OFFLINE": SWITCH,  # 1: every connection is refused, see craft.common.offline
    "CRAFT_ONEDNN": SWITCH,  # 0: products on a CPU stay with MKL
    "CRAFT_TRACEBACK": SWITCH,  # 1: tracebacks of users' mistakes too
    "CRAFT_WITHOUT": None,  # optimisations to leave out
    # read by scripts/ alone
    "CRAFT_HOME": None,
    "CRAFT_JOBS": None,
    "CRAFT_LAYOUT": None,
    "CRAFT_PYTHON": None,
    "CRAFT_TEST_PROCESSES": None,
}


def value_of(name: str) -> str:
    """What the variable ``name``, one of `VARIABLES`, says; empty where it is not set. UserError for another value."""
    value, known = os.environ.get(name, ""), VARIABLES[name]
    if value and known is not None and value not in known:
        raise UserError(f"{name} is {value!r}; it can be {' or '.join(known)}, or unset")
    return value


def check() -> None:
    """UserError for a variable that has a value it cannot have, or whose name is nearly one of ours.

    Other names that begin alike are somebody else's.
    """
    for name in sorted(os.environ):
        if name in VARIABLES:
            if not is_utf8(value_of(name)):
                raise UserError(f"{name} is {os.environ[name]!a}, which is not UTF-8 text; choose another name")
        elif name.startswith("CRAFT_"):
            close = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.85)
            if close:
                raise UserError(f"the environment has {name}, which nothing reads; did you mean {close[0]}?")
    cache = value_of("CRAFT_CACHE")
    if cache and os.path.lexists(cache) and not Path(cache).is_dir():
        raise UserError(f"CRAFT_CACHE is {cache}, which is not a folder; name another, or unset it")
