"""Importing this package makes ``import dassl`` work, whichever of the two is imported first.

Upstream Dassl is used where it is installed, after ``bundled/dassl/upstream.py`` has mended what current torch and
numpy broke in it; everywhere else ``bundled/dassl`` takes its place. ``CRAFT_DASSL=bundled`` forces ours,
``CRAFT_DASSL=upstream`` insists on upstream. Nothing is decided, or loaded, before somebody imports ``dassl``: a finder
at the front of ``sys.meta_path`` waits for that. Where it chooses ours, this folder goes to the front of ``sys.path``,
which worker processes inherit. So nothing that can be imported may lie here but ``dassl``.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Callable
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from craft.common.errors import UserError

HERE = Path(__file__).resolve().parent

_broken: set[str] = set()  # the files of installed packages that could not be mended


def which() -> str:
    """``"bundled"`` or ``"upstream"``: whose ``dassl`` is imported, now if it was not yet.

    Raises UserError where CRAFT_DASSL says something unknown, or insists on what is not there.
    """
    return "bundled" if _is_ours(importlib.import_module("dassl")) else "upstream"


def may_be_upstream() -> bool:
    """Whether ``dassl`` is loaded already, or would be upstream's; loads nothing. Only then may its registries hold
    what this project does not know. UserError as `which`."""
    return "dassl" in sys.modules or (_wish() != "bundled" and _find_upstream() is not None)


def version() -> str:
    """``dassl.__version__``, of the one that `which` names."""
    return importlib.import_module("dassl").__version__


class _Finder:
    """Decides what ``dassl`` is when it is imported; leaves every other name to the finders that follow."""

    @staticmethod
    def find_spec(fullname: str, path=None, target=None) -> ModuleSpec | None:
        if fullname != "dassl":
            return None
        wish = _wish()
        spec = None if wish == "bundled" else _find_upstream()
        if spec and spec.loader:
            spec.loader = _MendingLoader(spec.loader)
            return spec
        if wish == "upstream":
            raise UserError("CRAFT_DASSL=upstream, but no Dassl is installed; install it or unset CRAFT_DASSL")
        _leave_path()
        sys.path.insert(0, str(HERE))  # in front of everything, so that worker processes find it before an upstream
        return PathFinder.find_spec("dassl", [str(HERE)])


class _MendingLoader(Loader):
    """Loads upstream's package by its own loader, then mends it."""

    def __init__(self, loader: Loader):
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self.loader  # whoever asks for its source or files asks this one
        if module.__spec__:
            module.__spec__.loader = self.loader
        _mend(str(module.__file__), lambda: self.loader.exec_module(module))


def _wish() -> str:
    wish = os.environ.get("CRAFT_DASSL", "")
    if wish not in ("", "bundled", "upstream"):
        raise UserError(f"CRAFT_DASSL={wish!r}: expected 'bundled', 'upstream' or nothing")
    return wish


def _is_ours(module: ModuleType | ModuleSpec) -> bool:
    origin = module.origin if isinstance(module, ModuleSpec) else getattr(module, "__file__", None)
    return origin is not None and HERE in Path(origin).resolve().parents


def _find_upstream() -> ModuleSpec | None:
    """An installed Dassl that is not ours; imports nothing."""
    # A worker process inherits sys.path with our folder in front: look past it, to decide as the parent did.
    path = [entry for entry in sys.path if Path(entry or ".").resolve() != HERE]
    for finder in sys.meta_path:
        find = None if isinstance(finder, _Finder) else getattr(finder, "find_spec", None)
        spec = find and find("dassl", path)
        # A folder without __init__.py (no origin) is somebody's directory, not a package.
        if spec and spec.origin is not None and spec.origin not in _broken and not _is_ours(spec):
            return spec
    return None


def _leave_path() -> None:
    sys.path[:] = [entry for entry in sys.path if entry != str(HERE)]


def _mend(file: str, load: Callable[[], None] = lambda: None) -> None:
    """``load`` upstream's package and mend it; where that fails ours takes its place, unless CRAFT_DASSL insists.

    file: its ``__init__.py``.
    """
    _leave_path()
    try:
        load()
        importlib.import_module("craft.bundled.dassl.upstream").mend()
    except Exception as error:  # whatever an unknown version of somebody's package may raise
        _forget()
        reason = f"Dassl in {_folder(file)} cannot be imported ({error}); install what it lacks"
        if _wish() == "upstream":
            raise UserError(reason) from error
        warnings.warn(f"{reason}; using the bundled implementation", stacklevel=2)
        _broken.add(file)
        importlib.import_module("dassl")  # an import that is under way ends with what it then finds in sys.modules


def _folder(file: str) -> Path:
    """Where an installed package lies, by its ``__init__.py``."""
    return Path(file).resolve().parent.parent


def _forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "dassl"]:
        del sys.modules[name]


def _settle(loaded: ModuleType) -> None:
    """The same decision where ``dassl`` was imported before this package."""
    wish, file = _wish(), getattr(loaded, "__file__", None)
    if file is None:
        _forget()  # a folder, not a package
    elif _is_ours(loaded):
        if wish == "upstream":
            raise UserError("CRAFT_DASSL=upstream, but the bundled dassl is imported already; import craft before it")
    elif wish == "bundled":
        where = _folder(file)
        raise UserError(f"CRAFT_DASSL=bundled, but Dassl in {where} is imported already; import craft before it")
    else:
        _mend(file)


sys.meta_path.insert(0, _Finder())
if "dassl" in sys.modules:
    _settle(sys.modules["dassl"])
