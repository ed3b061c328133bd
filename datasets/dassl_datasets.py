"""Dassl's data sets made of readers, and entered into Dassl's registry: what ``DATASET.NAME`` of a run leads to.

A reader reads without Dassl. Its data set is a class of the same name that is reader and ``DatasetBase`` at once: it
has the reader's attributes (``group_names``, ``wnids``, …) and Dassl's lists of ``Datum``.
"""

from __future__ import annotations

import os

from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum

from craft.common.errors import UserError
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import READERS
from craft.datasets.splits import Item, Split


class GroupDatum(Datum):
    """A Datum that also knows its spurious ``attribute`` and its ``group`` (ints, or None where unknown)."""

    def __init__(self, impath="", label=0, domain=0, classname="", attribute=None, group=None):
        super().__init__(impath=impath, label=label, domain=domain, classname=classname)
        self._attribute = attribute
        self._group = group

    @property
    def attribute(self) -> int | None:
        return self._attribute

    @property
    def group(self) -> int | None:
        return self._group


def enter_into_dassl(keep_others: bool = False) -> list[str]:
    """Enter the data sets of all registered readers into Dassl's registry.

    May be called again after `register_reader`; what is entered already stays as it is. Where the registry has
    somebody else's data set of a reader's name: UserError, or, if keep_others, it stays. Returns the names of those.
    """
    taken = []
    entered = DATASET_REGISTRY.registered_names()
    for name, reader in READERS.items():
        if name not in entered:
            DATASET_REGISTRY.register()(dassl_class(reader))
            continue
        known = DATASET_REGISTRY.get(name)
        if not issubclass(known, reader):
            taken.append(name)
            if keep_others:
                continue
            raise UserError(
                f"two data sets are called {name}: {reader.__module__} has one, and {known.__module__} has entered "
                "another into Dassl's registry; rename one or do not import it"
            )
    return taken


def dassl_class(reader: type[PromptDataset]) -> type:
    """The data set of a reader: a class to be called with a config, as Dassl calls it. It is not registered here."""

    def __init__(self, cfg):
        reader.__init__(self, cfg)
        DatasetBase.__init__(self, **datum_lists(self.load(), self.dataset_dir))

    members = {"__init__": __init__, "__doc__": reader.__doc__, "__module__": reader.__module__}
    return type(reader.__name__, (reader, DatasetBase), members)


def datum_lists(split: Split, folder: str) -> dict[str, list[Datum] | None]:
    """What DatasetBase wants to be built of. Parts that are one list in ``split`` are one list here."""
    test = to_data(split.test, folder)
    lists = {"train_x": split.train, "train_u": split.train_u, "val": split.val}
    made = {
        name: None if items is None else test if items is split.test else to_data(items, folder)
        for name, items in lists.items()
    }
    return {**made, "test": test}


def to_data(items: list[Item], folder: str) -> list[Datum]:
    """Datum objects with paths below ``folder``; GroupDatum where an item has an attribute or a group."""
    data = []
    for item in items:
        impath = os.path.join(folder, item.path)
        common = {"impath": impath, "label": item.label, "domain": item.domain, "classname": item.classname}
        if item.attribute is None and item.group is None:
            data.append(Datum(**common))
        else:
            data.append(GroupDatum(**common, attribute=item.attribute, group=item.group))
    return data
