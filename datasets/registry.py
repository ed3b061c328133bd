"""Which readers there are, by name. Loads neither torch nor Dassl: ``craft data list`` needs no more than this.

A reader is declared with `register_reader` above its class, here or in another repository. Dassl learns of it when a
run needs it (``dassl_datasets.py``).
"""

from __future__ import annotations

import importlib
import sys
from typing import TypeVar

from craft.common.errors import UserError, unknown
from craft.datasets.prompt_dataset import PromptDataset

READERS: dict[str, type[PromptDataset]] = {}

Reader = TypeVar("Reader", bound=type[PromptDataset])


def register_reader(reader: Reader) -> Reader:
    """Make a reader known to every command under its class's name: a decorator.

    Raises UserError for a class that is no PromptDataset, and for a name that another reader has.
    """
    name = reader.__name__
    if not issubclass(reader, PromptDataset):
        raise UserError(f"reader {name} is no PromptDataset; enter a DatasetBase of Dassl into its DATASET_REGISTRY")
    known = READERS.setdefault(name, reader)
    if known is not reader:
        raise UserError(f"two readers are called {name}, in {known.__module__} and {reader.__module__}; rename one")
    return reader


def list_datasets() -> list[str]:
    """The names that DATASET.NAME may take, sorted: our readers, and once Dassl is loaded whatever its registry holds.

    `load_dassl` before it makes the list complete where upstream Dassl, which brings data sets of its own, is used.
    """
    return sorted({*READERS, *_entered_into_dassl()})


def dataset_class(name: str) -> type:
    """The reader called ``name``, or for a data set of Dassl's own its class in Dassl's registry.

    Raises UserError with the nearest names where there is none.
    """
    if name in READERS:
        return READERS[name]
    load_dassl()
    if name not in _entered_into_dassl():
        raise unknown("data set", name, list_datasets())
    from dassl.data.datasets import DATASET_REGISTRY

    return DATASET_REGISTRY.get(name)


def load_dassl() -> None:
    """Load the data sets that Dassl brings, which takes seconds; the bundled Dassl has none, and nothing is loaded."""
    from craft import bundled

    if bundled.which() == "upstream":
        importlib.import_module("dassl.data.datasets")


def _entered_into_dassl() -> list[str]:
    """Names in Dassl's registry; none while nobody has loaded it."""
    module = sys.modules.get("dassl.data.datasets")
    return list(module.DATASET_REGISTRY.registered_names()) if module else []
