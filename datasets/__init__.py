"""Data sets on Dassl's API: the base of every reader, the readers (one a file), and tools to prepare and look at them.

Importing this package registers all readers with Dassl.
"""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.datasets import readers  # noqa: F401  (registers them)
from craft.datasets.base import GroupDatum, Item, PromptDataset, Split
from craft.datasets.images import ReadableImages
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.templates import extend_cfg, list_datasets, template_for

__all__ = [
    "Counts",
    "DataFile",
    "GroupDatum",
    "Item",
    "PromptDataset",
    "ReadableImages",
    "Source",
    "Split",
    "extend_cfg",
    "list_datasets",
    "template_for",
]
