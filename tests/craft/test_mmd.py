"""MMD against its definition written out in loops, closed forms, and what a kernel distance must obey."""

import doctest
import math
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from craft import mmd as module
from craft.mmd import MULTIPLES, grouped_mmd, median_bandwidth, mmd, squared_distances


def by_loops(x, y, variances, unbiased):
    """The definition, pair by pair, in Python's own numbers."""

    def kernel(a, b):
        distance = sum((p - q) ** 2 for p, q in zip(a, b))
        return sum(math.exp(-distance / (2 * variance)) for variance in variances)

    def within(rows):
        pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if not (unbiased and i == j)]
        return sum(kernel(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    x, y = x.tolist(), y.tolist()
    across = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    return within(x) + within(y) - 2 * across


def median_by_numpy(*samples):
    """Median distance of all pairs of rows, the lower of two in the middle."""
    rows = np.concatenate([np.asarray(sample, dtype=np.float64) for sample in samples])
    distances = [np.linalg.norm(rows[i] - rows[j]) for i in range(len(rows)) for j in range(i)]
    return sorted(distances)[(len(distances) - 1) // 2]


def sample(rows, width=3, seed=0, shift=0.0):
    return torch.randn(rows, width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + shift


def test_examples_in_the_docstrings():
    result = doctest.testmod(module)
    assert result.attempted >= 5 and not result.failed


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("sizes", [(5, 5), (7, 2), (2, 6)])
@pytest.mark.parametrize("variances", [(1.0,), (10.0, 15.0, 20.0, 50.0), ()])
def test_equals_the_definition(sizes, variances, unbiased):
    x, y = sample(sizes[0], seed=1), sample(sizes[1], seed=2, shift=0.5)
    expected = variances or [(factor * median_by_numpy(x, y)) ** 2 for factor in MULTIPLES]
    found = mmd(x, y, variances, unbiased=unbiased)
    assert found.item() == pytest.approx(by_loops(x, y, expected, unbiased), rel=1e-12, abs=1e-13)
    single = mmd(x.float(), y.float(), variances, unbiased=unbiased)
    assert single.dtype == torch.float32 and single.item() == pytest.approx(found.item(), abs=1e-5)


def test_closed_form_of_two_points():
    """Two points at distance r: 2 − 2 exp(−r²/2h²)."""
    found = mmd(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]), variances=(8.0,))
    assert found.item() == pytest.approx(2 - 2 * math.exp(-25 / 16), rel=1e-6)


def test_closed_form_of_two_normal_distributions():
    """N(0, 1) and N(m, 1) under a Gaussian kernel of variance v: E k = (v/(v+2))^½ (2 − 2 exp(−m²/(2(v+2))))."""
    v, m, rows = 1.5, 1.0, 1500
    expected = math.sqrt(v / (v + 2)) * (2 - 2 * math.exp(-(m**2) / (2 * (v + 2))))
    found = mmd(sample(rows, 1, 1), sample(rows, 1, 2, shift=m), (v,), unbiased=True)
    assert found.item() == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("unbiased", [False, True])
def test_gradients(unbiased):
    x, y = (sample(rows, seed=rows).requires_grad_() for rows in (4, 3))
    torch.autograd.gradcheck(lambda a, b: mmd(a, b, (0.7, 3.0), unbiased=unbiased), (x, y))
    # Median bandwidths are constants to the gradient, so the fixed bandwidths of the same size have the same one.
    fixed = [(factor * median_by_numpy(x.detach(), y.detach())) ** 2 for factor in MULTIPLES]
    for a, b in zip(*(torch.autograd.grad(mmd(x, y, v, unbiased=unbiased), (x, y)) for v in ((), fixed))):
        torch.testing.assert_close(a, b)


def test_gradient_is_finite_where_rows_coincide():
    x = torch.zeros(3, 2, requires_grad=True)
    y = torch.cat([torch.zeros(2, 2), torch.ones(2, 2)])
    mmd(x, y).backward()
    assert torch.isfinite(x.grad).all() and (x.grad < 0).all()  # downhill is towards the ones


def test_equal_rows_everywhere():
    x = torch.full((4, 3), 0.7, requires_grad=True)
    loss = mmd(x, x.detach()[:2])
    loss.backward()
    assert loss.item() == 0 and not x.grad.any()


@pytest.mark.parametrize("autocast", [False, True])
def test_small_for_one_distribution_and_growing_with_a_shift(autocast):
    def measured(shift, repeats=20):
        found = []
        for seed in range(repeats):
            x, y = sample(48, 8, seed).float(), sample(32, 8, 1000 + seed, shift).float()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                found.append(mmd(x, y, unbiased=True))
        assert all(value.dtype == torch.float32 for value in found)
        return torch.stack(found).mean().item()

    none, *shifted = [measured(shift) for shift in (0.0, 0.2, 0.4, 0.8, 1.6)]
    assert abs(none) < 0.01
    assert none < shifted[0] and shifted == sorted(shifted) and shifted[-1] > 100 * abs(none)


def test_autocast_changes_no_digit():
    x, y = sample(9, 5, 1).float(), sample(6, 5, 2, 0.3).float()
    groups, pairs = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2]), torch.tensor([[0, 1], [1, 2]])
    for arguments in ({}, {"variances": (2.0,)}):
        plain = mmd(x, y, **arguments), grouped_mmd(x, groups, pairs, **arguments)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            cast = mmd(x, y, **arguments), grouped_mmd(x, groups, pairs, **arguments)
        assert [a.item() for a in plain] == [a.item() for a in cast]


def test_half_precision_features_are_widened():
    x, y = sample(9, 5, 1).bfloat16(), sample(6, 5, 2, 0.3).bfloat16()
    assert mmd(x, y).item() == mmd(x.float(), y.float()).item()


def test_near_points_far_from_the_origin():
    """Cosines of one class lie close together around some value: no digits may be lost to that value."""
    x, y = 1000 + 1e-2 * sample(6, 4, 1), 1000 + 1e-2 * sample(5, 4, 2)
    x, y = x.float(), y.float()
    assert mmd(x, y).item() == pytest.approx(mmd(x.double(), y.double()).item(), rel=1e-4)
    exact = (x.double()[:, None] - y.double()).square().sum(-1)
    torch.testing.assert_close(squared_distances(x, y).double(), exact, rtol=1e-5, atol=0)


def test_median_heuristic():
    for rows in (3, 4, 5, 6):
        x, y = sample(rows, seed=rows), sample(2, seed=99)
        assert median_bandwidth(torch.cat([x, y])).item() == pytest.approx(median_by_numpy(x, y), rel=1e-12)
    assert not median_bandwidth(sample(4).requires_grad_()).requires_grad


@pytest.mark.parametrize(
    "x, y, arguments, message",
    [
        (0, 3, {}, "at least 1"),
        (1, 3, {"unbiased": True}, "at least 2"),
        (3, 3, {"variances": (1.0, 0.0)}, "above 0"),
        (3, 3, {"multiples": ()}, "above 0"),
        (3, 3, {"variances": (float("nan"),)}, "above 0"),
    ],
)
def test_what_has_no_mmd_is_refused(x, y, arguments, message):
    with pytest.raises(ValueError, match=message):
        mmd(torch.zeros(x, 2), torch.zeros(y, 2), **arguments)


def test_nothing_waits_for_the_device():
    """On tensors without values, seemingly on a GPU, whatever reads a value or mixes devices raises."""
    with FakeTensorMode():
        x, y = torch.empty(6, 4, device="cuda"), torch.empty(3, 4, device="cuda")
        groups = torch.empty(6, dtype=torch.int64, device="cuda")
        pairs = torch.empty(2, 2, dtype=torch.int64, device="cuda")
        for variances in ((), (1.0, 2.0)):
            for unbiased in (False, True):
                assert mmd(x, y, variances, unbiased=unbiased).device.type == "cuda"
                assert grouped_mmd(x, groups, pairs, variances, unbiased=unbiased).device.type == "cuda"
        # Backward needs a real device: the CPU, where reading a value raises all the same.
        rows = torch.empty(6, 4, requires_grad=True)
        (mmd(rows, torch.empty(3, 4)) + grouped_mmd(rows, groups.cpu(), pairs.cpu())).backward()
        with pytest.raises(Exception, match="_local_scalar_dense"):  # the guard works
            rows.sum().item()


# -- properties -------------------------------------------------------------------------------------------------------

numbers = st.floats(-3, 3, allow_nan=False, width=32)


def samples(least=1):
    """Two samples of unequal size over one dimension count."""
    return st.integers(1, 4).flatmap(
        lambda width: st.tuples(
            *(
                st.lists(st.lists(numbers, min_size=width, max_size=width), min_size=least, max_size=6).map(
                    lambda rows: torch.tensor(rows, dtype=torch.float64)
                )
                for _ in range(2)
            )
        )
    )


bandwidths = st.sampled_from([(), (0.5,), (0.1, 4.0)])


@settings(max_examples=60, deadline=None)
@given(samples(), bandwidths)
def test_biased_estimate_is_symmetric_and_not_negative(pair, variances):
    x, y = pair
    there, back = mmd(x, y, variances).item(), mmd(y, x, variances).item()
    assert there == pytest.approx(back, abs=1e-12)
    assert there >= -1e-12


@settings(max_examples=60, deadline=None)
@given(samples(least=2), bandwidths, st.booleans(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(pair, variances, unbiased, rng: random.Random):
    x, y = pair
    mixed = [sample[rng.sample(range(len(sample)), len(sample))] for sample in (x, y)]
    expected = mmd(x, y, variances, unbiased=unbiased).item()
    assert mmd(*mixed, variances, unbiased=unbiased).item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(samples(), st.sampled_from([(0.5,), (0.1, 4.0)]))
def test_zero_exactly_for_equal_samples(pair, variances):
    """Gaussian kernels are characteristic: 0 if both hold the same rows as often, and otherwise more than 0."""
    x, _ = pair
    assert mmd(x, x.flip(0), variances).item() == pytest.approx(0, abs=1e-12)
    assert mmd(x, torch.cat([x, x]), variances).item() == pytest.approx(0, abs=1e-12)
    # One row moved well away from all others (they lie within 3 of the origin in each coordinate).
    moved = torch.cat([x[1:], x[:1] + 10])
    assert mmd(x, moved, variances).item() > 1e-3 / len(x) ** 2


# -- groups -----------------------------------------------------------------------------------------------------------


def groups_by_loops(rows, groups, pairs, variances, unbiased):
    losses = []
    for first, second in pairs:
        a, b = (rows[[i for i, group in enumerate(groups) if group == wanted]] for wanted in (first, second))
        if min(len(a), len(b)) >= (2 if unbiased else 1):
            losses.append(by_loops(a, b, variances, unbiased))
    return sum(losses) / len(losses) if losses else 0.0


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("variances", [(1.0, 3.0), ()])
@pytest.mark.parametrize(
    "groups",
    [
        (0, 1, 2, 3, 0, 1, 2, 3, 0, 0),
        (0, 1, 0, 2, 0, 1, 0, 2, 0, 0),  # nobody in group 3: classes 0 and 1 count, 2 and 3 do not
        (0, 0, 1, 2, 2, 3, 3, 3, 2, 4),  # one row in 1: no unbiased estimate of the first pair
        (0, 0, 0, 2, 2, 2, 0, 0, 0, 0),
    ],
)
def test_grouped_equals_the_mean_over_pairs(groups, variances, unbiased):
    rows, pairs = sample(10, seed=5), [(0, 1), (2, 3)]
    scales = variances or [(factor * median_by_numpy(rows)) ** 2 for factor in MULTIPLES]
    found = grouped_mmd(rows, torch.tensor(groups), torch.tensor(pairs), variances, unbiased=unbiased)
    assert found.item() == pytest.approx(groups_by_loops(rows, groups, pairs, scales, unbiased), abs=1e-12)


def test_grouped_gradient_and_batches_without_a_pair():
    rows = sample(6, seed=3).requires_grad_()
    groups, pairs = torch.tensor([0, 1, 1, 0, 2, 2]), torch.tensor([[0, 1], [2, 3]])
    torch.autograd.gradcheck(lambda a: grouped_mmd(a, groups, pairs, (0.9,)), (rows,))
    for batch in (rows[4:], rows[:1]):
        loss = grouped_mmd(batch, groups[: len(batch)] * 0, pairs)
        (gradient,) = torch.autograd.grad(loss, rows)
        assert loss.item() == 0 and not gradient.any()
