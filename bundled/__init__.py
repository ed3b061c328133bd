"""Importing this package makes ``import dassl`` work.

Upstream Dassl is used where it is installed, after ``craft.bundled.upstream`` has mended what current torch and numpy
broke in it; everywhere else ``bundled/dassl`` takes its place. ``CRAFT_DASSL=bundled`` forces ours,
``CRAFT_DASSL=upstream`` insists on upstream. ``WHICH`` and ``VERSION`` say what was chosen.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import warnings
from pathlib import Path

from craft.common.errors import UserError

HERE = Path(__file__).resolve().parent

WHICH: str  # "bundled" or "upstream"
VERSION: str  # dassl.__version__


def _is_ours(origin: str | None) -> bool:
    return origin is not None and HERE in Path(origin).resolve().parents


def _find_upstream() -> str | None:
    """The ``__init__.py`` of an installed Dassl that is not ours, or None; imports nothing."""
    loaded = sys.modules.get("dassl")
    if loaded is not None:
        origin = getattr(loaded, "__file__", None)
    else:
        # A worker process inherits sys.path with our folder in front: look past it, to decide as the parent did.
        path = sys.path[:]
        sys.path[:] = [entry for entry in path if Path(entry or ".").resolve() != HERE]
        try:
            spec = importlib.util.find_spec("dassl")
        finally:
            sys.path[:] = path
        origin = spec.origin if spec else None
    # A folder without __init__.py (origin None) is somebody's directory, not a package.
    return None if origin is None or _is_ours(origin) else origin


def _use_bundled() -> None:
    loaded = sys.modules.get("dassl")
    if loaded is not None and not _is_ours(getattr(loaded, "__file__", None)):
        raise UserError("upstream dassl is already imported; run `import bundled` before the first `import dassl`")
    # In front of everything, and on sys.path rather than in sys.modules, so that worker processes find it too.
    if str(HERE) in sys.path:
        sys.path.remove(str(HERE))
    sys.path.insert(0, str(HERE))


def _use_upstream(origin: str) -> None:
    from craft.bundled import upstream

    if str(HERE) in sys.path:
        sys.path.remove(str(HERE))
    where = Path(origin).resolve().parent.parent
    try:
        upstream.mend()
    except Exception as error:  # whatever an unknown version of somebody's package may raise
        for name in [name for name in sys.modules if name.split(".")[0] == "dassl"]:
            del sys.modules[name]
        raise UserError(f"Dassl in {where} cannot be imported ({error}); install what it lacks") from error


def _choose() -> str:
    wish = os.environ.get("CRAFT_DASSL", "")
    if wish not in ("", "bundled", "upstream"):
        raise UserError(f"CRAFT_DASSL={wish!r}: expected 'bundled', 'upstream' or nothing")
    origin = None if wish == "bundled" else _find_upstream()
    if origin is None:
        if wish == "upstream":
            raise UserError("CRAFT_DASSL=upstream, but no Dassl is installed; install it or unset CRAFT_DASSL")
        _use_bundled()
        return "bundled"
    try:
        _use_upstream(origin)
    except UserError as error:
        if wish == "upstream":
            raise
        warnings.warn(f"{error}; using the bundled implementation", stacklevel=2)
        _use_bundled()
        return "bundled"
    return "upstream"


WHICH = _choose()
VERSION = importlib.import_module("dassl").__version__
