"""A backbone that is not OpenAI's: the whole of it, its registration, and runs of train.py on it.

`ToyBackbone` has modules of its own: other names of attributes, ReLU, words as tokens, texts of at most 24 tokens that
are read in both directions (so nothing is shared between texts), its own mean and deviation of pixels, and image
features that are the mean of the patches'. It knows nothing; it shows what another family of models has to say.
"""

import re
import zlib

import pytest
import torch
from torch import Tensor, nn
from yacs.config import CfgNode

from craft.clip import Backbone, TextPrompts, TokenTable, VisionPrompts, load_backbone, register_backbone, resolution
from craft.clip import load as loading
from craft.common.errors import UserError
from craft.terms import DEFAULTS, CraftTerms
from craft.trainers.structures import STRUCTURES
from tests.runs import metrics, run

# -- the example ------------------------------------------------------------------------------------------------------

START, END, VOCABULARY = 0, 1, 512
SIZE, PATCH = 16, 4


class ToyModel(nn.Module):
    def __init__(self, text_width=24, vision_width=40, layers=2, context_length=24, embed_dim=16):
        super().__init__()

        def tower(width):
            return nn.ModuleList(
                nn.TransformerEncoderLayer(width, 2, 2 * width, 0.0, batch_first=True, norm_first=True)
                for _ in range(layers)
            )

        self.words = nn.Embedding(VOCABULARY, text_width)
        self.order = nn.Parameter(torch.randn(context_length, text_width))
        self.patches = nn.Conv2d(3, vision_width, PATCH, PATCH)
        self.grid = nn.Parameter(torch.randn((SIZE // PATCH) ** 2, vision_width))
        self.reader, self.viewer = tower(text_width), tower(vision_width)
        self.text_out, self.image_out = nn.Linear(text_width, embed_dim), nn.Linear(vision_width, embed_dim)


class ToyBackbone(Backbone):
    module: ToyModel
    pixel_mean, pixel_std = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self, module: ToyModel, name: str, source: str):
        super().__init__(module, name, source, activation="relu")
        self.embed_dim, self.resolution = module.text_out.out_features, SIZE
        self.context_length, self.text_width = module.order.shape
        self.vision_width = module.grid.shape[1]
        self.text_depth, self.vision_depth = len(module.reader), len(module.viewer)

    @property
    def scale(self) -> Tensor:
        return torch.tensor(20.0, device=self.device)

    def tokenize(self, texts):
        rows = []
        for text in texts:
            words = re.findall(r"\w+|[^\w\s]", text.lower())
            rows.append([START, *(2 + zlib.crc32(word.encode()) % (VOCABULARY - 2) for word in words), END])
            if len(rows[-1]) > self.context_length:
                raise UserError(f"text is longer than {self.context_length} tokens: {text!r}; shorten the class name")
        return rows

    def embed(self, ids) -> Tensor:
        return self.module.words.weight.detach()[list(ids)]

    def encode_text(self, prompts: TextPrompts, chunk=0, compile_blocks=False) -> Tensor:
        x, ends_C = prompts.whole()  # (B, C, L, d)
        images, texts, length, _ = x.shape
        behind_CL = torch.arange(length, device=x.device) > ends_C[:, None]
        behind = behind_CL.repeat(images, 1)
        x = x.flatten(0, 1) + self.module.order[:length]
        for number, layer in enumerate(self.module.reader):
            if 1 <= number <= len(prompts.deep):
                states = prompts.deep[number - 1].expand(len(x), -1, -1)
                x = torch.cat([x[:, :1], states, x[:, 1 + states.shape[1] :]], dim=1)
            x = layer(x, src_key_padding_mask=behind)
        read = x[torch.arange(len(x), device=x.device), ends_C.repeat(images)]
        features = self.module.text_out(read).unflatten(0, (images, texts))
        return features if prompts.prefix.dim() == 3 else features[0]

    def encode_image(self, images: Tensor, prompts: VisionPrompts | None = None, compile_blocks=False) -> Tensor:
        x = self.module.patches(images).flatten(2).transpose(1, 2) + self.module.grid
        count, deep = x.shape[1], prompts.deep if prompts else ()
        if prompts:
            x = torch.cat([x, prompts.shallow.expand(len(x), -1, -1)], dim=1)
        for number, layer in enumerate(self.module.viewer):
            if 1 <= number <= len(deep):
                x = torch.cat([x[:, :count], deep[number - 1].expand(len(x), -1, -1)], dim=1)
            x = layer(x)
        return self.module.image_out(x[:, :count].mean(dim=1))


def load_toy(name: str) -> ToyBackbone:
    """``toy:<seed>``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(name.removeprefix("toy:")))
        return ToyBackbone(ToyModel(), name, "random numbers")


register_backbone("toy:", load_toy, mean=ToyBackbone.pixel_mean, std=ToyBackbone.pixel_std)

# -- what comes of it -------------------------------------------------------------------------------------------------

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
    craft = CraftTerms(CfgNode(dict(DEFAULTS)), learner, torch.randn(3, toy.embed_dim), torch.arange(3))
    images, labels = torch.randn(4, 3, SIZE, SIZE), torch.tensor([0, 1, 1, 2])
    out = learner(images)
    terms = learner.loss_terms(out, images, labels) | craft.alignment(out, labels)
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
