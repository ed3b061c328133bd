"""What every backbone has: a feature width."""

from torch import nn


class Backbone(nn.Module):
    """A module from images to features; subclasses set ``_out_features``."""

    def forward(self):
        pass

    @property
    def out_features(self):
        """Width of the features, None where it was not set."""
        return self.__dict__.get("_out_features")
