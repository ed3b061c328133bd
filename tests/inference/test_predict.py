"""`craft predict` gives what `craft train --eval-only` gives, image by image; with other names, what the text says."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from craft.__main__ import main as craft
from craft.common.errors import UserError
from craft.inference import learned
from craft.inference.reading import Batches, find_images
from tests.runs import metrics
from tests.runs import run as train

TRAINERS = ["CoOpCraft", "CoCoOp", "MaPLeCraft", "VPTCraft", "PromptSRCCraft"]


@pytest.fixture(scope="module")
def test_images():
    """(path, class name) of the test images of the embedded digits."""
    from dassl.data.datasets import build_dataset

    from craft import datasets
    from craft.trainers.settings import get_cfg

    datasets.enter_into_dassl()
    dataset = build_dataset(get_cfg())
    return [(item.impath, item.classname) for item in dataset.test]


def as_csv(folder, images, capsys, *options):
    status = craft(["predict", "--model-dir", str(folder), *map(str, images), "--format", "csv", *options])
    return status, list(csv.DictReader(capsys.readouterr().out.splitlines()))


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_same_answers_as_the_evaluation(trained, test_images, trainer, tmp_path, capsys):
    folder = trained(trainer)
    assert train(tmp_path / "again", trainer, "--eval-only", "--model-dir", str(folder)) == 0
    accuracy = metrics(tmp_path / "again")["results"]["test"]["accuracy"]
    capsys.readouterr()
    status, rows = as_csv(folder, [path for path, _ in test_images], capsys, "--top", "1", "--batch", "7")
    truth = dict(test_images)
    right = [truth[row["image"]] == row["class"] for row in rows]
    assert status == 0 and len(rows) == len(test_images)
    assert 100 * np.mean(right) == pytest.approx(accuracy, abs=1e-4)


def test_probabilities_are_the_softmax_over_all_classes(trained, test_images, capsys):
    folder = trained("MaPLeCraft")
    paths = [path for path, _ in test_images[:5]]
    status, rows = as_csv(folder, paths, capsys, "--top", "10")
    assert status == 0 and len(rows) == 50
    model = learned.load(folder)
    ((_, images),) = Batches(find_images(paths), model.transform, 5)
    out = model.model(images.to(model.device))
    logits = model.model.backbone.scale * out.image @ out.text.T  # the definition: tau <u, t>
    expected = logits.exp() / logits.exp().sum(1, keepdim=True)
    for i, path in enumerate(paths):
        found = {row["class"]: float(row["probability"]) for row in rows if row["image"] == path}
        assert sum(found.values()) == pytest.approx(1, abs=1e-5)
        assert [found[name] for name in model.classnames] == pytest.approx(expected[i].tolist(), abs=2e-6)
        assert list(found.values()) == sorted(found.values(), reverse=True)


@pytest.mark.parametrize("trainer", ["CoOpCraft", "VPTCraft"])
def test_other_names_are_other_texts(trained, test_images, trainer, tmp_path, capsys):
    """Names given are those of the classes: swapped, they swap the probabilities; a subset renormalises them."""
    folder, (path, _) = trained(trainer), test_images[0]
    (tmp_path / "names.txt").write_bytes(b"\xef\xbb\xbfseven\r\n\r\n zero \r\n")
    _, own = as_csv(folder, [path], capsys, "--top", "10")
    _, two = as_csv(folder, [path], capsys, "--classes-file", str(tmp_path / "names.txt"))
    own = {row["class"]: float(row["probability"]) for row in own}
    assert {row["class"] for row in two} == {"seven", "zero"}
    for row in two:
        expected = own[row["class"]] / (own["seven"] + own["zero"])
        assert float(row["probability"]) == pytest.approx(expected, rel=2e-2, abs=1e-5)


def test_json_and_file(trained, test_images, tmp_path, capsys):
    folder, path = trained("CoOpCraft"), test_images[0][0]
    out = tmp_path / "out.json"
    assert craft(["predict", "--model-dir", str(folder), path, "--format", "json", "--to", str(out), "--top", "2"]) == 0
    (row,) = json.loads(out.read_text())
    assert row["image"] == path and len(row["predictions"]) == 2
    assert {"class", "label", "probability"} == set(row["predictions"][0])
    assert "1 of 1 images" in capsys.readouterr().out


def test_images_that_cannot_be_read_are_named_and_left_out(trained, test_images, tmp_path, capsys):
    good = tmp_path / "b.png"
    Image.open(test_images[0][0]).save(good)
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "c.jpg").write_bytes(good.read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("no image, and not named: passed over")
    status = craft(["predict", "--model-dir", str(trained("CoOpCraft")), str(tmp_path), "--format", "csv"])
    said = capsys.readouterr()
    assert status == 1
    assert {row["image"] for row in csv.DictReader(said.out.splitlines())} == {str(good)}
    assert said.err.count("left out:") == 2 and "a.png" in said.err and "c.jpg" in said.err


def test_errors_name_what_is_wrong(trained, test_images, tmp_path, capsys):
    folder, image = str(trained("CoOpCraft")), test_images[0][0]
    (tmp_path / "empty").mkdir()
    evaluation = tmp_path / "evaluation"
    assert train(evaluation, "CoOpCraft", "--eval-only", "--model-dir", folder) == 0
    for arguments, words in [
        (["--model-dir", str(tmp_path / "none"), image], "no such folder"),
        (["--model-dir", str(tmp_path / "empty"), image], "holds no run.json"),
        (["--model-dir", str(trained("CoOpCraft").parent), image], "there are runs below it: "),
        (["--model-dir", str(evaluation), image], "is an evaluation"),
        (["--model-dir", folder, str(tmp_path / "none.png")], "no such image"),
        (["--model-dir", folder, str(tmp_path / "empty")], "holds no images"),
        (["--model-dir", folder, image, "--classes", "cat"], "two classes or more"),
        (["--model-dir", folder, image, "--classes", "cat", "cat "], "more than once"),
        (["--model-dir", folder, image, "--classes", "cat", ""], "empty name"),
        (["--model-dir", folder, image, "--classes", "cat", " ".join(["word"] * 99)], "77 tokens"),
        (["--model-dir", folder, image, "--classes-file", str(tmp_path / "none.txt")], "cannot read --classes-file"),
        (["--model-dir", folder, image, "--load-epoch", "9"], "model.pth.tar-9"),
    ]:
        capsys.readouterr()
        assert craft(["predict", *arguments]) == 1, arguments
        assert words in capsys.readouterr().err, arguments


def test_contexts_of_their_own_classes_take_no_others(trained, test_images, capsys):
    folder, image = str(trained("CoOp", "TRAINER.COOP.CSC", "True", "TRAINER.COOP.CTX_INIT", "")), test_images[0][0]
    assert craft(["predict", "--model-dir", folder, image]) == 0
    assert craft(["predict", "--model-dir", folder, image, "--classes", "cat", "dog"]) == 1
    assert "CSC" in capsys.readouterr().err


def test_features_in_place_of_images(trained, test_images):
    model = learned.load(trained("CoOpCraft"))
    ((_, images),) = Batches(find_images([path for path, _ in test_images[:4]]), model.transform, 4)
    with torch.no_grad():
        features = model.model.backbone.encode_image(images.to(model.device))
    assert torch.allclose(model.logits_of_features(features), model.logits(images), atol=1e-4)
    with pytest.raises(UserError, match="give images"):
        learned.load(trained("MaPLeCraft")).logits_of_features(features)


def test_memory_does_not_grow_with_the_number_of_images(test_images):
    """At most two batches are decoded ahead of the one in use."""
    read = []

    def transform(image):
        read.append(1)
        return torch.zeros(3, 2, 2)

    paths = find_images([path for path, _ in test_images])
    for count, (indices, _) in enumerate(Batches(paths, transform, 8, threads=2), start=1):
        assert len(indices) <= 8 and len(read) <= 8 * (count + 2)
    assert len(read) == len(paths)


def test_another_backbone_is_not_taken_for_the_runs_own(tmp_path, test_images, capsys):
    from safetensors.torch import save_file

    from craft.clip import load_backbone
    from tests.inference.conftest import TWO_SHOTS

    weights = {name: value.clone() for name, value in load_backbone("demo").module.state_dict().items()}
    save_file(weights, tmp_path / "clip.safetensors")
    backbone = ["--backbone", str(tmp_path / "clip.safetensors")]
    assert train(tmp_path / "run", "CoOp", *backbone, settings=TWO_SHOTS) == 0
    command = ["predict", "--model-dir", str(tmp_path / "run"), test_images[0][0]]
    assert craft(command) == 0
    weights["visual.proj"] += 1
    save_file(weights, tmp_path / "clip.safetensors")
    capsys.readouterr()
    assert craft(command) == 1
    assert "another backbone" in capsys.readouterr().err


def test_sixteen_bits_are_scaled_and_not_cut(trained, test_images, tmp_path, capsys):
    """The same picture in 16 bits a pixel has the same answer."""
    with Image.open(test_images[0][0]) as image:
        grey = np.asarray(image.convert("L"))
    Image.fromarray(grey).save(tmp_path / "8.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "16.png")
    status, rows = as_csv(trained("CoOpCraft"), [tmp_path / "8.png", tmp_path / "16.png"], capsys, "--top", "10")
    eight, sixteen = ([float(r["probability"]) for r in rows if r["image"].endswith(f"/{n}.png")] for n in (8, 16))
    assert status == 0 and len(eight) == 10 and sixteen == pytest.approx(eight, abs=1e-5)
