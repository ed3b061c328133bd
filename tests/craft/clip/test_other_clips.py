"""CLIPs of Hugging Face and open_clip against those libraries' own features, with random weights."""

import json

import pytest
import torch

from craft.clip import load, load_backbone
from craft.common.errors import UserError

TEXTS = ["a photo of a cat", "three red pandas on a tree", "café"]
PIXELS = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def scattered(module):
    """The module with all weights and biases drawn anew, so that none is zero or one by initialisation."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, value in module.named_parameters():
            if value.dim() > 0:
                value.add_(0.05 * torch.randn(value.shape, generator=generator).to(value))
    return module.eval()


@pytest.fixture
def hf_folder(tmp_path):
    """hf_folder(activation): a small CLIPModel saved by transformers, and the model."""
    transformers = pytest.importorskip("transformers", reason="the extra openclip is not installed")

    def make(activation, mean=None):
        sizes = {"num_hidden_layers": 2, "hidden_act": activation}
        config = transformers.CLIPConfig(
            text_config={"hidden_size": 128, "num_attention_heads": 2, "projection_dim": 48,
                         "intermediate_size": 512, **sizes},
            vision_config={"hidden_size": 64, "num_attention_heads": 1, "projection_dim": 48, "image_size": 32,
                           "intermediate_size": 256,
                           "patch_size": 8, **sizes},
            projection_dim=48,
        )  # fmt: skip
        torch.manual_seed(0)
        model = scattered(transformers.CLIPModel(config))
        model.save_pretrained(tmp_path / "clip")
        if mean:
            (tmp_path / "clip/preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": mean}))
        return tmp_path / "clip", model

    return make


def unit(x):
    x = getattr(x, "pooler_output", x)
    return x / x.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
@torch.no_grad()
def test_hugging_faces_features(hf_folder, activation):
    folder, theirs = hf_folder(activation)
    ours = load_backbone(f"hf:{folder}")
    assert ours.activation == activation and ours.resolution == load.resolution(f"hf:{folder}") == 32
    assert torch.allclose(unit(ours.encode_image(PIXELS)), unit(theirs.get_image_features(PIXELS)), atol=1e-4)
    rows = ours.tokenize(TEXTS)
    ids = torch.tensor([row + [49407] * (20 - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (20 - len(row)) for row in rows])
    expected = theirs.get_text_features(input_ids=ids, attention_mask=mask)
    assert torch.allclose(unit(ours.encode_texts(TEXTS)), unit(expected), atol=1e-4)
    assert ours.scale.item() == pytest.approx(theirs.logit_scale.exp().item())


def test_an_activation_is_part_of_the_fingerprint(hf_folder):
    folder, _ = hf_folder("quick_gelu")
    one = load_backbone(f"hf:{folder}").fingerprint
    text = (folder / "config.json").read_text().replace("quick_gelu", "gelu")
    (folder / "config.json").write_text(text)
    assert load_backbone(f"hf:{folder}").fingerprint != one


def test_its_pixels_are_its_own(hf_folder):
    folder, _ = hf_folder("gelu", mean=[0.5, 0.5, 0.5])
    assert load.pixel_statistics(f"hf:{folder}") == ((0.5,) * 3, (0.5,) * 3)
    assert load_backbone(f"hf:{folder}").pixel_mean == (0.5,) * 3


def test_what_is_not_clip_is_refused(hf_folder, tmp_path):
    folder, _ = hf_folder("gelu")
    config = json.loads((folder / "config.json").read_text())
    for change, words in [
        ({"model_type": "siglip"}, "not causal"),
        ({"model_type": "align"}, "only clip is read"),
        ({"vision_config": {**config["vision_config"], "num_attention_heads": 2}}, "heads of 64"),
        ({"text_config": {**config["text_config"], "hidden_act": "relu"}}, "activation"),
        ({"text_config": {**config["text_config"], "intermediate_size": 256}}, "intermediate_size"),
        ({"text_config": {**config["text_config"], "layer_norm_eps": 1e-12}}, "layer_norm_eps"),
    ]:
        (folder / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match=words):
            load_backbone(f"hf:{folder}")
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"config\.json"):
        load_backbone(f"hf:{folder}")
    with pytest.raises(UserError, match="no such folder"):
        load_backbone(f"hf:{tmp_path}/none")
    with pytest.raises(UserError, match=r"holds no config\.json"):
        load_backbone(f"hf:{tmp_path}")


# -- open_clip --------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_clip(monkeypatch):
    """The library with two small models of its own forms, and their weights made here instead of fetched."""
    library = pytest.importorskip("open_clip", reason="the extra openclip is not installed")
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2},
    }
    about = {"plain": {}, "quick": {"quick_gelu": True}, "half": {"mean": (0.5,) * 3, "std": (0.5,) * 3}}
    create = library.create_model

    def small(model, pretrained, force_quick_gelu=False):
        torch.manual_seed(0)
        return scattered(library.CLIP(**config, quick_gelu=force_quick_gelu))

    monkeypatch.setattr(library, "get_model_config", lambda name: config if name == "small" else None)
    monkeypatch.setattr(library, "list_pretrained_tags_by_model", lambda name: list(about))
    monkeypatch.setattr(library, "get_pretrained_cfg", lambda name, tag: about[tag])
    monkeypatch.setattr(library, "create_model", small)
    return library, create, config


@pytest.mark.parametrize(("tag", "activation"), [("plain", "gelu"), ("quick", "quick_gelu")])
@torch.no_grad()
def test_open_clips_features(open_clip, tag, activation):
    library, _, _ = open_clip
    theirs = library.create_model("small", tag, force_quick_gelu=activation == "quick_gelu")
    ours = load_backbone(f"open_clip:small/{tag}")
    assert ours.activation == activation and load.resolution(f"open_clip:small/{tag}") == 32
    assert torch.allclose(unit(ours.encode_image(PIXELS)), theirs.encode_image(PIXELS, normalize=True), atol=1e-4)
    ids = library.get_tokenizer("ViT-B-32")(TEXTS)
    assert torch.allclose(unit(ours.encode_texts(TEXTS)), theirs.encode_text(ids, normalize=True), atol=1e-4)
    assert ours.scale.item() == pytest.approx(theirs.logit_scale.exp().item())


def test_open_clips_pixels(open_clip):
    assert load.pixel_statistics("open_clip:small/half") == ((0.5,) * 3, (0.5,) * 3)
    assert load_backbone("open_clip:small/half").pixel_std == (0.5,) * 3


def test_open_clips_names(open_clip):
    for name, words in [
        ("open_clip:small", "MODEL/TAG"),
        ("open_clip:smal/plain", "did you mean"),
        ("open_clip:small/plane", "did you mean: plain"),
    ]:
        with pytest.raises(UserError, match=words):
            load_backbone(name)


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "coca_ViT-B-32", "ViT-H-14", "convnext_base", "roberta-ViT-B-32"])
def test_open_clips_other_forms_are_refused(name):
    library = pytest.importorskip("open_clip", reason="the extra openclip is not installed")
    from craft.clip import openclip

    with pytest.raises(UserError, match="not causal" if "SigLIP" in name else "CLIP's|heads of"):
        openclip.check(library.get_model_config(name), name)


@pytest.mark.parametrize("name", ["ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-B-16-quickgelu"])
def test_open_clips_plain_forms_are_not(name):
    library = pytest.importorskip("open_clip", reason="the extra openclip is not installed")
    from craft.clip import openclip

    openclip.check(library.get_model_config(name), name)
