"""Dassl trainers: prompt structures, one a file (``coop.py``, ``maple.py``, …), and what makes trainers of them.

`structures` lists the structures and their Craft variants, and loads nothing else; ``engine/`` holds the trainers that
all structures share; `launch` goes from a command line to a run. `enter_into_dassl` makes everything here known to
Dassl's registries, for a script of one's own.
"""

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.trainers.structures import STRUCTURES, Structure, register


def enter_into_dassl(cfg=None) -> None:
    """Enter the trainers of all registered structures, and this project's data sets, into Dassl's registries.

    For a Dassl script of one's own, which also hands in its ``cfg`` before yaml files are merged into it: the keys that
    these trainers and data sets read are added. What somebody else has entered under one of the names (a CoOp checkout
    has a trainer ``CoOp`` and a data set ``Caltech101``) stays, and one line says so. May be called again.
    """
    from craft.datasets.dassl_datasets import enter_into_dassl as enter_datasets
    from craft.trainers.engine.variants import enter
    from craft.trainers.settings import extend_cfg

    taken = [name for structure in STRUCTURES.values() for name in enter(structure)]
    taken += enter_datasets(keep_others=True)
    if taken:
        print(f"Craft: Dassl knows these already by somebody else, which stay: {', '.join(taken)}")
    if cfg is not None:
        extend_cfg(cfg)


__all__ = ["STRUCTURES", "Structure", "enter_into_dassl", "register"]
