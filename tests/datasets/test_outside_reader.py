"""Data sets of another repository: a reader on this project's base (the example of docs/extending.md), and a data set
on Dassl's API alone, declared above its test as it would be there. Both train through the launcher."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from PIL import Image

from craft.trainers import launch
from tests.conftest import PROJECT
from tests.examples import my_reader  # noqa: F401  (declares Colours)

COLOURS = {"blue": (30, 60, 200), "green": (30, 180, 40), "red": (200, 40, 30)}
QUICK = ["DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture
def root(tmp_path):
    """A data root with ``colours/``: train/blue/0.png, …, six images a class for training and four for testing."""
    for part, count in (("train", 6), ("test", 4)):
        for name, (red, green, blue) in COLOURS.items():
            folder = tmp_path / "data" / "colours" / part / name
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (32, 32), (red + index, green, blue)).save(folder / f"{index}.png")
    return tmp_path / "data"


def train(root, output, *options):
    """What the run's record says of it, and the text of its log."""
    arguments = ["--trainer", "CoOpCraft", "--root", str(root), "--output-dir", str(output), *options, *QUICK]
    assert launch.main(arguments) == 0
    return json.loads((output / "metrics.json").read_text()), (output / "log.txt").read_text()


# -- on this project's base: shots, base and new classes, caches, checks and messages come with it ---------------------


def test_a_reader_of_ones_own_trains(root, tmp_path):
    config = tmp_path / "colours.yaml"
    config.write_text("DATASET:\n  NAME: Colours\n")
    metrics, log = train(root, tmp_path / "out", "--dataset-config-file", str(config))
    assert "# train_x  6" in log and "# test     12" in log
    assert "Few-shot images: 2 shots a class, seed 1" in log
    assert (root / "colours" / "split_fewshot" / "shot_2-seed_1.json").is_file()
    assert 0 <= metrics["results"]["test"]["accuracy"] <= 100


def test_its_classes_can_be_halved(root, tmp_path):
    _, log = train(root, tmp_path / "out", "DATASET.NAME", "Colours", "DATASET.SUBSAMPLE_CLASSES", "base")
    assert "Taking the 2 base classes of 3" in log and "# test     8" in log


def test_the_data_commands_know_it_once_it_is_imported(root):
    def data(*words):
        command = [sys.executable, "-m", "craft", "data", *words]
        return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})

    words = ("check", "colours", "--root", str(root))
    done = data(*words, "--import", "tests/examples/my_reader.py")
    assert done.returncode == 0 and "3 classes, 18 train" in done.stdout, done.stdout + done.stderr
    assert "'a picture that is blue.'" in done.stdout
    unknown = data(*words)
    assert unknown.returncode == 1 and "docs/extending.md" in unknown.stderr
    assert "docs/extending.md" in data("--help").stdout and "--import" in data("check", "--help").stdout
    assert "## A data set" in (PROJECT / "docs/extending.md").read_text()


# -- on Dassl's API, as it would be written for any project on Dassl ---------------------------------------------------


@DATASET_REGISTRY.register()
class PlainColours(DatasetBase):
    """The same pictures."""

    dataset_dir = "colours"

    def __init__(self, cfg):
        folder = Path(cfg.DATASET.ROOT) / self.dataset_dir
        parts = {
            part: [
                Datum(impath=str(path), label=label, classname=name)
                for label, name in enumerate(COLOURS)
                for path in sorted((folder / part / name).iterdir())
            ]
            for part in ("train", "test")
        }
        shots = self.generate_fewshot_dataset(parts["train"], num_shots=cfg.DATASET.NUM_SHOTS)
        super().__init__(train_x=shots, test=parts["test"])


def test_a_data_set_of_dassls_trains(root, tmp_path):
    metrics, log = train(root, tmp_path / "out", "DATASET.NAME", "PlainColours")
    assert "# train_x  6" in log and "# test     12" in log
    assert 0 <= metrics["results"]["test"]["accuracy"] <= 100
