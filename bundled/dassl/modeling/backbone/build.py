"""The registry of backbones."""

from ...utils.registry import Registry, build

BACKBONE_REGISTRY = Registry("BACKBONE")


def build_backbone(name, verbose=True, **kwargs):
    """The backbone called ``name``."""
    return build(BACKBONE_REGISTRY, name, verbose, "Backbone", **kwargs)
