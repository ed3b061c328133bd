"""Craft (arXiv 2407.15894) for prompt tuning of CLIP, as a plug-in for Dassl.

The folders that Dassl users know are parts of this package by name: ``trainers/`` is `craft.trainers`, ``datasets/`` is
`craft.datasets`, and so on. Installed, they lie inside the package; in a clone they lie beside it, and the line below
lets Python look there.
"""

import importlib
import os
from pathlib import Path

__version__ = "0.2.0"

_HERE = Path(__file__).resolve().parent
if not (_HERE / "trainers").is_dir():
    __path__.append(str(_HERE.parent))

if os.environ.get("CRAFT_OFFLINE") == "1":  # here, for every process that imports any of it, loading workers included
    from craft.common import offline

    offline.forbid()


def __getattr__(name: str):
    """``from craft import PromptClassifier``: a door, like ``__main__``, opened when somebody asks for it."""
    if name == "PromptClassifier":
        return importlib.import_module("craft.inference.estimator").PromptClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
