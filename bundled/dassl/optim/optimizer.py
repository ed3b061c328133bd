"""``cfg.OPTIM`` -> a torch optimizer."""

import warnings

import torch
from torch import nn

from ..utils.errors import UnknownName


def _adam_settings(cfg):
    return {"betas": (cfg.ADAM_BETA1, cfg.ADAM_BETA2)}


# name in the configuration -> class, and its own settings beside lr and weight decay
OPTIMIZERS = {
    "adam": (torch.optim.Adam, _adam_settings),
    "amsgrad": (torch.optim.Adam, lambda cfg: {**_adam_settings(cfg), "amsgrad": True}),
    "sgd": (
        torch.optim.SGD,
        lambda cfg: {"momentum": cfg.MOMENTUM, "dampening": cfg.SGD_DAMPNING, "nesterov": cfg.SGD_NESTEROV},
    ),
    "rmsprop": (torch.optim.RMSprop, lambda cfg: {"momentum": cfg.MOMENTUM, "alpha": cfg.RMSPROP_ALPHA}),
    "radam": (torch.optim.RAdam, _adam_settings),
    "adamw": (torch.optim.AdamW, _adam_settings),
}
AVAI_OPTIMS = list(OPTIMIZERS)


def build_optimizer(model, optim_cfg, param_groups=None):
    """The optimizer that ``optim_cfg`` (the OPTIM node) describes.

    Args:
        model: a module, or an iterable of parameters or of parameter groups.
        param_groups: optimise these and ignore ``model`` and STAGED_LR.

    Raises UnknownName (a ValueError) for an OPTIM.NAME that does not exist.
    """
    if optim_cfg.NAME not in OPTIMIZERS:
        raise UnknownName("optimizer", optim_cfg.NAME, OPTIMIZERS)
    if param_groups is not None and optim_cfg.STAGED_LR:
        warnings.warn("OPTIM.STAGED_LR is ignored, because param_groups are given", stacklevel=2)
    if param_groups is None:
        if optim_cfg.STAGED_LR:
            param_groups = _staged(model, optim_cfg)
        else:
            param_groups = model.parameters() if isinstance(model, nn.Module) else model
    factory, settings = OPTIMIZERS[optim_cfg.NAME]
    return factory(param_groups, lr=optim_cfg.LR, weight_decay=optim_cfg.WEIGHT_DECAY, **settings(optim_cfg))


def _staged(model, optim_cfg):
    """Two groups: all direct children at LR * BASE_LR_MULT, but those in NEW_LAYERS at LR."""
    if not isinstance(model, nn.Module):
        raise TypeError("OPTIM.STAGED_LR needs a module, to tell its layers apart")
    if isinstance(model, nn.DataParallel):
        model = model.module
    new_layers = [optim_cfg.NEW_LAYERS] if isinstance(optim_cfg.NEW_LAYERS, str) else optim_cfg.NEW_LAYERS
    base, new = [], []
    for name, child in model.named_children():
        (new if name in new_layers else base).extend(child.parameters())
    return [{"params": base, "lr": optim_cfg.LR * optim_cfg.BASE_LR_MULT}, {"params": new}]
