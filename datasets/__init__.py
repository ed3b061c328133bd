"""Data sets: readers of images and labels (``readers/``, one a file), and tools to prepare and look at them.

Importing this package declares all readers and loads neither torch nor Dassl; `enter_into_dassl` makes them data sets
of Dassl's. Here is what a reader of one's own, or a script, needs; the files say the rest:

    prompt_dataset.py   the base of every reader          few_shot.py      which images are the shots of a run
    registry.py         which readers there are           shot_lists.py    shots that somebody published
    splits.py           what a split is, making one       base_new.py      base and new classes
    split_file.py       sets with a published split       digests.py       what proves a split or shots the same
    published.py        the published ones, by digest     templates.py     a class's hand-written text
    dassl_datasets.py   Dassl's data sets made of them    sources.py       what there is to download, and where
    config_keys.py      the DATASET keys of a run         images.py        decoding; loading.py: loaders

``tools/`` is `craft data`: list, check, download, show, fewshot.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.datasets import readers  # noqa: F401  (importing them declares them)
from craft.datasets.config_keys import extend_cfg
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import READERS, list_datasets, register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Item, Split
from craft.datasets.templates import template_for

if TYPE_CHECKING:
    from craft.datasets.dassl_datasets import GroupDatum, enter_into_dassl
    from craft.datasets.images import ReadableImages

#: what loads torch or Dassl, and the file that has it: imported when it is first asked for
LATE = {"GroupDatum": "dassl_datasets", "ReadableImages": "images", "enter_into_dassl": "dassl_datasets"}


def __getattr__(name: str):
    if name not in LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{LATE[name]}"), name)


__all__ = [
    "READERS",
    "Counts",
    "DataFile",
    "GroupDatum",
    "Item",
    "PromptDataset",
    "ReadableImages",
    "Source",
    "Split",
    "enter_into_dassl",
    "extend_cfg",
    "list_datasets",
    "register_reader",
    "template_for",
]
