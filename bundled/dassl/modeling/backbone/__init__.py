"""Feature extractors."""

from .backbone import Backbone
from .build import BACKBONE_REGISTRY, build_backbone
from .resnet import resnet18, resnet34, resnet50, resnet101, resnet152

__all__ = [
    "BACKBONE_REGISTRY",
    "Backbone",
    "build_backbone",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]
