"""Protocols as plans: the exact commands, their order, and the grid of states."""

import json
import shlex

import pytest

from craft.lab.sweeps import command as cli
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.lab.sweeps.plan import Sweep, plan
from craft.runs import record


def commands(name, **sweep):
    return [shlex.split(run.command) for run in plan(PROTOCOLS[name], Sweep(**sweep))]


def value(command, flag):
    return command[command.index(flag) + 1]


def test_base2new_is_coops_layout_and_its_evaluation_follows_its_training():
    first, second = commands("base2new", trainers=("MaPLe",), datasets=("caltech101",), seeds=(2,), root="/data")
    folder = "output/base2new/{}/caltech101/shots_16/MaPLe/base2new/seed2"
    assert first[:2] == ["python", "train.py"]
    assert value(first, "--output-dir") == folder.format("train_base")
    assert value(first, "--config-file") == "base2new" and value(first, "--root") == "/data"
    assert value(first, "DATASET.SUBSAMPLE_CLASSES") == "base" and "--eval-only" not in first
    assert value(second, "--output-dir") == folder.format("test_new")
    assert value(second, "--model-dir") == folder.format("train_base") and "--eval-only" in second
    assert value(second, "DATASET.SUBSAMPLE_CLASSES") == "new"


def test_whole_protocols_have_the_papers_runs():
    assert len(commands("base2new", trainers=("CoOp",))) == 11 * 3 * 2
    assert len(commands("few_shot", trainers=("CoOp",))) == 11 * 3 * 5
    # One training on ImageNet serves ten targets, and the four variants share its folder.
    cross = commands("cross_dataset", trainers=("MaPLe",), seeds=(1,))
    shift = commands("domain_generalization", trainers=("MaPLe",), seeds=(1,))
    assert len(cross) == 11 and len(shift) == 5 and cross[0] == shift[0]
    assert {value(c, "--model-dir") for c in cross[1:] + shift[1:]} == {value(cross[0], "--output-dir")}
    targets = [value(c, "DATASET.TARGET_DOMAINS") for c in commands("ood", trainers=("CoOpCraftOOD",), seeds=(1,))]
    assert targets == ["v2", "sketch", "a", "r"]


def test_ablation_switches_each_term():
    runs = commands("ablation", trainers=("CoOpCraft",), seeds=(1,))
    static, stochastic = "TRAINER.CRAFT.STATIC_WEIGHT", "TRAINER.CRAFT.STOCHASTIC_WEIGHT"
    found = [(value(c, "--trainer"), static not in c, stochastic not in c) for c in runs]
    assert found == [
        ("CoOp", True, True),
        ("CoOpCraft", True, False),
        ("CoOpCraft", False, True),
        ("CoOpCraft", True, True),
        ("CoOpCraftOOD", False, False),
        ("CoOpCraftOOD", True, True),
    ]
    assert all(value(c, key) == "0" for c in runs for key in (static, stochastic) if key in c)


def test_published_schedules_that_depend_on_shots_and_data():
    epochs = {}
    for command in commands("few_shot", trainers=("CoOpCraft",), datasets=("dtd",), seeds=(1,)):
        epochs[value(command, "DATASET.NUM_SHOTS")] = (
            value(command, "OPTIM.MAX_EPOCH") if "OPTIM.MAX_EPOCH" in command else ""
        )
    assert epochs == {"1": "50", "2": "100", "4": "100", "8": "", "16": ""}
    # What the user says comes last and wins.
    (command,) = commands(
        "few_shot", trainers=("CoOp",), datasets=("dtd",), seeds=(1,), shots=(1,), options=("OPTIM.MAX_EPOCH", "7")
    )
    assert command[-2:] == ["OPTIM.MAX_EPOCH", "7"]


def test_the_embedded_data_come_with_the_embedded_backbone():
    (command, _) = commands("base2new", trainers=("CoOp",), datasets=("digits",), seeds=(1,))
    assert value(command, "--backbone") == "demo" and "--config-file" not in command
    (command, _) = commands("base2new", trainers=("CoOp",), datasets=("digits",), seeds=(1,), backbone="ViT-B/16")
    assert value(command, "--backbone") == "ViT-B/16" and value(command, "--config-file") == "base2new"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "base2mew"], "base2new"),
        (["show", "base2new", "--trainers", "CoopCraft"], "CoOpCraft"),
        (["show", "base2new", "--datasets", "caltech"], "caltech101"),
        (["show", "base2new", "--phases", "train"], "train_base"),
        (["show", "base2new", "--seeds", "one"], "--seeds"),
        (["show", "base2new", "OPTIM.MAX_EPOCH"], "KEY VALUE"),
        (["run"], "few_shot"),
        (["run", "base2new", "--jobs", "0"], "--jobs"),
    ],
)
def test_mistakes_are_named(words, said, capsys):
    assert cli.main(words) == 1
    assert said in capsys.readouterr().err


def test_show_prints_what_the_shell_needs(capsys):
    words = ["--trainers", "CoOp CoOpCraft", "--datasets", "digits,dtd", "--seeds", "1-2", "--root", "/my data"]
    assert cli.main(["show", "base2new", *words, "OPTIM.LR", "0.1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 * 2 * 2 * 2 and "'/my data'" in lines[0] and lines[0].endswith("OPTIM.LR 0.1")
    assert cli.main(["list"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n{name} " in f"\n{said}" for name in PROTOCOLS)


def test_status_shows_the_grid(tmp_path, capsys):
    folder = tmp_path / "base2new/train_base/digits/shots_16/CoOp/demo"
    for seed, content in (
        (1, {"state": "done", "identity": {"code": "older"}}),
        (2, {"state": "started", "epoch": 7, "epochs": 50}),
        (3, {"state": "failed", "error": "the disk is full"}),
    ):
        (folder / f"seed{seed}").mkdir(parents=True)
        (folder / f"seed{seed}" / record.RECORD).write_text(json.dumps(content))
    words = ["--trainers", "CoOp", "--datasets", "digits", "--output", str(tmp_path)]
    assert cli.main(["status", "base2new", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["seed", "1", "seed", "2", "seed", "3"]
    assert lines[1].split() == [
        "base2new/train_base/digits/shots_16/CoOp/demo",
        "done*",
        "interrupted",
        "7/50",
        "FAILED",
    ]
    assert lines[2].split()[1:] == ["-", "-", "-"]
    assert "the disk is full" in lines[3]
    assert "another version of the code" in lines[4]
