"""A multilayer perceptron on top of a backbone."""

from functools import partial

from torch import nn

from ...utils.errors import UnknownName
from .build import HEAD_REGISTRY

ACTIVATIONS = {"relu": partial(nn.ReLU, inplace=True), "leaky_relu": partial(nn.LeakyReLU, inplace=True)}


class MLP(nn.Module):
    """Features [B, in_features] -> [B, hidden_layers[-1]]: linear, BatchNorm, activation, dropout a layer."""

    def __init__(self, in_features=2048, hidden_layers=(), activation="relu", bn=True, dropout=0.0):
        super().__init__()
        hidden_layers = [hidden_layers] if isinstance(hidden_layers, int) else list(hidden_layers)
        if not hidden_layers:
            raise ValueError("MODEL.HEAD.HIDDEN_LAYERS is empty")
        if activation not in ACTIVATIONS:
            raise UnknownName("MODEL.HEAD.ACTIVATION", activation, ACTIVATIONS)
        self.out_features = hidden_layers[-1]
        layers = []
        for width in hidden_layers:
            layers.append(nn.Linear(in_features, width))
            layers += [nn.BatchNorm1d(width)] if bn else []
            layers.append(ACTIVATIONS[activation]())
            layers += [nn.Dropout(dropout)] if dropout > 0 else []
            in_features = width
        self.mlp = nn.Sequential(*layers)

    def forward(self, x):
        return self.mlp(x)


@HEAD_REGISTRY.register()
def mlp(**kwargs):
    return MLP(**kwargs)
