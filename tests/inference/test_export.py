"""What `craft export` writes answers the same without this project: safetensors, ONNX, and the folder's reader."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from craft.__main__ import main as craft
from craft.inference import classify, learned
from craft.inference.reading import Batches, find_images

TRAINERS = ["CoOpCraft", "MaPLeCraft", "VPTCraft", "PromptSRCCraft"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Six images of other sizes and modes than the model reads."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for number, (width, height, mode) in enumerate(
        [(32, 32, "RGB"), (50, 40, "RGB"), (40, 71, "L"), (33, 97, "RGB"), (120, 45, "P"), (64, 64, "RGB")]
    ):
        small = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8))
        small.resize((width, height), Image.Resampling.BICUBIC).convert(mode).save(folder / f"{number}.png")
    return find_images([folder])


def expected(folder, photos):
    """(images as the run's tests see them, logits of the learned prompts)."""
    model = learned.load(folder)
    ((_, images),) = Batches(photos, model.transform, len(photos))
    return images, model.logits(images)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_safetensors(trained, photos, trainer, tmp_path, capsys):
    path = tmp_path / "classifier.safetensors"
    assert craft(["export", "--model-dir", str(trained(trainer)), "--to", str(path)]) == 0
    tensors, about = classify.read(path)
    images, logits = expected(trained(trainer), photos)
    prepared = torch.stack([classify.prepare(Image.open(photo), about) for photo in photos])
    assert torch.allclose(prepared, images, atol=2e-6)
    assert torch.allclose(classify.logits(tensors, about, prepared), logits, atol=2e-4)
    assert about["classes"][:3] == ["zero", "one", "two"] and about["trainer"] == trainer and about["epoch"] == 1


@pytest.mark.parametrize("trainer", TRAINERS)
def test_onnx(trained, photos, trainer, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    path = tmp_path / "classifier.onnx"
    assert craft(["export", "--model-dir", str(trained(trainer)), "--to", str(path)]) == 0
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images, logits = expected(trained(trainer), photos)
    for count in (1, 3, len(photos)):  # any number of images at a time
        (found,) = session.run(None, {"images": images[:count].numpy()})
        probabilities = torch.tensor(found).softmax(-1)
        assert torch.allclose(probabilities, logits[:count].softmax(-1), atol=1e-4)
    about = json.loads(session.get_modelmeta().custom_metadata_map["classifier"])
    assert about["classes"] == learned.load(trained(trainer)).classnames


def test_the_folder_reads_itself(trained, photos, tmp_path):
    """Its script runs where this project cannot be imported."""
    folder = tmp_path / "mine"
    assert craft(["export", "--model-dir", str(trained("MaPLeCraft")), "--to", str(folder)]) == 0
    command = [sys.executable, "-I", "classify.py", "classifier.safetensors", *map(str, photos)]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    model = learned.load(trained("MaPLeCraft"))
    _, logits = expected(trained("MaPLeCraft"), photos)
    first = [line.split("\t") for line in said][::3]
    assert [name for _, name, _ in first] == [model.classnames[i] for i in logits.argmax(-1)]
    values = [float(value) for _, _, value in first]
    assert values == pytest.approx(logits.softmax(-1).max(-1).values.tolist(), abs=1e-4)


def test_embeddings_alone(trained, photos, tmp_path, capsys):
    """For a CLIP that is at hand elsewhere: its own image features with these embeddings give the same."""
    path = tmp_path / "classes.safetensors"
    arguments = ["--to", str(path), "--embeddings-only"]
    assert craft(["export", "--model-dir", str(trained("CoOpCraft")), *arguments]) == 0
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == {"text", "scale"}
        text, scale = file.get_tensor("text"), file.get_tensor("scale")
    images, logits = expected(trained("CoOpCraft"), photos)
    features = learned.load(trained("CoOpCraft")).model.backbone.module.encode_image(images)  # OpenAI's own code
    unit = features / features.norm(dim=-1, keepdim=True)
    assert torch.allclose(scale * unit @ text.T, logits, atol=2e-4)
    assert craft(["export", "--model-dir", str(trained("MaPLeCraft")), *arguments]) == 1
    assert "learned tokens in its image tower" in capsys.readouterr().err


def test_other_classes(trained, photos, tmp_path):
    path = tmp_path / "two.safetensors"
    names = ["capital letter a", "seven"]
    arguments = ["--to", str(path), "--classes", *names]
    assert craft(["export", "--model-dir", str(trained("CoOpCraft")), *arguments]) == 0
    tensors, about = classify.read(path)
    model = learned.load(trained("CoOpCraft"), names)
    ((_, images),) = Batches(photos, model.transform, len(photos))
    assert about["classes"] == names
    assert torch.allclose(classify.logits(tensors, about, images), model.logits(images), atol=2e-4)


def test_what_cannot_be_exported_is_refused(trained, tmp_path, capsys):
    for trainer, place, words in [
        ("CoCoOp", "x.safetensors", "other texts for each image"),
        ("CoOpCraft", "x.pt", "must end in .safetensors or .onnx"),
    ]:
        assert craft(["export", "--model-dir", str(trained(trainer)), "--to", str(tmp_path / place)]) == 1
        assert words in capsys.readouterr().err
        assert not (tmp_path / place).exists()
