"""Every data set of our own through train.py: one epoch on the demonstration backbone, at miniature size."""

import pytest

from tests.datasets.test_image_folder import class_folders, table
from tests.fixtures_data.trees import make_tree
from tests.runs import metrics, run

CONFIGS = {"Waterbirds": "waterbirds", "CelebA": "celeba"}


@pytest.mark.parametrize(("name", "config"), CONFIGS.items())
def test_a_group_set_trains_and_reports_its_groups(tmp_path, capsys, name, config):
    root = make_tree(tmp_path / "data", name)
    status = run(
        tmp_path / "out", "CoOpCraft", "--root", str(root), "--dataset-config-file", config,
        overrides=("DATASET.ALLOW_SUBSET", "True", "DATASET.SHOTS_PER", "group"),
    )  # fmt: skip
    out = capsys.readouterr().out
    assert status == 0, out
    assert "groups drawn for training" in out and "worst_group_accuracy" in out
    assert (tmp_path / "out" / "metrics.json").is_file()


@pytest.mark.parametrize("config", ["digits", "digits_groups"])
def test_the_embedded_sets_train(tmp_path, config):
    assert run(tmp_path / "out", "CoOpCraft", "--dataset-config-file", config) == 0
    assert metrics(tmp_path / "out")


def test_a_shift_trains_with_unlabelled_target_images(tmp_path, capsys):
    assert run(tmp_path / "out", "CoOpCraftOOD", "--dataset-config-file", "digits_shift") == 0
    assert "target handwritten; 719 unlabelled target images" in capsys.readouterr().out


def test_a_folder_of_ones_own_trains(tmp_path):
    folder = class_folders(tmp_path / "mine")
    assert run(tmp_path / "out", "CoOpCraft", "--root", str(folder), "--dataset-config-file", "image_folder") == 0


def test_domains_of_ones_own_train(tmp_path, capsys):
    for domain in ("photo", "sketch"):
        class_folders(tmp_path / "mine" / domain)
    status = run(
        tmp_path / "out", "CoOpCraftOOD", "--root", str(tmp_path / "mine"), "--dataset-config-file", "image_folder",
        "--source-domains", "photo", "--target-domains", "sketch",
    )  # fmt: skip
    assert status == 0
    assert "source photo; target sketch" in capsys.readouterr().out


def test_a_csv_with_a_fault_ends_a_run_with_one_line(tmp_path, capsys):
    folder = class_folders(tmp_path / "mine")
    path = table(folder, ["cat/00.jpg,cat", "../../etc/passwd,cat"])
    assert run(tmp_path / "out", "CoOpCraft", "--root", str(path), "--dataset-config-file", "image_folder") == 1
    assert "list.csv, line 3: the path '../../etc/passwd'" in capsys.readouterr().err
