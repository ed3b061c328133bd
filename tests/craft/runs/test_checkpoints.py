"""Learned prompts on disk: ours in two forms with digests, CoOp's as they are, and which of them is evaluated."""

import argparse
import json
import random

import numpy as np
import pytest
import torch

from craft.common import pickled, tensor_files
from craft.runs import checkpoints, record
from tests.runs import interrupted_after, metrics, run

EPOCHS = ["DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 3, "DATALOADER.NUM_WORKERS", 0, "TRAIN.CHECKPOINT_FREQ", 1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert run(folder, "CoOp") == 0
    return folder


def evaluate(model, folder, *overrides, trainer="CoOp"):
    return run(folder, trainer, "--eval-only", "--model-dir", str(model), overrides=overrides)


def as_coop_writes_it(folder, state):
    """A checkpoint of upstream Dassl: a scheduler pickled whole, a NumPy number, somebody's Namespace."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5)
    checkpoint = {
        "state_dict": {**state, "token_prefix": torch.randn(10, 1, 64), "token_suffix": torch.randn(10, 72, 64)},
        "epoch": 5,
        "optimizer": optimizer.state_dict(),
        "scheduler": {"successor": cosine, "last_epoch": 5},
        "val_result": np.float64(88.0),
        "args": argparse.Namespace(lr=0.1),
        "presumes": argparse.Namespace(),
    }
    (folder / "prompt_learner").mkdir(parents=True)
    torch.save(checkpoint, folder / "prompt_learner/model.pth.tar-5")
    (folder / "prompt_learner/checkpoint").write_text("model.pth.tar-5\n")
    return folder


@pytest.mark.parametrize("prefix", ["", "module.", "prompt_learner.", "model.prompt_learner."])
def test_coops_own_checkpoints_are_loaded(trained, tmp_path, prefix, capsys):
    state = pickled.load(trained / "prompt_learner/model.pth.tar-1")["state_dict"]
    coop = as_coop_writes_it(tmp_path / "coop", {prefix + name: value for name, value in state.items()})
    assert evaluate(coop, tmp_path / "there") == 0
    assert metrics(tmp_path / "there")["results"] == metrics(trained)["results"]
    said = "".join(capsys.readouterr())
    assert "damaged" not in said and "delete" not in said


def test_a_checkpoint_of_another_backbone_is_called_that(tmp_path, capsys):
    coop = as_coop_writes_it(tmp_path / "coop", {"ctx": torch.randn(16, 512)})
    assert evaluate(coop, tmp_path / "there") == 1
    error = capsys.readouterr().err
    assert "ctx (16, 512) instead of" in error and "backbone" in error and error.count("\n") == 1
    assert "damaged" not in error and "delete" not in error


def test_initial_weights_that_are_none_are_named(tmp_path, capsys):
    (tmp_path / "text.pt").write_text("no weights\n")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "folder.pt").mkdir()
    torch.save(torch.nn.Linear(2, 2), tmp_path / "model.pt")
    for name, what in {
        "text.pt": "holds a text, not tensors",
        "empty.pt": "is empty",
        "folder.pt": "is a folder, not a file",
        "model.pt": "holds a pickled torch.nn.modules.linear.Linear, not a checkpoint",
        "gone.pt": "no such checkpoint",
    }.items():
        assert run(tmp_path / "run", "CoOp", overrides=["MODEL.INIT_WEIGHTS", tmp_path / name]) == 1
        error = capsys.readouterr().err
        assert what in error and str(tmp_path / name) in error and error.count("\n") == 1
        assert "weights_only" not in error and "\x1b" not in error


# -- two forms, and damage --------------------------------------------------------------------------------------------


def test_prompts_lie_there_as_safetensors_too(trained):
    tensors, metadata = tensor_files.read(trained / "prompt_learner/prompts-1.safetensors")
    written = pickled.load(trained / "prompt_learner/model.pth.tar-1")
    assert torch.equal(tensors["ctx"], written["state_dict"]["ctx"])
    assert json.loads(metadata["checkpoint"])["backbone"] == written["backbone"]


def test_whichever_of_the_two_is_damaged_the_other_is_read(trained, tmp_path, capsys):
    """Any bit of either, and either gone: the same prompts."""
    folder, draw = tmp_path / "prompt_learner", random.Random(0)
    folder.mkdir()
    names = ("model.pth.tar-1", "prompts-1.safetensors")
    whole = {name: (trained / "prompt_learner" / name).read_bytes() for name in names}
    expected = pickled.load(trained / "prompt_learner/model.pth.tar-1")["state_dict"]["ctx"]
    for trial in range(200):
        for name in names:
            (folder / name).write_bytes(whole[name])
        name = names[trial % 2]
        content = bytearray(whole[name])
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        (folder / name).write_bytes(content)
        assert torch.equal(checkpoints.read(folder / names[0])["state_dict"]["ctx"], expected), trial
    out = capsys.readouterr().out
    assert "its copy" in out and "model.pth.tar-1 is read instead" in out


def test_a_file_that_somebody_put_there_is_the_one_that_counts(trained, tmp_path, capsys):
    folder = tmp_path / "prompt_learner"
    folder.mkdir()
    for name in ("model.pth.tar-1", "prompts-1.safetensors"):
        (folder / name).write_bytes((trained / "prompt_learner" / name).read_bytes())
    own = pickled.load(folder / "model.pth.tar-1")
    own["state_dict"]["ctx"] += 1
    torch.save(own, folder / "model.pth.tar-1")
    assert torch.equal(checkpoints.read(folder / "model.pth.tar-1")["state_dict"]["ctx"], own["state_dict"]["ctx"])
    assert "is another file than its copy was made of" in capsys.readouterr().out


# -- which run's, and which epoch's -----------------------------------------------------------------------------------


def test_the_epoch_that_the_pointer_names_is_evaluated(tmp_path):
    folder = tmp_path / "prompt_learner"
    folder.mkdir()
    for epoch in (2, 3):
        (folder / f"model.pth.tar-{epoch}").write_bytes(b"")
    for pointer, epoch in (("model.pth.tar-2", 2), ("model.pth.tar-9", 3), ("model-best.pth.tar", 3), ("", 3)):
        (folder / "checkpoint").write_text(pointer + "\n")
        assert checkpoints.last_epoch(tmp_path) == epoch
    (folder / "checkpoint").unlink()
    assert checkpoints.last_epoch(tmp_path) == 3


def test_nothing_of_a_run_whose_record_is_gone_is_taken_for_the_next_ones(tmp_path, capsys):
    """Three epochs, the record deleted, two epochs: those two are evaluated. What was there is aside, not gone."""
    assert run(tmp_path / "run", "CoOp", settings=EPOCHS) == 0
    (tmp_path / "run" / record.RECORD).unlink()
    assert run(tmp_path / "run", "CoOp", settings=EPOCHS, overrides=["OPTIM.MAX_EPOCH", 2]) == 0
    names = {path.name for path in (tmp_path / "run/prompt_learner").glob("model*")}
    assert names == {"model.pth.tar-1", "model.pth.tar-2"}
    (aside,) = (tmp_path / "run").glob("before-*")
    assert (aside / "prompt_learner/model.pth.tar-3").is_file() and (aside / "metrics.json").is_file()
    assert "were moved to" in capsys.readouterr().out
    assert evaluate(tmp_path / "run", tmp_path / "there") == 0
    assert record.read(tmp_path / "there")["identity"]["model"]["path"].endswith("model.pth.tar-2")


@pytest.mark.parametrize("content", ['{"state": "do', "[1]", '{"state": "done", "config": 3}', ""])
def test_force_replaces_a_run_whose_record_is_damaged(tmp_path, content, capsys):
    with interrupted_after(2):
        assert run(tmp_path, "CoOp", settings=EPOCHS) == 130
    (tmp_path / record.RECORD).write_text(content)
    assert run(tmp_path, "CoOp", settings=EPOCHS, overrides=["OPTIM.MAX_EPOCH", 1]) == 1
    error = capsys.readouterr().err
    assert record.RECORD in error and "--force" in error and "delete" not in error
    assert run(tmp_path, "CoOp", "--force", settings=EPOCHS, overrides=["OPTIM.MAX_EPOCH", 1]) == 0
    assert [path.name for path in (tmp_path / "prompt_learner").glob("model*")] == ["model.pth.tar-1"]
    assert record.state_of(tmp_path).name == "done"


def test_a_file_system_without_locks_is_no_reason_not_to_run(tmp_path, monkeypatch, capsys):
    from craft.runs import locks

    def refused(*args):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refused)
    assert not locks.locked(tmp_path)
    with locks.lock(tmp_path):
        assert not locks.locked(tmp_path)
    assert "cannot be locked" in capsys.readouterr().out
