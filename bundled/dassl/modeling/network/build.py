"""The registry of networks."""

from ...utils.registry import Registry, build

NETWORK_REGISTRY = Registry("NETWORK")


def build_network(name, verbose=True, **kwargs):
    """The network called ``name``."""
    return build(NETWORK_REGISTRY, name, verbose, "Network", **kwargs)
