"""Default configuration and what is done to it before it is printed."""

from .defaults import _C as cfg_default

__all__ = ["cfg_default", "clean_cfg", "get_cfg_default"]


def get_cfg_default():
    """A fresh, unfrozen copy of the defaults (a yacs CfgNode)."""
    return cfg_default.clone()


def clean_cfg(cfg, trainer):
    """Drop the nodes of all trainers but ``trainer`` from ``cfg.TRAINER``, in place, for a shorter print."""
    for key in set(cfg.TRAINER) - {"NAME", trainer.upper()}:
        del cfg.TRAINER[key]
