"""Every reader through train.py on the embedded backbone: one epoch where a set can be trained on, an evaluation where
it only tests, and a shift for ImageNetOOD."""

import pytest

from craft.trainers import launch as train
from tests.fixtures_data.trees import FOLDERS, make_tree

TEST_ONLY = ("ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")
YAML = {"DescribableTextures": "dtd", "OxfordPets": "oxford_pets", "OxfordFlowers": "oxford_flowers",
        "StanfordCars": "stanford_cars", "FGVCAircraft": "fgvc_aircraft", "ImageNetSketch": "imagenet_sketch",
        "ImageNetA": "imagenet_a", "ImageNetR": "imagenet_r"}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """roots(name): a data root with that miniature, written when first asked for."""
    base = tmp_path_factory.mktemp("train")

    def with_set(*names):
        for name in names:
            if not (base / FOLDERS[name]).exists():
                make_tree(base, name)
        return base

    return with_set


def run(root, name, output, trainer, *options):
    keys = ["DATASET.ALLOW_SUBSET", "True", "DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "1"]
    keys += ["DATALOADER.NUM_WORKERS", "0", "DATALOADER.TEST.BATCH_SIZE", "256"]
    yaml = YAML.get(name, name.lower() if name != "ImageNetOOD" else "imagenet_ood")
    files = ["--root", str(root), "--dataset-config-file", yaml, "--output-dir", str(output)]
    return train.main(["--trainer", trainer, *options, *files, *keys])


@pytest.mark.parametrize("name", [name for name in FOLDERS if name not in TEST_ONLY])
def test_one_epoch(root, name, tmp_path, capsys):
    assert run(root(name), name, tmp_path / "out", "CoOp") == 0
    said = capsys.readouterr().out
    assert name in said and "epoch [1/1]" in said and "* accuracy:" in said


@pytest.mark.parametrize("name", TEST_ONLY)
def test_evaluation(root, name, tmp_path, capsys):
    assert run(root(name), name, tmp_path / "out", "ZeroshotCLIP") == 0
    assert "* accuracy:" in capsys.readouterr().out


def test_shift(root, tmp_path, capsys):
    folder = root("ImageNet", "ImageNetR")
    assert run(folder, "ImageNetOOD", tmp_path / "out", "CoOpCraftOOD", "--target-domains", "r") == 0
    said = capsys.readouterr().out
    assert "epoch [1/1]" in said and "# train_u" in said and "* accuracy:" in said
