"""Squared Maximum Mean Discrepancy with a sum of Gaussian kernels. Needs torch alone; useful by itself.

Gretton et al., A Kernel Two-Sample Test, JMLR 13 (2012), eq. 3 (unbiased) and eq. 5 (biased):

    MMD²(X, Y) = mean k(x, x') + mean k(y, y') − 2 mean k(x, y),
    k(a, b)    = Σ_h exp(−|a − b|² / (2 h²))   over the bandwidths h, given by their squares (variances h²).

The biased estimator averages over all pairs; the unbiased one leaves out the pairs of a sample with itself, and can be
negative. Everything is computed in float32 (or float64, if given so) whatever autocast says, and stays on the device
of its inputs.

    >>> import torch
    >>> x, y = torch.zeros(4, 2), torch.zeros(3, 2)
    >>> float(mmd(x, y, variances=(1.0,)))
    0.0
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, M) squared Euclidean distances of rows of x (N, d) and y (M, d)."""
    # The expanded form |x|² + |y|² − 2 x·y loses all digits for near points; features here are near each other.
    return (x[:, None] - y[None]).square().sum(dim=-1)


def median_bandwidth(x: Tensor, y: Tensor) -> Tensor:
    """() median distance between two different rows of cat(x, y), without a graph (the median heuristic)."""
    rows = torch.cat([x, y]).detach()
    count = len(rows)
    upper = torch.triu_indices(count, count, offset=1, device=rows.device)
    distances = (rows[upper[0]] - rows[upper[1]]).square().sum(dim=-1).sqrt()
    # All rows equal: any bandwidth gives 0, but 0 itself would divide by zero.
    return distances.median().clamp_min(torch.finfo(rows.dtype).eps)


def mmd(
    x: Tensor,
    y: Tensor,
    variances: Sequence[float] | None = None,
    multiples: Sequence[float] = MULTIPLES,
    unbiased: bool = False,
) -> Tensor:
    """() squared MMD between samples x (N, d) and y (M, d); N and M may differ.

    variances: fixed h² of the Gaussians; empty or None: h are ``multiples`` of the median distance, which carries no
    gradient.
    unbiased: leave out a sample's pairs with itself; needs N, M >= 2.

    Raises ValueError for an empty sample, or one row in the unbiased estimator.
    """
    least = 2 if unbiased else 1
    if min(len(x), len(y)) < least:
        raise ValueError(f"MMD needs at least {least} rows in each sample, got {len(x)} and {len(y)}")
    with torch.autocast(x.device.type, enabled=False):
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        x, y = x.to(wide), y.to(wide)
        if variances:
            scales = [2 * variance for variance in variances]
        else:
            median = median_bandwidth(x, y)
            scales = [2 * (factor * median) ** 2 for factor in multiples]

        def kernel(a: Tensor, b: Tensor) -> Tensor:
            distances = squared_distances(a, b)
            return sum(torch.exp(-distances / scale) for scale in scales)

        return _mean(kernel(x, x), unbiased) + _mean(kernel(y, y), unbiased) - 2 * kernel(x, y).mean()


def _mean(gram: Tensor, unbiased: bool) -> Tensor:
    """Mean of a square Gram matrix, over off-diagonal entries only if ``unbiased``."""
    if not unbiased:
        return gram.mean()
    count = len(gram)
    return (gram.sum() - gram.diagonal().sum()) / (count * (count - 1))
