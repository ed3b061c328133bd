"""Parameters that several structures share: deep prompts, and the checks that their depth fits the tower."""

from __future__ import annotations

import torch
from clip.model import CLIP
from torch import nn

from craft.clip.vision import vision_width
from craft.prompts.context import INIT_STD
from craft.prompts.learner import check_depth


def deep_prompts(count: int, n_ctx: int, width: int) -> nn.ParameterList:
    """``count`` learnable (n_ctx, width) prompts ~ N(0, 0.02²), for blocks 1…count."""
    return nn.ParameterList(nn.Parameter(torch.empty(n_ctx, width).normal_(std=INIT_STD)) for _ in range(count))


def text_depth(clip: CLIP, depth: int, key: str) -> int:
    """``depth``, once checked against the text tower."""
    check_depth(depth, len(clip.transformer.resblocks), "text", key)
    return depth


def vision_depth(clip: CLIP, depth: int, key: str) -> int:
    """``depth``, once checked against the image tower, which must be a vision transformer."""
    vision_width(clip)
    check_depth(depth, len(clip.visual.transformer.resblocks), "image", key)
    return depth
