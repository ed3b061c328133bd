"""Optimisations that can be switched off, for tests and for whoever hunts a fault: ``CRAFT_WITHOUT=packing,onednn``.

Every one is exact: without it a run gives the same numbers within rounding, and takes longer. So what is switched off
is no part of a run's identity; the run's record says it (``without``). ``CRAFT_WITHOUT=all`` switches all of them off.
"""

from __future__ import annotations

import functools
import os

from craft.common.errors import UserError

VARIABLE = "CRAFT_WITHOUT"
ALL = "all"
#: name -> what is done instead of it
OPTIMISATIONS = {
    "packing": "class texts of different lengths are padded to the longest, not packed into one matrix",
    "prefix": "what class texts have in common at the start is computed for each of them",
    "kept_texts": "evaluation encodes the class texts for every batch",
    "text_cache": "features of hand-written texts are neither read from disk nor kept there",
    "feature_cache": "test images are encoded in every evaluation, also where no prompt changes their features",
    "anchor_cache": "static anchors are neither read from disk nor kept there",
    "split_cache": "few-shot draws and listings of folders are made anew, and not kept",
    "onednn": "products with frozen weights on a CPU stay with MKL",
    "decoded_images": "training images are decoded in every epoch",
    "persistent_workers": "the loader's workers are started anew in every epoch",
}


def without(name: str) -> bool:
    """Whether the optimisation ``name``, a key of `OPTIMISATIONS`, is switched off."""
    assert name in OPTIMISATIONS, name
    value = os.environ.get(VARIABLE)
    return bool(value) and name in _read(value)


def switched_off() -> list[str]:
    """The optimisations that are switched off, in the order of `OPTIMISATIONS`. UserError for an unknown name."""
    off = _read(os.environ.get(VARIABLE, ""))
    return [name for name in OPTIMISATIONS if name in off]


@functools.lru_cache(maxsize=16)
def _read(value: str) -> frozenset[str]:
    names = {name for part in value.split(",") if (name := part.strip())}
    wrong = sorted(names - {ALL, *OPTIMISATIONS})
    if wrong:
        raise UserError(
            f"{VARIABLE}={value}: no optimisation is called {wrong[0]!r}; it can name, with commas between, "
            f"{', '.join(OPTIMISATIONS)}, or {ALL}"
        )
    return frozenset(OPTIMISATIONS) if ALL in names else frozenset(names)
