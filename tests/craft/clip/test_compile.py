"""TRAINER.COMPILE: the same numbers as without, few compilations, and one line where a machine cannot compile."""

import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from craft.clip import compiled, load_backbone
from craft.clip.openai import OpenAIBackbone
from craft.clip.original import CLIP
from craft.clip.products import onednn_is_faster
from tests.craft.clip.test_precision import HOSTS, NAMES, build, losses, terms_of
from tests.runs import metrics, run

COMPILE = ["TRAINER.COMPILE", True]
compiler = pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("demo")


@pytest.fixture
def backend(monkeypatch):
    """``backend(b)`` compiles with ``b``; nothing compiled stays behind."""

    def forget():
        compiled.compiled.cache_clear()
        torch._dynamo.reset()
        counters.clear()

    def use(name):
        forget()
        monkeypatch.setattr(compiled, "BACKEND", name)

    yield use
    forget()


class Counting:
    """A backend that counts what it is asked to compile, and runs it as it is."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, module, inputs):
        self.graphs += 1
        return module.forward


def steps(learner, craft):
    """Features and terms of a training step, its gradients, and the logits of an evaluation batch of another size."""
    out, terms = losses(learner, craft)
    sum(terms.values()).backward()
    gradients = {name: parameter.grad for name, parameter in learner.named_parameters()}
    with torch.no_grad():
        other = learner.eval()(torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    return {"image": out.image, "text": out.text, **terms, "evaluation": other.logits}, gradients


@pytest.mark.parametrize(
    "host, autocast",
    [pytest.param(host, False, id=host.name) for host in HOSTS]
    + [pytest.param(host, True, id=f"{host.name} amp_bf16") for host in HOSTS if host.name == "MaPLe"],
)
def test_compiled_equals_eager(host, autocast, backbone, backend):
    """Captured by dynamo and differentiated by AOTAutograd, without a code generator: features, terms, gradients."""
    backend("aot_eager")
    plain, fast = build(host, backbone), build(host, backbone)
    fast.compile_blocks = True
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        expected, expected_gradients = steps(plain, terms_of(backbone)(plain))
        found, gradients = steps(fast, terms_of(backbone)(fast))
    tight = {"atol": 3e-2, "rtol": 3e-2} if autocast else {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(found, expected, **tight)
    for name, gradient in gradients.items():
        largest = expected_gradients[name].abs().max().item()
        torch.testing.assert_close(
            gradient, expected_gradients[name], rtol=0, atol=(0.05 if autocast else 1e-4) * largest
        )
    assert counters["stats"]["unique_graphs"] > 0 and not counters["graph_break"]


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.name)
def test_compilations_do_not_grow_with_steps(host, backbone, backend):
    count = Counting()
    backend(count)
    learner = build(host, backbone)
    learner.compile_blocks = True

    def step(size, learning):
        images, labels = torch.randn(size, 3, 32, 32), torch.arange(size) % len(NAMES)
        learner.train(learning)
        with torch.set_grad_enabled(learning):
            terms = learner.loss_terms(learner(images), images, labels)
        if learning:
            sum(terms.values()).backward()
        return count.graphs

    for learning in (True, False):
        first = step(4, learning)
        assert first > 0 and step(4, learning) == first
        second = step(6, learning)  # once more, for all sizes
        assert [step(size, learning) for size in (4, 6, 5, 9, 2, 17)] == [second] * 6


def test_more_blocks_compile_no_more(backbone, backend):
    """12 blocks share what 3 need."""
    graphs = []
    for blocks in (3, 12):
        count = Counting()
        backend(count)
        learner = build(next(host for host in HOSTS if host.name == "MaPLe"), deeper(backbone, blocks))
        learner.compile_blocks = True
        losses(learner, terms_of(backbone)(learner))
        graphs.append(count.graphs)
    assert graphs[0] == graphs[1] > 0


def deeper(backbone, blocks):
    """A backbone of the demo's widths with another number of blocks, random weights."""
    clip = backbone.module
    visual, width = clip.visual, clip.transformer.width
    model = CLIP(
        clip.text_projection.shape[1],
        visual.input_resolution,
        blocks,
        visual.conv1.out_channels,
        visual.conv1.kernel_size[0],
        clip.context_length,
        clip.vocab_size,
        width,
        clip.transformer.resblocks[0].attn.num_heads,
        blocks,
    )
    return OpenAIBackbone(model, "deeper", "random")


@compiler
def test_a_run_with_the_real_compiler(tmp_path, capsys, backend):
    """Train and test: the losses and the accuracy of the run without."""
    backend("inductor")
    assert run(tmp_path / "plain", "MaPLe") == 0
    assert not counters["stats"]
    assert run(tmp_path / "compiled", "MaPLe", overrides=COMPILE) == 0, capsys.readouterr().err
    assert counters["stats"]["unique_graphs"] > 0 and not counters["graph_break"]
    assert capsys.readouterr().out.count("TRAINER.COMPILE: compiled blocks multiply with MKL") == onednn_is_faster()
    plain, fast = metrics(tmp_path / "plain"), metrics(tmp_path / "compiled")
    for before, after in zip(plain["history"], fast["history"], strict=True):
        assert after == pytest.approx(before, rel=1e-4, abs=1e-5)
    # A rounding can turn a tie.
    assert fast["results"]["test"]["accuracy"] == pytest.approx(plain["results"]["test"]["accuracy"], abs=0.3)


def test_a_machine_that_cannot_compile_is_told_so(tmp_path, capsys, backend):
    def broken(module, inputs):
        raise OSError("no C++ compiler found\nand much more")

    backend(broken)
    assert run(tmp_path, "MaPLe", overrides=COMPILE) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "no C++ compiler found" in line and "and much more" not in line
    assert "set TRAINER.COMPILE to False" in line


def test_chunks_of_texts_are_refused(tmp_path, capsys):
    assert run(tmp_path, "CoOp", overrides=[*COMPILE, "TRAINER.TEXT_CHUNK", 2]) == 1
    assert "set TRAINER.TEXT_CHUNK to 0, or COMPILE to False" in capsys.readouterr().err
