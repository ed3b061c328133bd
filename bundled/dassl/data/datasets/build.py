"""The registry of data sets."""

from ...utils.registry import Registry, build

DATASET_REGISTRY = Registry("DATASET")


def build_dataset(cfg):
    """The data set that ``cfg.DATASET.NAME`` names."""
    return build(DATASET_REGISTRY, cfg.DATASET.NAME, cfg.VERBOSE, "Loading dataset", cfg)
