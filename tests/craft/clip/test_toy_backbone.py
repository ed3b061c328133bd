"""The backbone of docs/extending.md, which is not OpenAI's: runs of train.py on it, and what its registration says."""

import pytest
import torch
from yacs.config import CfgNode

from craft.clip import TokenTable, load_backbone, register_backbone, resolution
from craft.clip import load as loading
from craft.common.errors import UserError
from craft.objective import CraftTerms
from craft.terms import Step, defaults
from craft.trainers.structures import STRUCTURES
from tests.examples.my_backbone import SIZE, load_toy
from tests.runs import metrics, run

NAMES = ["zero", "twenty one", "three"]


@pytest.fixture(scope="module")
def toy():
    return load_backbone("toy:0")


@pytest.mark.parametrize(
    "trainer, settings",
    [("CoOpCraft", ["TRAINER.COOP.N_CTX", 4]), ("MaPLeCraft", ["TRAINER.MAPLE.PROMPT_DEPTH", 2])],
)
def test_a_run_and_its_evaluation(trainer, settings, tmp_path, capsys):
    """Trained, saved, and evaluated from its checkpoint; its own pixels; another seed's weights are refused."""
    settings = [*settings, "OPTIM.MAX_EPOCH", 10, "OPTIM.LR", 0.02]
    assert run(tmp_path / "run", trainer, "--backbone", "toy:0", overrides=settings) == 0, capsys.readouterr().err
    found = metrics(tmp_path / "run")
    assert found["backbone"] == {"name": "toy:0", "fingerprint": load_toy("toy:0").fingerprint}
    assert found["history"][-1]["loss"] < found["history"][0]["loss"]
    assert {"cross_entropy", "static", "stochastic"} <= set(found["history"][0])
    assert "std=[0.25, 0.25, 0.25]" in capsys.readouterr().out
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert run(tmp_path / "again", trainer, "--backbone", "toy:0", *load, overrides=settings) == 0
    assert metrics(tmp_path / "again")["results"] == found["results"]
    assert run(tmp_path / "other", trainer, "--backbone", "toy:1", *load, overrides=settings) == 1
    assert "learned on another backbone (toy:0" in capsys.readouterr().err


@pytest.mark.parametrize("host", [host for host in STRUCTURES.values() if host.trainable], ids=lambda host: host.name)
def test_every_structure_learns_on_it(host, toy):
    torch.manual_seed(0)
    settings = {key: 2 for key in host.defaults if key.startswith(("PROMPT_DEPTH", "N_CTX"))}
    node = CfgNode(host.defaults | settings)
    learner = host.load()(toy, NAMES, node, "a photo of the digit {}.").train()
    craft = CraftTerms(CfgNode(defaults()), learner, torch.randn(3, toy.embed_dim), torch.arange(3))
    images, labels = torch.randn(4, 3, SIZE, SIZE), torch.tensor([0, 1, 1, 2])
    out = learner(images)
    terms = learner.loss_terms(out, images, labels) | craft(Step(out, labels))
    sum(terms.values()).backward()
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_texts_together_are_texts_alone(toy):
    """Texts that are not shared, packed or padded: the tower on each text's own tokens."""
    texts = ["a photo of a cat.", "a photo of a very big dog.", "owl"]

    def alone(text):
        x = toy.module.words(torch.tensor([toy.tokenize([text])[0]]))
        x = x + toy.module.order[: x.shape[1]]
        for layer in toy.module.reader:
            x = layer(x)
        return toy.module.text_out(x[0, -1])

    expected = torch.stack([alone(text) for text in texts])
    torch.testing.assert_close(toy.encode_texts(texts), expected, atol=1e-5, rtol=1e-5)
    table = TokenTable(toy, toy.tokenize(texts))
    picked = toy.encode_text(table.pick(torch.tensor([2, 0])))
    torch.testing.assert_close(picked, expected[[2, 0]], atol=1e-5, rtol=1e-5)


def test_what_a_registration_says_and_what_it_cannot(monkeypatch):
    monkeypatch.setattr(loading, "FAMILIES", dict(loading.FAMILIES))
    resolution.cache_clear()
    assert resolution("toy:0") == SIZE
    assert load_toy("toy:0").fingerprint != load_toy("toy:1").fingerprint
    for taken in ("toy:", "demo", "ViT-B/16"):
        with pytest.raises(UserError, match=f"backbone '{taken}': the name is taken"):
            register_backbone(taken, lambda name: load_toy("toy:0"))
    register_backbone("plain", lambda name: load_toy("toy:0"))
    with pytest.raises(UserError, match="another mean and deviation than it was registered with"):
        load_backbone("plain")
    register_backbone("far:", "craft.nowhere:load", resolution=lambda name: 7)
    assert resolution("far:away") == 7  # without loading it
    with pytest.raises(UserError, match=r"'far:away': cannot import craft\.nowhere:load"):
        load_backbone("far:away")
    with pytest.raises(UserError, match="unknown backbone 'top:0'; did you mean: toy:"):
        load_backbone("top:0")
