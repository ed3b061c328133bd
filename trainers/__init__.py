"""Dassl trainers: prompt structures, one a file (``coop.py``, ``maple.py``, …), and what makes trainers of them.

`structures` lists the structures and their Craft variants, and loads nothing else; ``engine/`` holds the trainers that
all structures share; `launch` goes from a command line to a run. `enter_into_dassl` makes everything here known to
Dassl's registries, for a script of one's own.
"""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.trainers.structures import STRUCTURES, Structure, register


def enter_into_dassl() -> None:
    """Enter the trainers of all registered structures, and this project's data sets, into Dassl's registries.

    May be called again after `register` or `register_reader`; what is entered already stays as it is.
    """
    from craft import datasets
    from craft.trainers.engine.variants import enter

    datasets.enter_into_dassl()
    for structure in STRUCTURES.values():
        enter(structure)


__all__ = ["STRUCTURES", "Structure", "enter_into_dassl", "register"]
