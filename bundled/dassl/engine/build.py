"""The registry of trainers."""

from ..utils.registry import Registry, build

TRAINER_REGISTRY = Registry("TRAINER")


def build_trainer(cfg):
    """The trainer that ``cfg.TRAINER.NAME`` names."""
    return build(TRAINER_REGISTRY, cfg.TRAINER.NAME, cfg.VERBOSE, "Loading trainer", cfg)
