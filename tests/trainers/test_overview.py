"""What a run says before it begins: counted against its data, and its configuration read back from the log and file."""

import re

import pytest

from craft.config.commandline import parser
from craft.lab.results import logs
from craft.trainers.settings import setup_cfg
from tests.runs import run


def test_a_run_says_what_it_uses_and_keeps_the_whole_configuration(tmp_path, capsys):
    words = ("--dataset-config-file", "digits_shift", "--target-domains", "handwritten", "--seed", "3")
    assert run(tmp_path / "out", "CoOpCraftOOD", *words) == 0
    said = capsys.readouterr().out
    lines = dict(re.findall(r"^(Trainer|Data set|Backbone|Shots|Seed|Output): +(.*)$", said, re.M))
    assert lines == {
        "Trainer": "CoOpCraftOOD", "Data set": "DigitsShift, domain handwritten", "Backbone": "demo",
        "Shots": "1 a class", "Seed": "3", "Output": str(tmp_path / "out"),
    }  # fmt: skip
    assert said.index("Trainer:") < said.index("** Config **") < said.index("Loading trainer")
    assert "Images: 10 training, 719 unlabelled, 10 validation, 719 test, of 10 classes" in said
    # Its own nodes, and not those of trainers that it is not.
    log = (tmp_path / "out/log.txt").read_text()
    nodes = set(re.findall(r"^  ([A-Z0-9]+):$", log.partition("\nTRAINER:\n")[2].partition("\nUSE_CUDA")[0], re.M))
    assert nodes == {"COOP", "CRAFT"}
    found = logs.parse(tmp_path / "out/log.txt")
    told = {
        "SEED": "3", "TRAINER.NAME": "CoOpCraftOOD", "DATASET.NAME": "DigitsShift", "DATASET.NUM_SHOTS": "1",
        "DATASET.SUBSAMPLE_CLASSES": "all", "MODEL.BACKBONE.NAME": "demo",
    }  # fmt: skip
    assert found.finished and told.items() <= found.settings.items()
    # The file is a configuration like any other: the run can be repeated from it alone.
    whole = tmp_path / "out/config.yaml"
    again = setup_cfg(parser("").parse_args(["--trainer", "CoOpCraftOOD", "--config-file", str(whole)]))
    assert again.SEED == 3 and again.DATASET.TARGET_DOMAINS == ("handwritten",) and again.OPTIM.MAX_EPOCH == 1
    assert "MAPLE" in again.TRAINER and "MAPLE:" in whole.read_text()


def test_a_default_folder_is_that_of_the_domains():
    def folder(*words):
        return setup_cfg(parser("").parse_args(["--trainer", "CoOp", "--dataset-config-file", *words])).OUTPUT_DIR

    folders = {
        folder("digits_shift"),
        folder("digits_shift", "--target-domains", "rendered"),
        folder("digits_shift", "--target-domains", "handwritten"),
        folder("digits_shift", "--source-domains", "rendered"),
        folder("digits_shift", "--source-domains", "rendered", "--target-domains", "handwritten"),
    }
    assert len(folders) == 5
    assert "output/DigitsShift-handwritten/CoOp/seed1" in folders
    assert "output/DigitsShift-from_rendered-to_handwritten/CoOp/seed1" in folders


@pytest.mark.parametrize(
    ("spelt", "name"),
    [
        ("caltech101", "Caltech101"), ("Caltech101", "Caltech101"), ("OXFORD_PETS", "OxfordPets"),
        ("OxfordPets", "OxfordPets"), ("DescribableTextures", "DescribableTextures"), ("DTD", "DescribableTextures"),
        ("imagenet-a", "ImageNetA"), ("PACS", "ImageFolder"),
    ],
)  # fmt: skip
def test_a_data_set_is_found_in_any_case_and_by_its_readers_name(spelt, name):
    def configured(*words):
        return setup_cfg(parser("").parse_args(["--trainer", "CoOp", *words])).DATASET

    assert name == configured("--dataset-config-file", spelt).NAME
    assert configured("--dataset-config-file", "PACS").PATH == "PACS"
    if spelt != "PACS" and name.lower() == spelt.lower():
        assert name == configured("DATASET.NAME", spelt.upper()).NAME


def test_a_data_set_that_is_not_known_is_answered_with_the_nearest(capsys, tmp_path):
    assert run(tmp_path / "out", "CoOp", "--dataset-config-file", "caltec101") == 1
    assert "did you mean: caltech101" in capsys.readouterr().err
    assert run(tmp_path / "out", "CoOp", overrides=("DATASET.NAME", "Caltec101")) == 1
    said = capsys.readouterr().err
    assert "did you mean: Caltech101" in said and "docs/extending.md" in said
