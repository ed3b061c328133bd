"""Loading CLIP from every kind of file that people have, and what is said when the file is not right."""

import hashlib
import warnings

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from craft.clip import load_backbone, resolution
from craft.clip.openai import OpenAIBackbone
from craft.clip.original import CLIP, openai
from craft.common.errors import UserError


def tiny(seed=0):
    torch.manual_seed(seed)
    return CLIP(32, 16, 2, 64, 8, 77, 49408, 64, 1, 2).eval()


@pytest.fixture(scope="module")
def model():
    return tiny()


def openai_archive(model, path):
    """A TorchScript archive with the three extra entries of OpenAI's releases."""
    for name, value in (("input_resolution", 16), ("context_length", 77), ("vocab_size", 49408)):
        model.__dict__.pop(name, None)
        model.register_buffer(name, torch.tensor(value))
    with warnings.catch_warnings():  # tracing is deprecated and announces every branch it fixes
        warnings.simplefilter("ignore")
        torch.jit.trace(model, (torch.zeros(1, 3, 16, 16), torch.zeros(1, 77, dtype=torch.long))).save(path)
    return path


def formats(model, folder):
    save_file(model.state_dict(), folder / "clip.safetensors")
    torch.save(model.state_dict(), folder / "clip.pt")
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, folder / "nested.pt")
    openai_archive(tiny(), folder / "openai.pt")
    return [folder / name for name in ("clip.safetensors", "clip.pt", "nested.pt", "openai.pt")]


def test_every_format_gives_the_same_float32_model(model, tmp_path):
    images, text = torch.randn(2, 3, 16, 16), openai.tokenize(["one", "two three"])
    prints = set()
    for path in formats(model, tmp_path):
        loaded = load_backbone(str(path))
        assert {p.dtype for p in loaded.module.parameters()} == {torch.float32}
        assert not any(p.requires_grad for p in loaded.module.parameters()) and not loaded.module.training
        torch.testing.assert_close(loaded.module.encode_image(images), model.encode_image(images))
        torch.testing.assert_close(loaded.module.encode_text(text), model.encode_text(text))
        assert resolution(str(path)) == 16
        prints.add(loaded.fingerprint)
    assert len(prints) == 1
    save_file(tiny(seed=1).state_dict(), tmp_path / "other.safetensors")
    assert load_backbone(str(tmp_path / "other.safetensors")).fingerprint not in prints


def with_gelu(model):
    """The module with torch's own GELU in its blocks, as open_clip has it."""
    for tower in (model.visual.transformer, model.transformer):
        for block in tower.resblocks:
            block.mlp.gelu = nn.GELU()
    return model


def said_in_the_file(folder):
    state = tiny().state_dict()
    save_file(state, folder / "said.safetensors", metadata={"format": "pt", "activation": "gelu"})
    torch.save({"state_dict": state, "activation": "gelu"}, folder / "nested.pt")
    torch.save(state | {"activation": "gelu"}, folder / "flat.pt")
    save_file(state, folder / "silent.safetensors")
    names = ("said.safetensors", "nested.pt", "flat.pt", "silent.safetensors?activation=gelu")
    return [str(folder / name) for name in (*names, "said.safetensors?activation=gelu")]


def test_gelu_is_honoured_and_known_by_another_fingerprint(model, tmp_path):
    """Features of a model with GELU equal those of plain modules with nn.GELU, however the file or the name says so."""
    images, texts, expected = torch.randn(2, 3, 16, 16), ["one", "two three"], with_gelu(tiny())
    prints = set()
    for name in said_in_the_file(tmp_path):
        loaded = load_backbone(name)
        assert loaded.activation == "gelu" and "activation gelu" in loaded.source and resolution(name) == 16
        torch.testing.assert_close(loaded.encode_image(images), expected.encode_image(images), atol=1e-5, rtol=0)
        text = expected.encode_text(openai.tokenize(texts))
        torch.testing.assert_close(loaded.encode_texts(texts), text, atol=1e-5, rtol=0)
        assert (loaded.encode_image(images) - model.encode_image(images)).abs().max() > 1e-3
        assert (loaded.encode_texts(texts) - model.encode_text(openai.tokenize(texts))).abs().max() > 1e-3
        prints.add(loaded.fingerprint)
    quick = load_backbone(str(tmp_path / "silent.safetensors"))
    assert quick.activation == "quick_gelu" and "?activation=gelu" in quick.source
    assert len(prints) == 1 and quick.fingerprint not in prints


def test_fingerprints_of_openais_models_stay(model):
    """Caches and checkpoints of older versions stay valid; the digest before rounding is that after it."""
    assert load_backbone("demo").fingerprint == "db6d2a97f2d0acc74d279bf6c09c3d02"
    backbone = OpenAIBackbone(tiny(), "tiny", "")
    assert backbone.half().dtype == torch.float16
    assert backbone.fingerprint == OpenAIBackbone(tiny(), "tiny", "").fingerprint


def test_activations_that_cannot_be(tmp_path):
    said, silent, swish = (str(tmp_path / f"{name}.safetensors") for name in ("said", "silent", "swish"))
    for path, metadata in ((said, {"activation": "gelu"}), (silent, None), (swish, {"activation": "swish"})):
        save_file(tiny().state_dict(), path, metadata=metadata)
    for name, message in (
        (f"{said}?activation=quick_gelu", r"said\.safetensors says that its activation is gelu: leave out \?activ"),
        (f"{silent}?activation=swish", "unknown activation 'swish'; it must be one of quick_gelu, gelu"),
        (swish, r"swish\.safetensors: unknown activation 'swish'"),
        (f"{silent}?gelu", r"behind the \? stands activation=NAME"),
        (f"{tmp_path}/gone.pt?activation=gelu", r"no such CLIP weight file: .*gone\.pt$"),
    ):
        with pytest.raises(UserError, match=message):
            load_backbone(name)


def test_truncated_files_are_named(model, tmp_path):
    for path in formats(model, tmp_path):
        path.write_bytes(path.read_bytes()[:-5000])
        with pytest.raises(UserError, match=f"cannot read CLIP weights from .*{path.name}.*fetch it again"):
            load_backbone(str(path))


def test_foreign_files_are_named(tmp_path):
    torch.save({"fc.weight": torch.zeros(3, 3)}, tmp_path / "resnet.pt")
    with pytest.raises(UserError, match=r"resnet\.pt does not hold the weights of an OpenAI CLIP"):
        load_backbone(str(tmp_path / "resnet.pt"))
    (tmp_path / "page.pt").write_text("<html>quota exceeded</html>")
    with pytest.raises(UserError, match=r"page\.pt.*fetch it again"):
        load_backbone(str(tmp_path / "page.pt"))


def test_code_in_a_weight_file_does_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"state_dict": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(UserError, match=r"trap\.pt"):
        load_backbone(str(tmp_path / "trap.pt"))
    assert not (tmp_path / "sprung").exists()


class Scripted(nn.Module):
    """A TorchScript file whose loading writes a file: `torch.jit.load` runs __setstate__."""

    def __init__(self, path: str):
        super().__init__()
        self.weight, self.path = nn.Parameter(torch.ones(2, 2)), path

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, str, bool]:
        return self.weight, self.path, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, str, bool]) -> None:
        self.weight, self.path, self.training = state[0], state[1], state[2]
        torch.save(self.weight, self.path)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight


@pytest.mark.filterwarnings("ignore")
def test_code_in_a_torchscript_archive_does_not_run(tmp_path):
    marker = tmp_path / "written"
    torch.jit.script(Scripted(str(marker))).save(tmp_path / "scripted.pt")
    with pytest.raises(UserError, match=r"scripted\.pt does not hold the weights of an OpenAI CLIP"):
        load_backbone(str(tmp_path / "scripted.pt"))
    assert not marker.exists()
    torch.jit.load(tmp_path / "scripted.pt")
    assert marker.exists()  # it would have


def test_only_files_that_openai_published_are_loaded_as_torchscript(tmp_path, monkeypatch):
    path = openai_archive(tiny(), tmp_path / "clip.pt")
    loaded, original = [], torch.jit.load
    monkeypatch.setattr(torch.jit, "load", lambda *args, **kwargs: loaded.append(args) or original(*args, **kwargs))
    read = load_backbone(str(path))
    assert loaded == []
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(openai._MODELS, "ViT-T/8", f"https://example.org/{digest}/clip.pt")
    assert load_backbone(str(path)).fingerprint == read.fingerprint and len(loaded) == 1


@pytest.mark.parametrize("prefix", ["module.", "model.", "clip.", "_orig_mod.", "model.clip_model."])
def test_prefixes_of_names_are_understood(model, tmp_path, prefix):
    """As several GPUs, Lightning and torch.compile write them; what else a file holds is not the model's."""
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save({"state_dict": {**state, "criterion.weight": torch.ones(2)}}, tmp_path / "clip.ckpt")
    save_file(model.state_dict(), tmp_path / "plain.safetensors")
    plain = load_backbone(str(tmp_path / "plain.safetensors"))
    assert load_backbone(str(tmp_path / "clip.ckpt")).fingerprint == plain.fingerprint


def test_a_name_does_not_say_what_a_file_is(model, tmp_path):
    save_file(model.state_dict(), tmp_path / "clip.pt")
    torch.save(model.state_dict(), tmp_path / "clip.safetensors")
    prints = {load_backbone(str(tmp_path / name)).fingerprint for name in ("clip.pt", "clip.safetensors")}
    assert len(prints) == 1


def test_files_that_are_no_weights_are_named(model, tmp_path):
    (tmp_path / "text.pt").write_text("this is no checkpoint\n")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "folder.pt").mkdir()
    torch.save(model, tmp_path / "whole.pt")
    save_file({"text_model.embeddings.weight": torch.ones(2)}, tmp_path / "hf.safetensors")
    state = model.state_dict() | {"ln_final.bias": torch.full((64,), float("nan"))}
    torch.save(state, tmp_path / "nan.pt")
    for name, what in {
        "text.pt": "which holds a text",
        "empty.safetensors": "which is empty",
        "folder.pt": "which is a folder, not a file; give the file in it",
        "whole.pt": r"holds a pickled clip.model.CLIP.*torch.save\(model.state_dict\(\)",
        "hf.safetensors": "under Hugging Face's names",
        "nan.pt": "ln_final.bias is not finite",
    }.items():
        with pytest.raises(UserError, match=what) as caught:
            load_backbone(str(tmp_path / name))
        said = str(caught.value)
        assert str(tmp_path / name) in said and "\n" not in said and "weights_only" not in said and "\x1b" not in said


def test_unknown_names_list_the_nearest():
    with pytest.raises(UserError, match=r"unknown backbone 'ViT-B16'; did you mean: ViT-B/16"):
        load_backbone("ViT-B16")
    with pytest.raises(UserError, match="no such CLIP weight file"):
        load_backbone("weights/missing.pt")


def test_download_is_checked(tmp_path, monkeypatch):
    """OpenAI's address holds the SHA-256 of the file; here it points at a local file."""
    source = tmp_path / "server"
    source.mkdir()
    openai_archive(tiny(), source / "ViT-T-8.pt")
    digest = hashlib.sha256((source / "ViT-T-8.pt").read_bytes()).hexdigest()
    good, bad = source / digest, source / ("0" * 64)
    for folder in (good, bad):
        folder.mkdir()
        (folder / "ViT-T-8.pt").write_bytes((source / "ViT-T-8.pt").read_bytes())
    monkeypatch.setitem(openai._MODELS, "ViT-T/8", (good / "ViT-T-8.pt").as_uri())
    assert load_backbone("ViT-T/8", download_root=tmp_path / "cache").resolution == 16
    monkeypatch.setitem(openai._MODELS, "ViT-T/8", (bad / "ViT-T-8.pt").as_uri())
    with pytest.raises(UserError, match="could not download CLIP 'ViT-T/8'"):
        load_backbone("ViT-T/8", download_root=tmp_path / "other")
    monkeypatch.setitem(openai._MODELS, "ViT-T/8", (tmp_path / "gone" / digest / "x.pt").as_uri())
    with pytest.raises(UserError, match="download it elsewhere and give its path"):
        load_backbone("ViT-T/8", download_root=tmp_path / "third")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-B/32", "ViT-B/16", "ViT-L/14", "RN50", "RN101"])
def test_random_weights_have_openais_shapes(name):
    """`random:` names: the published image size and dimensions."""
    backbone = load_backbone(f"random:{name}")
    model = backbone.module
    assert resolution(f"random:{name}") == backbone.resolution == model.visual.input_resolution == 224
    expected = {"ViT-L/14": 768, "RN50": 1024}.get(name, 512)
    assert model.encode_image(torch.zeros(1, 3, 224, 224)).shape == (1, expected)
    assert model.encode_text(openai.tokenize(["x"])).shape == (1, expected)
