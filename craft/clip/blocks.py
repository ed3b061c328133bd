"""What both towers share of CLIP's residual attention block, on its own modules and weights.

The arithmetic is the block's, arranged so that memory is walked over less often: queries, keys and values in one
product, fused attention, and QuickGELU through the fused ``silu``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from craft.clip.original import QuickGELU
from craft.clip.products import linear

SLOPE = 1.702  # of QuickGELU: x sigmoid(1.702 x)


class Layers(Protocol):
    """A block's two layers and what lies between them."""

    c_fc: nn.Linear
    gelu: Callable[[Tensor], Tensor]
    c_proj: nn.Linear


class Block(Protocol):
    """What is read of a residual attention block, CLIP's or one that takes its place."""

    attn: nn.MultiheadAttention
    ln_1: nn.LayerNorm
    mlp: Layers
    ln_2: nn.LayerNorm


def heads(block: Block, x: Tensor, parts: int) -> tuple[Tensor, ...]:
    """(…, L, parts·d) -> ``parts`` tensors (…, heads, L, d / heads)."""
    count = block.attn.num_heads
    width = x.shape[-1] // parts
    split = x.unflatten(-1, (parts, count, width // count))
    return tuple(part.transpose(-3, -2) for part in split.unbind(dim=-3))


def project(block: Block, x: Tensor, first: int, last: int) -> Tensor:
    """(…, d) -> (…, (last − first)·d): the products ``first`` … ``last`` − 1 of (query, key, value)."""
    width = x.shape[-1]
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    return linear(x, weight[first * width : last * width], bias[first * width : last * width])


def merge(block: Block, mixed: Tensor) -> Tensor:
    """Attention's result (…, heads, L, d / heads) -> (…, L, d) through the output projection."""
    out = block.attn.out_proj
    return linear(mixed.transpose(-3, -2).flatten(-2), out.weight, out.bias)


def feed_forward(block: Block, x: Tensor) -> Tensor:
    """x + mlp(ln_2(x)), with the block's own activation between the two layers.

    QuickGELU is x sigmoid(a x) = silu(a x) / a: scaling the narrow input and output of the layer pair instead of the
    wide middle leaves one pass over the wide tensor in each direction where CLIP's expression takes three and five.
    """
    normed = block.ln_2(x)
    rise, fall, activation = block.mlp.c_fc, block.mlp.c_proj, block.mlp.gelu
    if not isinstance(activation, QuickGELU):
        return x + linear(activation(linear(normed, rise.weight, rise.bias)), fall.weight, fall.bias)
    wide = F.silu(linear(normed * SLOPE, rise.weight, rise.bias * SLOPE))
    return x + (linear(wide, fall.weight) / SLOPE + fall.bias)
