"""Squared Maximum Mean Discrepancy with a sum of Gaussian kernels. Needs torch alone; useful by itself.

Gretton et al., A Kernel Two-Sample Test, JMLR 13 (2012), eq. 3 (unbiased) and eq. 5 (biased):

    MMD²(X, Y) = mean k(x, x') + mean k(y, y') − 2 mean k(x, y),
    k(a, b)    = Σ_h exp(−|a − b|² / (2 h²))   over the bandwidths h, given by their squares (variances h²).

The biased estimator averages over all pairs; the unbiased one leaves out the pairs of a sample with itself, and can be
negative. Everything is computed in float32 (or float64, if given so) whatever autocast says, and stays on the device
of its inputs: nothing is copied to or from the host, so a training step never waits for it.

    >>> import torch
    >>> x, y = torch.zeros(4, 2), torch.ones(3, 2)
    >>> float(mmd(x, x[:3]))
    0.0
    >>> round(float(mmd(x, y, variances=(1.0,))), 4)  # |a − b|² is 2 between the samples: 1 + 1 − 2 exp(−2/2)
    1.2642
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

MULTIPLES = (0.25, 0.5, 1.0, 2.0, 4.0)


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """(N, M) squared Euclidean distances of rows of x (N, d) and y (M, d)."""
    # Sums of squared differences. |x|² + |y|² − 2 x·y is a matrix product and quicker, but it loses all digits for near
    # points, and features are near each other; broadcasting x − y would keep N·M·d numbers for the backward pass.
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()


def median_bandwidth(rows: Tensor) -> Tensor:
    """() median distance between two different rows of (N, d), without a graph (the median heuristic).

    Of an even number of distances it is the lower of the two in the middle. Where that is 0, because more than half of
    the pairs coincide, the mean distance stands in: at bandwidth 0 nothing has a gradient.
    """
    distances = torch.pdist(rows.detach())
    median = distances.median()
    # All rows equal: any bandwidth gives 0, but 0 itself would divide by zero.
    return torch.where(median > 0, median, distances.mean()).clamp_min(torch.finfo(rows.dtype).eps)


def mmd(
    x: Tensor,
    y: Tensor,
    variances: Sequence[float] | None = None,
    multiples: Sequence[float] = MULTIPLES,
    unbiased: bool = False,
) -> Tensor:
    """() squared MMD between samples x (N, d) and y (M, d); N and M may differ.

    variances: fixed h² of the Gaussians; empty or None: h are ``multiples`` of the median distance between the rows of
    both samples, which carries no gradient.
    unbiased: leave out a sample's pairs with itself; needs N, M >= 2.

    Raises ValueError for an empty sample, or one row in the unbiased estimator, and for bandwidths that are none.
    """
    least = 2 if unbiased else 1
    if min(len(x), len(y)) < least:
        raise ValueError(f"MMD needs at least {least} rows in each sample, got {len(x)} and {len(y)}")
    with torch.autocast(x.device.type, enabled=False):
        x, y = _wide(x), _wide(y)
        scales = _scales(torch.cat([x, y]), variances, multiples)
        own = _mean(_kernel(x, x, scales), unbiased) + _mean(_kernel(y, y, scales), unbiased)
        return own - 2 * _kernel(x, y, scales).mean()


def grouped_mmd(
    rows: Tensor,
    groups: Tensor,
    pairs: Tensor,
    variances: Sequence[float] | None = None,
    multiples: Sequence[float] = MULTIPLES,
    unbiased: bool = False,
) -> Tensor:
    """() mean of the squared MMD over pairs of groups of one batch; 0 where no pair is there.

    rows: (B, d). groups: (B,) int64, the group of each row. pairs: (P, 2) int64, the groups to compare. A pair counts
    if the batch has a row of both its groups (two, if ``unbiased``), which is decided on the device.
    variances, multiples: as for `mmd`; the median is that of the whole batch, one kernel for all pairs.

        >>> rows, groups = torch.tensor([[0.0], [2.0], [0.5], [1.0]]), torch.tensor([0, 1, 0, 5])
        >>> loss = grouped_mmd(rows, groups, torch.tensor([[0, 1], [5, 6]]), variances=(3.0,))
        >>> torch.allclose(loss, mmd(rows[[0, 2]], rows[[1]], variances=(3.0,)))  # no row is in group 6
        True
    """
    if len(rows) < 2:
        return rows.sum().float() * 0
    with torch.autocast(rows.device.type, enabled=False):
        rows = _wide(rows)
        gram = _kernel(rows, rows, _scales(rows, variances, multiples))
        member = (groups == pairs.t()[..., None]).to(gram.dtype)  # (2, P, B)
        count = member.sum(dim=-1)  # (2, P)
        sums = (member @ gram * member).sum(dim=-1)
        if unbiased:
            own = (sums - member @ gram.diagonal()) / (count * (count - 1)).clamp_min(1)
        else:
            own = sums / count.square().clamp_min(1)
        across = (member[0] @ gram * member[1]).sum(dim=-1) / count.prod(dim=0).clamp_min(1)
        there = (count >= (2 if unbiased else 1)).all(dim=0)
        return ((own.sum(dim=0) - 2 * across) * there).sum() / there.sum().clamp_min(1)


def _wide(rows: Tensor) -> Tensor:
    return rows if rows.dtype == torch.float64 else rows.float()


def _scales(rows: Tensor, variances: Sequence[float] | None, multiples: Sequence[float]) -> list[float] | list[Tensor]:
    """2 h² of every Gaussian."""
    if any(not number > 0 for number in (variances or multiples)) or not (variances or multiples):
        raise ValueError(f"MMD needs bandwidths above 0, got variances {variances} and multiples {multiples}")
    if variances:
        return [2 * variance for variance in variances]
    median = median_bandwidth(rows)
    return [2 * (factor * median) ** 2 for factor in multiples]


def _kernel(a: Tensor, b: Tensor, scales: Sequence[float] | Sequence[Tensor]) -> Tensor:
    """(N, M) Gram matrix."""
    distances = squared_distances(a, b)
    total = sum(torch.exp(-distances / scale) for scale in scales)
    return cast(Tensor, total)  # and not the 0 that an empty sum is: `_scales` gives one at least


def _mean(gram: Tensor, unbiased: bool) -> Tensor:
    """Mean of a square Gram matrix, over off-diagonal entries only if ``unbiased``."""
    if not unbiased:
        return gram.mean()
    count = len(gram)
    return (gram.sum() - gram.diagonal().sum()) / (count * (count - 1))
