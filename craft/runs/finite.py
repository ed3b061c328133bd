"""Whether what was learned is finite: nothing that is not is ever written over something that is."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from craft.common.errors import UserError


def broken(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds a NaN or an infinity; None where all are finite."""
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            return name
    return None


def not_finite(tensors: Mapping[str, Tensor], epoch: int) -> None:
    """UserError that names the tensor, the epoch (from 1) and what to lower, where one is not finite."""
    name = broken(tensors)
    if name:
        raise UserError(
            f"{name} is not finite after epoch {epoch}; lower OPTIM.LR, or set PREC to amp_bf16 or fp32. Nothing of "
            "this epoch is kept"
        )
