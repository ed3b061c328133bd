"""A mapping from names in a configuration to classes and functions."""

import re

from .errors import UnknownName

__all__ = ["Registry"]


class Registry:
    """Objects by their ``__name__``.

    ``@REGISTRY.register()`` decorates, ``REGISTRY.register(obj)`` calls; ``force=True`` replaces.
    """

    def __init__(self, name):
        self._name = name
        self._obj_map = {}

    def register(self, obj=None, force=False):
        def add(item):
            name = item.__name__
            if name in self._obj_map and not force:
                raise KeyError(f"{name!r} is already registered as {readable(self._name)}")
            self._obj_map[name] = item
            return item

        return add if obj is None else add(obj)

    def get(self, name):
        """The object called ``name``. Raises UnknownName, a KeyError with the nearest names."""
        try:
            return self._obj_map[name]
        except KeyError:
            raise UnknownName(readable(self._name), name, self._obj_map) from None

    def registered_names(self):
        return list(self._obj_map)


def readable(registry_name):
    """``"DATASET"`` -> ``"dataset"``: what an error calls the members of a registry."""
    return re.sub(r"[_\s]+", " ", registry_name).strip().lower()


def build(registry, name, verbose, announcement, *args, **kwargs):
    """Look ``name`` up, say so where ``verbose``, and call it: the one body of all ``build_*`` functions."""
    factory = registry.get(name)
    if verbose:
        print(f"{announcement}: {name}")
    return factory(*args, **kwargs)
