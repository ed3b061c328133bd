"""What both towers share of CLIP's residual attention block, on its own modules and weights.

The arithmetic is the block's, arranged so that memory is walked over less often: queries, keys and values in one
product, fused attention, and QuickGELU through the fused ``silu``.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from craft.clip.original import QuickGELU
from craft.clip.products import linear

SLOPE = 1.702  # of QuickGELU: x sigmoid(1.702 x)


def heads(block: nn.Module, x: Tensor, parts: int) -> tuple[Tensor, ...]:
    """(…, L, parts·d) -> ``parts`` tensors (…, heads, L, d / heads)."""
    count = block.attn.num_heads
    width = x.shape[-1] // parts
    split = x.unflatten(-1, (parts, count, width // count))
    return tuple(part.transpose(-3, -2) for part in split.unbind(dim=-3))


def project(block: nn.Module, x: Tensor, first: int, last: int) -> Tensor:
    """(…, d) -> (…, (last − first)·d): the products ``first`` … ``last`` − 1 of (query, key, value)."""
    width = x.shape[-1]
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    return linear(x, weight[first * width : last * width], bias[first * width : last * width])


def merge(block: nn.Module, mixed: Tensor) -> Tensor:
    """Attention's result (…, heads, L, d / heads) -> (…, L, d) through the output projection."""
    out = block.attn.out_proj
    return linear(mixed.transpose(-3, -2).flatten(-2), out.weight, out.bias)


def feed_forward(block: nn.Module, x: Tensor) -> Tensor:
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
