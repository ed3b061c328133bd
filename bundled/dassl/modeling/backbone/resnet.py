"""torchvision's ResNets without their classifier."""

import urllib.error

import torchvision
from torch import nn

from ...utils.errors import UserError
from .backbone import Backbone
from .build import BACKBONE_REGISTRY


class ResNet(Backbone):
    """Images [B, 3, H, W] -> pooled features [B, D].

    Args:
        name: a ResNet of torchvision.models.
        pretrained: load its ImageNet weights, downloading them on first use.
    """

    def __init__(self, name, pretrained):
        super().__init__()
        try:
            net = torchvision.models.get_model(name, weights="IMAGENET1K_V1" if pretrained else None)
        except (urllib.error.URLError, OSError) as error:
            raise UserError(
                f"could not download the weights of {name} ({error}); set MODEL.BACKBONE.PRETRAINED False"
            ) from error
        self._out_features = net.fc.in_features
        net.fc = nn.Identity()
        self.net = net

    def forward(self, x):
        return self.net(x)


@BACKBONE_REGISTRY.register()
def resnet18(pretrained=True, **kwargs):
    return ResNet("resnet18", pretrained)


@BACKBONE_REGISTRY.register()
def resnet34(pretrained=True, **kwargs):
    return ResNet("resnet34", pretrained)


@BACKBONE_REGISTRY.register()
def resnet50(pretrained=True, **kwargs):
    return ResNet("resnet50", pretrained)


@BACKBONE_REGISTRY.register()
def resnet101(pretrained=True, **kwargs):
    return ResNet("resnet101", pretrained)


@BACKBONE_REGISTRY.register()
def resnet152(pretrained=True, **kwargs):
    return ResNet("resnet152", pretrained)
