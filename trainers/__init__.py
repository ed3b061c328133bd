"""Dassl trainers: prompt structures (one a file), each with its Craft variants. Importing this registers them all."""

import bundled  # noqa: F401  (makes `import dassl` work)

from importlib import import_module

from trainers.craft_terms import DEFAULTS as CRAFT_DEFAULTS
from trainers.registry import HOSTS, check_trainer, describe, host_of, register_host, trainer_names

for structure in ("zeroshot", "coop", "cocoop", "kgcoop", "vpt", "ivlp", "maple", "promptsrc"):  # the order of tables
    import_module(f"trainers.{structure}")

__all__ = [
    "CRAFT_DEFAULTS",
    "HOSTS",
    "check_trainer",
    "describe",
    "extend_cfg",
    "host_of",
    "register_host",
    "trainer_names",
]


def extend_cfg(cfg) -> None:
    """Add every structure's config node, Craft's, and what all trainers read."""
    from yacs.config import CfgNode

    for host in HOSTS.values():
        cfg.TRAINER[host.node] = CfgNode(dict(host.defaults))
    cfg.TRAINER.CRAFT = CfgNode(dict(CRAFT_DEFAULTS))
    cfg.TRAINER.TEXT_CHUNK = 0  # class texts held at a time while training; the rest is computed again (0: all)
    cfg.TRAINER.COMPILE = False  # the towers' blocks through torch.compile: a slow start for faster steps
    cfg.TEST.CACHE_FEATURES = True  # keep test images' features on disk where no prompt changes them
    cfg.TEST.METRIC = "accuracy"  # selects the model under TEST.FINAL_MODEL best_val
