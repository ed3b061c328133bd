"""Readers of published data sets on Dassl's API. Importing this package registers all of them."""

import bundled  # noqa: F401  (makes `import dassl` work)

from datasets import (  # noqa: F401  (importing a reader registers it)
    caltech101,
    celeba,
    digits,
    digits_groups,
    digits_shift,
    dtd,
    eurosat,
    fgvc_aircraft,
    food101,
    image_folder,
    imagenet,
    imagenet_a,
    imagenet_ood,
    imagenet_r,
    imagenet_sketch,
    imagenetv2,
    oxford_flowers,
    oxford_pets,
    stanford_cars,
    sun397,
    ucf101,
    waterbirds,
)
from datasets.base import GroupDatum, Item, PromptDataset, Split
from datasets.images import ReadableImages
from datasets.sources import Counts, DataFile, Source
from datasets.templates import extend_cfg, list_datasets, template_for

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
