"""Counting the floating-point operations of matrix products, attention included, with torch's own counter."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from craft.clip.products import onednn_is_faster

ops = torch.ops.aten


def _forward(query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_flop_count(query, key, value)


def _backward(gradient, query, key, value, *args, out_shape=None, **kwargs) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


def _product(x, weight, *args, out_shape=None, **kwargs) -> int:
    return 2 * math.prod(x) * weight[0]


# The counter knows the operators of GPUs; some of the CPU's are its own.
ON_CPU = {
    ops._scaled_dot_product_flash_attention_for_cpu: _forward,
    ops._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}
if onednn_is_faster():
    ON_CPU[torch.ops.mkldnn._linear_pointwise] = _product


def count(run: Callable[[], Any]) -> int:
    """Operations of one call of ``run``: two for every multiplication and addition of a matrix product."""
    with FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        run()
    return counter.get_total_flops()
