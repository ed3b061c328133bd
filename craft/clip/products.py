"""Products with CLIP's frozen weights, through the faster of the two libraries that torch carries.

On a CPU torch multiplies float32 matrices with Intel's MKL, which on processors of other makers leaves AVX-512 unused.
oneDNN, which torch takes for other types and for convolutions, uses it everywhere. So there, and only there, frozen
float32 weights go through oneDNN; results differ in rounding. ``CRAFT_ONEDNN=0`` leaves everything to MKL, and so does
``CRAFT_WITHOUT=onednn``.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from craft.common.environment import value_of
from craft.common.switches import without


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``: (…, k) -> (…, n) with a frozen ``weight`` (n, k), which gets no gradient, and ``bias`` (n,)."""
    plain = (
        x.device.type != "cpu"
        or x.dtype != torch.float32
        or weight.requires_grad
        or torch.is_autocast_enabled("cpu")
        or torch.compiler.is_compiling()
    )
    if plain or not onednn_is_faster():
        return F.linear(x, weight, bias)
    return _Product.apply(x, weight, bias)


class _Product(torch.autograd.Function):
    """x wᵀ + b; on the way back the gradient of x alone."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.weight = weight  # lives as long as the model: nothing to save
        return _onednn(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        return _onednn(grad.contiguous(), ctx.weight.t(), None), None, None


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@functools.cache
def onednn_is_faster() -> bool:
    """Whether this processor is one for oneDNN. By rule and not by timing: a run must round alike whenever it runs."""
    if value_of("CRAFT_ONEDNN") == "0" or without("onednn") or "Intel" in _maker():
        return False
    if not (torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()):
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    try:  # torch's own name for it, made for its compiler: if another version drops or changes it, MKL stays
        x, weight = torch.ones(2, 3), torch.arange(12.0).view(4, 3)
        both = _onednn(x, weight, torch.ones(4)), _onednn(torch.ones(2, 4), weight.t(), None)
        return torch.equal(both[0], x @ weight.t() + 1) and torch.equal(both[1], torch.ones(2, 4) @ weight)
    except (AttributeError, RuntimeError, TypeError):
        return False


def _maker() -> str:
    """``GenuineIntel``, ``AuthenticAMD``, …"""
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("vendor_id"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
