"""In which precision a device computes what ``PREC`` asks for."""

from __future__ import annotations

from typing import Any

import torch


def precision_on(device: torch.device, asked: str) -> tuple[str, dict[str, Any]]:
    """(``fp32``, ``fp16``, ``amp`` or ``amp_bf16`` as it is used, the arguments of ``torch.autocast``).

    fp16: CLIP's weights in half. amp, amp_bf16: autocast over float32 weights. What is not CUDA computes in float32.
    """
    precision = asked if device.type == "cuda" else "fp32"
    dtype = {"amp": torch.float16, "amp_bf16": torch.bfloat16}.get(precision, torch.float32)
    return precision, {"device_type": device.type, "dtype": dtype, "enabled": precision.startswith("amp")}
