"""Which readers there are, by name. Loads neither torch nor Dassl: ``craft data list`` needs no more than this.

A reader is declared with `register_reader` above its class, here or in another repository. Dassl learns of it when a
run needs it (``dassl_datasets.py``).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from craft.common.errors import UserError, unknown
from craft.common.places import configs
from craft.config.layers import read_yaml
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


def reader_name(name: str, also: Iterable[str] = ()) -> str:
    """The name of `list_datasets` that ``name`` is in any case, and with or without underscores.

    Raises UserError with the nearest names, those of ``also`` too, where there is none.
    """
    if name in READERS:
        return name
    found = [known for known in list_datasets() if _folded(known) == _folded(name)]
    if name not in found and not found:
        load_dassl()
        found = [known for known in list_datasets() if _folded(known) == _folded(name)]
    if not found:
        error = unknown("data set", name, [*list_datasets(), *also])
        raise UserError(f"{error} `craft data list` names all; docs/extending.md shows a reader of one's own")
    return name if name in found else found[0]


def stock_names() -> list[str]:
    """The data sets of configs/datasets, as ``--dataset-config-file`` spells them."""
    return sorted(path.stem for path in (configs() / "datasets").glob("*.yaml"))


def stock_yaml(name: str) -> Path | None:
    """The file of configs/datasets that ``name`` stands for, in any case: its own name, or that of its reader where
    this is a published set; None where there is none."""
    wanted = _folded(name)
    stem = next((stem for stem in stock_names() if _folded(stem) == wanted), None)
    if stem is None:
        stem = next((stem for stem in stock_names() if _folded(_reader_of(stem)) == wanted), None)
    return _stock_file(stem) if wanted and stem else None


def _stock_file(stem: str) -> Path:
    return configs() / "datasets" / f"{stem}.yaml"


def _reader_of(stem: str) -> str:
    """DATASET.NAME of a file of configs/datasets; "" for that of a folder of one's own, which are several."""
    name = (read_yaml(_stock_file(stem)).get("DATASET") or {}).get("NAME", "")
    return "" if name == "ImageFolder" else name


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def load_dassl() -> None:
    """Load the data sets that Dassl brings, which takes seconds; the bundled Dassl has none, and nothing is loaded."""
    from craft import bundled

    if bundled.which() == "upstream":
        importlib.import_module("dassl.data.datasets")


def _entered_into_dassl() -> list[str]:
    """Names in Dassl's registry; none while nobody has loaded it."""
    module = sys.modules.get("dassl.data.datasets")
    return list(module.DATASET_REGISTRY.registered_names()) if module else []
