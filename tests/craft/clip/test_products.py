"""Products with frozen weights: equal to torch's own whichever library makes them, and left alone elsewhere."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from craft.clip import products
from tests.conftest import PROJECT


def works() -> bool:
    try:
        products._onednn(torch.ones(1, 2), torch.ones(3, 2), None)
    except (AttributeError, RuntimeError):
        return False
    return True


@pytest.fixture
def onednn(monkeypatch):
    """As on a processor for oneDNN, whatever this one is."""
    if not works():
        pytest.skip("this torch has no oneDNN product")
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)


@settings(max_examples=60, deadline=None)
@given(
    leading=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    sizes=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bias=st.booleans(),
    layout=st.sampled_from(["dense", "transposed", "sliced", "expanded"]),
    seed=st.integers(0, 99),
)
def test_value_and_gradient_are_those_of_torch(leading, sizes, bias, layout, seed):
    if not works():
        pytest.skip("this torch has no oneDNN product")
    draw = torch.Generator().manual_seed(seed)
    inner, outer = sizes
    if layout == "transposed":
        x = torch.randn(inner, *leading, generator=draw).movedim(0, -1)
    elif layout == "sliced":
        x = torch.randn(leading[0] + 2, *leading[1:], inner + 3, generator=draw)[1:-1, ..., 2:-1]
    elif layout == "expanded":
        x = torch.randn(1, *leading[1:], inner, generator=draw).expand(*leading, inner)
    else:
        x = torch.randn(*leading, inner, generator=draw)
    weight = torch.randn(3 * outer, inner, generator=draw)[outer : 2 * outer]  # as a third of in_proj_weight
    b = torch.randn(outer, generator=draw) if bias else None
    ours, theirs = (x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for _ in range(2))
    before = products.onednn_is_faster
    products.onednn_is_faster = lambda: True
    try:
        found = products.linear(ours, weight, b)
    finally:
        products.onednn_is_faster = before
    expected = F.linear(theirs, weight, b)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-5)
    assert "_Product" in type(found.grad_fn).__name__
    grad = torch.randn(expected.shape, generator=draw)
    for one in (found, expected):
        one.backward(grad.transpose(0, -1).contiguous().transpose(0, -1))  # a gradient that is not contiguous
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-5)


def test_only_frozen_float32_weights_on_a_cpu(onednn):
    """A weight that learns gets its gradient; half precision and autocast keep torch's way."""
    x, weight = torch.randn(2, 3), torch.randn(4, 3, requires_grad=True)
    products.linear(x, weight).sum().backward()
    torch.testing.assert_close(weight.grad, x.sum(0).expand(4, 3))
    frozen = weight.detach()
    assert products.linear(x.bfloat16(), frozen.bfloat16()).dtype == torch.bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert products.linear(x, frozen).dtype == torch.bfloat16
    assert products.linear(x.to("meta"), frozen.to("meta")).shape == (2, 4)
    assert products.linear(x, frozen).grad_fn is None


def test_no_second_derivative_in_silence(onednn):
    x = torch.randn(2, 3, requires_grad=True)
    (first,) = torch.autograd.grad((products.linear(x, torch.randn(4, 3)) ** 2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize(
    ("maker", "capability", "wanted"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_the_rule(maker, capability, wanted, monkeypatch):
    monkeypatch.delenv("CRAFT_ONEDNN", raising=False)
    monkeypatch.setattr(products, "_maker", lambda: maker)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    available = works() and torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
    rule = products.onednn_is_faster.__wrapped__
    assert rule() == (wanted and available)
    monkeypatch.setenv("CRAFT_ONEDNN", "0")
    assert not rule()


@pytest.mark.parametrize("broken", [AttributeError("no such operator"), RuntimeError("other arguments"), None])
def test_another_torch_without_the_operator_keeps_its_own(broken, monkeypatch):
    monkeypatch.setattr(products, "_maker", lambda: "AuthenticAMD")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")

    def operator(x, weight, bias):
        if broken:
            raise broken
        return x @ weight.t()  # forgets the bias

    monkeypatch.setattr(products, "_onednn", operator)
    assert not products.onednn_is_faster.__wrapped__()


@pytest.mark.parametrize("value", ["0", "1"])
def test_both_libraries_give_the_same_features(value):
    """In processes of their own, since the choice is made once: the demonstration backbone's features."""
    code = (
        "from craft.clip import load_backbone; from craft.clip.products import onednn_is_faster\n"
        "from craft.clip.original import openai; print(onednn_is_faster()); texts = ['one', 'the digit two']\n"
        "backbone = load_backbone('demo'); expected = backbone.module.encode_text(openai.tokenize(texts))\n"
        "print((backbone.encode_texts(texts) - expected).abs().max().item())"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"CRAFT_ONEDNN": value, "PATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        cwd=PROJECT,
        check=True,
    )
    chosen, difference = done.stdout.split()
    assert float(difference) < 1e-5 and (value == "1" or chosen == "False")
