"""Weights in and out of modules, and which of them are trained."""

import warnings

from torch import nn

from .checkpoints import load_checkpoint, resume_from_checkpoint, save_checkpoint
from .errors import UserError

__all__ = [
    "count_num_param",
    "init_network_weights",
    "load_checkpoint",
    "load_pretrained_weights",
    "open_all_layers",
    "open_specified_layers",
    "resume_from_checkpoint",
    "save_checkpoint",
    "set_bn_to_eval",
]


def set_bn_to_eval(m):
    """For ``module.apply``: stop BatchNorm layers from updating their running statistics."""
    if "BatchNorm" in type(m).__name__:
        m.eval()


def open_all_layers(model):
    """Train everything in ``model``."""
    model.train()
    model.requires_grad_(True)


def open_specified_layers(model, open_layers):
    """Train the named direct children of ``model`` and freeze (in eval mode) the others."""
    if isinstance(model, nn.DataParallel):
        model = model.module
    open_layers = [open_layers] if isinstance(open_layers, str) else open_layers
    for layer in open_layers:
        if not hasattr(model, layer):
            raise AttributeError(f"{type(model).__name__} has no layer {layer!r}")
    for name, module in model.named_children():
        module.train(name in open_layers)
        module.requires_grad_(name in open_layers)


def count_num_param(model=None, params=None):
    """Number of scalars in ``model``, or in an iterable of parameters or of groups ``{"params": parameter}``."""
    if model is not None:
        params = model.parameters()
    elif params is None:
        raise ValueError("model and params must provide at least one.")
    return sum((p["params"] if isinstance(p, dict) else p).numel() for p in params)


def load_pretrained_weights(model, weight_path):
    """Copy from a checkpoint what fits ``model`` in name and shape; say what was left out.

    Raises UserError where the file is missing or damaged; warns where nothing fits.
    """
    checkpoint = load_checkpoint(weight_path)
    if not isinstance(checkpoint, dict):
        raise UserError(f"{weight_path} holds no weights by name, but a {type(checkpoint).__name__}")
    wanted = model.state_dict()
    matched, discarded = {}, []
    for key, value in checkpoint.get("state_dict", checkpoint).items():
        key = key.removeprefix("module.")
        if key in wanted and getattr(value, "shape", None) == wanted[key].shape:
            matched[key] = value
        else:
            discarded.append(key)
    model.load_state_dict({**wanted, **matched})
    if not matched:
        warnings.warn(f"Cannot load {weight_path} (check the key names manually)", stacklevel=2)
        return
    print(f"Successfully loaded pretrained weights from {weight_path}")
    if discarded:
        print(f"Layers discarded due to unmatched keys or size: {discarded}")


INITIALISERS = {
    "normal": lambda weight, gain: nn.init.normal_(weight, 0.0, gain),
    "xavier": lambda weight, gain: nn.init.xavier_normal_(weight, gain=gain),
    "kaiming": lambda weight, gain: nn.init.kaiming_normal_(weight, a=0, mode="fan_in"),
    "orthogonal": lambda weight, gain: nn.init.orthogonal_(weight, gain=gain),
}


def init_network_weights(model, init_type="normal", gain=0.02):
    """Initialise convolutions and linear layers by ``init_type``, norm layers to the identity, biases to zero."""
    if init_type not in INITIALISERS:
        raise NotImplementedError(f"init_type must be one of {sorted(INITIALISERS)}, but got {init_type}")

    def initialise(module):
        kind = type(module).__name__
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if weight is None:
            return
        if "Conv" in kind or "Linear" in kind:
            INITIALISERS[init_type](weight.data, gain)
        elif "BatchNorm" in kind or "InstanceNorm" in kind:
            nn.init.ones_(weight.data)
        else:
            return
        if bias is not None:
            nn.init.zeros_(bias.data)

    model.apply(initialise)
