"""Half precision and autocast, as far as a CPU can show: no mismatch of types, and features near the float32 ones."""

import copy

import pytest
import torch
from yacs.config import CfgNode

from craft.clip import load_backbone
from craft.objective import CraftTerms, Step
from craft.terms import defaults
from craft.trainers import structures
from tests.runs import run

NAMES = ["zero", "twenty one", "three"]
HOSTS = [host for host in structures.STRUCTURES.values() if host.trainable]


def build(host, backbone):
    torch.manual_seed(0)
    node = CfgNode(host.defaults | {key: 3 for key in host.defaults if key.startswith("PROMPT_DEPTH")})
    return host.load()(backbone, NAMES, node, "a photo of the digit {}.").train()


def losses(learner, craft):
    images, labels = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 1, 2])
    out = learner(images)
    assert out.logits.dtype == out.image.dtype == out.text.dtype == torch.float32
    return out, learner.loss_terms(out, images, labels) | craft(Step(out, labels))


def terms_of(backbone):
    node = CfgNode(defaults())
    anchors = torch.randn(3, backbone.embed_dim, generator=torch.Generator().manual_seed(2))
    return lambda learner: CraftTerms(node, learner, anchors, torch.arange(3))


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("demo")


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
@pytest.mark.parametrize("precision", ["fp16", "amp_bf16"])
def test_a_step_in_lower_precision(host, precision, backbone):
    """The same terms as in float32 within the precision's error, and finite float32 gradients of all parameters."""
    exact, expected = losses(build(host, backbone), terms_of(backbone)(build(host, backbone)))
    low = copy.deepcopy(backbone)
    if precision == "fp16":
        low.half()
    learner = build(host, low)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "amp_bf16"):
        out, terms = losses(learner, terms_of(low)(learner))
    tolerance = 0.02 if precision == "fp16" else 0.1  # of features of length 1
    assert (out.image - exact.image).abs().max() < tolerance and (out.text - exact.text).abs().max() < tolerance
    assert terms.keys() == expected.keys()
    sum(terms.values()).backward()
    for name, parameter in learner.named_parameters():
        assert parameter.dtype == torch.float32 and parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_a_cpu_says_that_it_runs_in_float32(tmp_path, capsys):
    assert run(tmp_path, "CoOp", overrides=["TRAINER.COOP.PREC", "amp"]) == 0
    assert "PREC amp needs CUDA; on this CPU everything runs in float32" in capsys.readouterr().out
