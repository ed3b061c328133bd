"""Distances between two sets of features, [N, D] and [M, D]."""

from torch.nn import functional as F


def euclidean_squared_distance(input1, input2):
    """|x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, as an [N, M] matrix."""
    squares_N1 = input1.square().sum(dim=1, keepdim=True)
    squares_1M = input2.square().sum(dim=1)
    return squares_N1 + squares_1M - 2 * input1 @ input2.t()


def cosine_distance(input1, input2):
    """1 - cos(x, y), as an [N, M] matrix."""
    return 1 - F.normalize(input1, dim=1) @ F.normalize(input2, dim=1).t()


METRICS = {"euclidean": euclidean_squared_distance, "cosine": cosine_distance}


def compute_distance_matrix(input1, input2, metric="euclidean"):
    """Distances of every row of ``input1`` to every row of ``input2``; "euclidean" (squared) or "cosine"."""
    if input1.dim() != 2 or input2.dim() != 2 or input1.size(1) != input2.size(1):
        raise ValueError(f"expected [N, D] and [M, D], got {tuple(input1.shape)} and {tuple(input2.shape)}")
    if metric not in METRICS:
        raise ValueError(f"unknown distance metric {metric!r}; choose one of {sorted(METRICS)}")
    return METRICS[metric](input1, input2)
