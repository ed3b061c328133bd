"""Parameters that several structures share: deep prompts, and the checks that they fit the backbone's towers."""

from __future__ import annotations

import torch
from torch import nn

from craft.clip import Backbone
from craft.clip.backbone import NOT_TOKENS
from craft.common.errors import UserError
from craft.prompts.context import INIT_STD
from craft.prompts.learner import check_depth


def deep_prompts(count: int, n_ctx: int, width: int) -> nn.ParameterList:
    """``count`` learnable (n_ctx, width) prompts ~ N(0, 0.02²), for blocks 1…count."""
    return nn.ParameterList(nn.Parameter(torch.empty(n_ctx, width).normal_(std=INIT_STD)) for _ in range(count))


def text_depth(backbone: Backbone, depth: int, key: str) -> int:
    """``depth``, once checked against the text tower."""
    check_depth(depth, backbone.text_depth, "text", key)
    return depth


def vision_depth(backbone: Backbone, depth: int, key: str) -> int:
    """``depth``, once checked against the image tower, which must be a vision transformer."""
    if backbone.vision_depth is None:
        raise UserError(NOT_TOKENS)
    check_depth(depth, backbone.vision_depth, "image", key)
    return depth


def vision_width(backbone: Backbone) -> int:
    """Width w of the image tower's tokens; UserError for a ResNet, which has no tokens to prompt."""
    if backbone.vision_width is None:
        raise UserError(NOT_TOKENS)
    return backbone.vision_width
