"""The registry of evaluators."""

from ..utils.registry import Registry, build

EVALUATOR_REGISTRY = Registry("EVALUATOR")


def build_evaluator(cfg, **kwargs):
    """The evaluator that ``cfg.TEST.EVALUATOR`` names."""
    return build(EVALUATOR_REGISTRY, cfg.TEST.EVALUATOR, cfg.VERBOSE, "Loading evaluator", cfg, **kwargs)
