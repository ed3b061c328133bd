"""The arithmetic of result tables: every number that is printed comes from here, and is tested against sums by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Seeds = Mapping[int, float]
ENOUGH = 3  # pairs for an interval: of two, equal by chance, it would be of no width


@dataclass(frozen=True)
class Summary:
    """mean and sample standard deviation over seeds. std: None for a single seed."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Difference:
    """Mean of the differences of pairs with one seed; std of the differences, None for a single pair; [low, high]: its
    confidence interval, None for fewer than `ENOUGH` pairs."""

    mean: float
    std: float | None
    low: float | None
    high: float | None
    n: int


def summary(values: Seeds) -> Summary | None:
    """Mean and s = sqrt(Σ (x − mean)² / (n − 1)); None without values."""
    if not values:
        return None
    numbers = list(values.values())
    mean = math.fsum(numbers) / len(numbers)
    if len(numbers) == 1:
        return Summary(mean, None, 1)
    variance = math.fsum((x - mean) ** 2 for x in numbers) / (len(numbers) - 1)
    return Summary(mean, math.sqrt(variance), len(numbers))


def harmonic(base: Seeds, new: Seeds) -> dict[int, float]:
    """H = 2 b n / (b + n) seed by seed, for the seeds that have both; 0 where both are 0."""
    return {
        seed: 2 * base[seed] * new[seed] / (base[seed] + new[seed]) if base[seed] + new[seed] else 0.0
        for seed in sorted(base.keys() & new.keys())
    }


def across(parts: Sequence[Seeds]) -> dict[int, float]:
    """Mean over data sets seed by seed, for the seeds that all of them have."""
    if not parts:
        return {}
    seeds = set.intersection(*(set(part) for part in parts))
    return {seed: math.fsum(part[seed] for part in parts) / len(parts) for seed in sorted(seeds)}


def paired(ours: Seeds, host: Seeds, confidence: float = 0.95) -> Difference | None:
    """ours − host, paired by seed, with Student's t interval: mean ± t_{n−1} s / sqrt(n); None without a pair.

    Below `ENOUGH` pairs there is no interval: test images are finite, so two differences are often equal, and an
    interval of no width would claim certainty.
    """
    pairs = {seed: ours[seed] - host[seed] for seed in ours.keys() & host.keys()}
    found = summary(pairs)
    if found is None:
        return None
    if found.std is None or found.n < ENOUGH:
        return Difference(found.mean, found.std, None, None, found.n)
    from scipy import stats as scipy_stats  # slow to load, and of no use to --help

    half = float(scipy_stats.t.ppf((1 + confidence) / 2, found.n - 1)) * found.std / math.sqrt(found.n)
    return Difference(found.mean, found.std, found.mean - half, found.mean + half, found.n)


def binomial_error(accuracy: float, images: int) -> float:
    """Standard error in points of an accuracy (per cent) over ``images`` test images: 100 sqrt(p (1 − p) / N).

    It is what drawing other test images would do to one and the same model. With p = 0 or 1 the formula says 0, which
    no finite test set can; there p is taken as half an image away, (1/2) / N.
    """
    share = min(max(accuracy / 100, 0.5 / images), 1 - 0.5 / images)
    return 100 * math.sqrt(share * (1 - share) / images)
