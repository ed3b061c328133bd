"""The registry of heads."""

from ...utils.registry import Registry, build

HEAD_REGISTRY = Registry("HEAD")


def build_head(name, verbose=True, **kwargs):
    """The head called ``name``."""
    return build(HEAD_REGISTRY, name, verbose, "Head", **kwargs)
