"""OpenAI's image towers with prompts from outside.

Vision prompts are extra tokens behind the patch tokens of a vision transformer (VPT, arXiv 2203.12119; placed as MaPLe
and PromptSRC place them): the shallow ones are appended before the first layer norm, and deep ones replace the last
n states before their block. In the last block only the class token, which is all that is read, goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from craft.clip.backbone import NOT_TOKENS
from craft.clip.blocks import Block, feed_forward, heads, merge, project
from craft.clip.compiled import compiled
from craft.clip.original import CLIP, VisionTransformer
from craft.clip.tokens import VisionPrompts
from craft.common.errors import UserError


def encode_image(
    clip: CLIP, images: Tensor, prompts: VisionPrompts | None = None, compile_blocks: bool = False
) -> Tensor:
    """(B, e) features, not normalised, of images (B, 3, H, W). Without prompts they equal ``clip.encode_image``.

    compile_blocks: run the transformer's blocks through `craft.clip.compiled`; a ResNet runs as it is.
    """
    images = images.to(clip.dtype)
    if not isinstance(clip.visual, VisionTransformer):
        if prompts is not None:
            raise UserError(NOT_TOKENS)
        return clip.visual(images)
    tower, dtype = clip.visual, clip.dtype
    blocks = list(tower.transformer.resblocks)
    patches = tower.conv1(images).flatten(2).transpose(1, 2)  # (B, patches, w)
    first = tower.class_embedding.to(dtype).expand(patches.shape[0], 1, -1)
    x = torch.cat([first, patches], dim=1) + tower.positional_embedding.to(dtype)
    deep: Sequence[Tensor] = ()
    if prompts is not None:
        deep = prompts.deep
        if len(deep) >= len(blocks):
            raise UserError(
                f"{len(deep)} deep vision prompts do not fit an image tower of {len(blocks)} layers; "
                "lower the prompt depth"
            )
        x = torch.cat([x, prompts.shallow.to(dtype).expand(x.shape[0], -1, -1)], dim=1)
    x = tower.ln_pre(x)
    run = compiled(_block) if compile_blocks else _block
    for number, block in enumerate(blocks):
        if 1 <= number <= len(deep):
            replacement = deep[number - 1].to(dtype)
            x = torch.cat([x[:, : -len(replacement)], replacement.expand(x.shape[0], -1, -1)], dim=1)
        x = run(block, x, number == len(blocks) - 1)
    features = tower.ln_post(x[:, 0])
    return features @ tower.proj if tower.proj is not None else features


def _block(block: Block, x: Tensor, last: bool) -> Tensor:
    """One residual attention block on x (B, L, w); the last one returns the class token only, (B, 1, w)."""
    normed = block.ln_1(x)
    if last:
        x = x[:, :1]
        (query,) = heads(block, project(block, normed[:, :1], 0, 1), 1)
        key, value = heads(block, project(block, normed, 1, 3), 2)
    else:
        query, key, value = heads(block, project(block, normed, 0, 3), 3)
    mixed = F.scaled_dot_product_attention(query, key, value)
    return feed_forward(block, x + merge(block, mixed))
