"""OpenAI's ``clip`` package, imported on any setuptools: the one place of this project that imports it.

``clip`` takes ``packaging`` from ``pkg_resources``, a part of setuptools that version 81 dropped. Where it cannot be
imported, a stand-in that holds ``packaging`` is there while ``clip`` is imported, and gone afterwards.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

NAME = "pkg_resources"


def _importable() -> bool:
    try:
        with warnings.catch_warnings():  # it announces its own end
            warnings.simplefilter("ignore")
            import pkg_resources  # noqa: F401  (is it there?)
    except ImportError:
        return False
    return True


@contextmanager
def _packaging_in_pkg_resources() -> Iterator[None]:
    if "clip" in sys.modules or _importable():
        yield
        return
    import packaging.version

    stand_in = ModuleType(NAME)
    stand_in.packaging = packaging  # type: ignore[attr-defined]  # a module made here has no declared attributes
    missing = object()
    before = sys.modules.get(NAME, missing)
    sys.modules[NAME] = stand_in
    try:
        yield
    finally:
        if before is missing:
            del sys.modules[NAME]
        else:
            sys.modules[NAME] = before  # type: ignore[assignment]  # None, which forbids the import


with _packaging_in_pkg_resources():
    from clip import clip as openai
    from clip.model import CLIP, QuickGELU, ResidualAttentionBlock, VisionTransformer, build_model, convert_weights

__all__ = [
    "CLIP",
    "QuickGELU",
    "ResidualAttentionBlock",
    "VisionTransformer",
    "build_model",
    "convert_weights",
    "openai",
]
