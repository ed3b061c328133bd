"""A run's record: what it holds, and when a run is done, resumed, refused or failed."""

import json
import os
import signal
import subprocess
import sys

import pytest
import torch

from craft.clip.products import onednn_is_faster
from craft.common.errors import UserError
from craft.runs import identity, locks, record
from craft.trainers import launch as train
from tests.conftest import PROJECT
from tests.runs import metrics, run

SETTINGS = ["DATASET.NUM_SHOTS", "2", "DATALOADER.NUM_WORKERS", "0"]
EPOCHS = ["OPTIM.MAX_EPOCH", "3"]


class Stop(KeyboardInterrupt):
    """What Ctrl-C does, at a chosen moment."""


@pytest.fixture
def interrupt_after(monkeypatch):
    """interrupt_after(epoch): the next run is interrupted after it, as by a key."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    def at(epoch):
        whole = PromptTrainer.run_epoch

        def run_epoch(self):
            if self.epoch == epoch:
                raise Stop
            whole(self)

        monkeypatch.setattr(PromptTrainer, "run_epoch", run_epoch)

    return at


def go(folder, *overrides, options=(), trainer="CoOpCraft"):
    return run(folder, trainer, *options, settings=SETTINGS, overrides=overrides)


def test_record_of_a_done_run(tmp_path):
    assert go(tmp_path, *EPOCHS) == 0
    found = record.read(tmp_path)
    assert (found["state"], found["epoch"], found["epochs"], found["error"]) == ("done", 3, 3, None)
    assert found["command"].startswith("train.py --trainer CoOpCraft --output-dir")
    assert found["config"]["OPTIM"]["MAX_EPOCH"] == 3 and found["config"]["TRAINER"]["NAME"] == "CoOpCraft"
    assert found["split"]["train"] == 20 and found["split"]["test"] == 719
    assert found["anchors"] == metrics(tmp_path)["anchors"]
    assert found["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert found["device"]["type"] == ("cuda" if torch.cuda.is_available() else "cpu")
    assert found["device"].get("onednn", False) == (onednn_is_faster() and not torch.cuda.is_available())
    assert found["peak_memory_mb"]["host"] > 50
    assert 0 < found["timing"]["seconds"] < 600 and found["timing"]["finished"] >= found["timing"]["started"]
    assert str(record.state_of(tmp_path)) == "done"


def test_a_done_run_is_not_run_again(tmp_path, capsys):
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1") == 0

    def files():  # the log is still open in this process
        return {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p.name != "log.txt"}

    before = files()
    # Where the data lie, and how often a line is printed, makes no other run of it.
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1", "TRAIN.PRINT_FREQ", "7", options=["--root", "/"]) == 0
    assert "Already done" in capsys.readouterr().out
    assert files() == before


def test_other_settings_in_the_same_folder_are_refused_and_named(tmp_path, capsys):
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1") == 0
    first = metrics(tmp_path)
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1", "OPTIM.LR", "0.5") == 1
    said = capsys.readouterr().err
    assert "OPTIM.LR: 0.002 there, 0.5 now" in said and "--force" in said and "MAX_EPOCH" not in said
    assert metrics(tmp_path) == first and record.state_of(tmp_path).name == "done"
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1", "OPTIM.LR", "0.5", options=["--force"]) == 0
    assert record.read(tmp_path)["config"]["OPTIM"]["LR"] == 0.5


def test_force_leaves_no_checkpoint_of_the_earlier_run(tmp_path):
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "2") == 0
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1", options=["--force"]) == 0
    # Evaluation loads the largest epoch: a left-over model.pth.tar-2 would be taken for this run's.
    assert [path.name for path in (tmp_path / "prompt_learner").glob("model*")] == ["model.pth.tar-1"]


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, interrupt_after, monkeypatch, capsys):
    assert go(tmp_path / "whole", *EPOCHS) == 0
    with monkeypatch.context():
        interrupt_after(2)
        assert go(tmp_path / "cut", *EPOCHS) == 130
    monkeypatch.undo()
    assert str(record.state_of(tmp_path / "cut")) == "interrupted at epoch 2/3"
    assert go(tmp_path / "cut", *EPOCHS, "OPTIM.LR", "0.1") == 1
    assert "OPTIM.LR" in capsys.readouterr().err
    assert go(tmp_path / "cut", *EPOCHS) == 0
    assert metrics(tmp_path / "cut") == metrics(tmp_path / "whole")
    found = record.read(tmp_path / "cut")
    assert found["state"] == "done" and len(found["timing"]["sessions"]) == 2


def test_interrupted_in_its_first_epoch_it_starts_over(tmp_path, interrupt_after, monkeypatch):
    interrupt_after(0)
    assert go(tmp_path, *EPOCHS) == 130
    monkeypatch.undo()
    assert str(record.state_of(tmp_path)) == "interrupted at epoch 0/3"
    # Nothing was learned yet, so other settings take nothing away.
    assert go(tmp_path, "OPTIM.MAX_EPOCH", "1") == 0


def test_a_failure_is_recorded_and_can_be_mended(tmp_path, monkeypatch, capsys):
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    def broken(self, split=None):
        raise UserError("cannot read image seven.png; restore it")

    with monkeypatch.context() as patch:
        patch.setattr(PromptTrainer, "test", broken)
        assert go(tmp_path, *EPOCHS) == 1
    assert str(record.state_of(tmp_path)) == "failed: cannot read image seven.png; restore it"
    assert go(tmp_path, *EPOCHS) == 0
    # The three epochs were not trained again.
    assert "3 of 3 epochs are done" in capsys.readouterr().out
    assert record.state_of(tmp_path).name == "done" and record.read(tmp_path)["error"] is None


def test_other_images_are_refused_on_resuming(tmp_path, interrupt_after, monkeypatch, capsys):
    interrupt_after(1)
    assert go(tmp_path, *EPOCHS) == 130
    monkeypatch.undo()
    found = record.read(tmp_path)
    found["split"]["digest"] = "another"
    found["split"]["train"] = 19
    (tmp_path / record.RECORD).write_text(json.dumps(found))
    assert go(tmp_path, *EPOCHS) == 1
    assert "train 19 there, 20 now" in capsys.readouterr().err


def test_an_evaluation_is_repeated_when_its_model_changed(tmp_path, capsys):
    model, place = tmp_path / "model", tmp_path / "evaluation"
    evaluate = ["--eval-only", "--model-dir", str(model)]
    assert go(model, "OPTIM.MAX_EPOCH", "1") == 0
    assert go(place, options=evaluate) == 0
    assert record.read(place)["identity"]["model"]["path"].endswith("model.pth.tar-1")
    assert go(place, options=evaluate) == 0
    assert "Already done" in capsys.readouterr().out
    assert go(model, "OPTIM.MAX_EPOCH", "1", "OPTIM.WARMUP_CONS_LR", "0.5", options=["--force"]) == 0
    assert go(place, options=evaluate) == 0
    assert "Already done" not in capsys.readouterr().out


def test_an_evaluation_never_lands_on_its_training_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_it = ["--trainer", "CoOp", *SETTINGS, "OPTIM.MAX_EPOCH", "1"]
    assert train.main(train_it) == 0
    home = tmp_path / "output/Digits/CoOp/seed1"
    history = metrics(home)["history"]
    evaluate = ["--trainer", "CoOp", "--eval-only", "--model-dir", str(home)]
    assert train.main([*evaluate, *SETTINGS]) == 0
    assert metrics(home)["history"] == history and (home / "evaluation/metrics.json").is_file()
    assert train.main([*evaluate, "--output-dir", str(home), *SETTINGS, "OPTIM.MAX_EPOCH", "1"]) == 1
    assert "it is a run to train, this is one to evaluate" in capsys.readouterr().err


def test_one_process_a_folder(tmp_path, capsys):
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from craft.runs import locks\n"
        "with locks.lock(Path(sys.argv[1])): print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(PROJECT)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout.readline() == "locked\n"
        assert record.state_of(tmp_path).name == "running"
        assert go(tmp_path) == locks.Busy.status
        assert "another process is running" in capsys.readouterr().err
    finally:
        other.kill()
        other.wait()
    # The lock went with its process, although nobody cleaned up.
    assert record.state_of(tmp_path).name == "not started"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_lock_goes_with_its_process_and_not_with_a_worker(tmp_path):
    """A loader's worker outlives a killed run by seconds; the same command again must not wait for it."""
    code = (
        "import os, sys, time; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from craft.runs import locks\n"
        "with locks.lock(Path(sys.argv[1])):\n"
        "    if not os.fork(): print(os.getpid(), flush=True)\n"
        "    time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(PROJECT)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    worker = int(killed.stdout.readline())
    try:
        assert record.locked(tmp_path)
        killed.kill()
        killed.wait()
        os.kill(worker, 0)  # it lives
        assert not record.locked(tmp_path)
    finally:
        os.kill(worker, signal.SIGKILL)


def test_a_damaged_record_is_named(tmp_path, capsys):
    (tmp_path / record.RECORD).write_text('{"state": "do')
    assert go(tmp_path) == 1
    assert record.RECORD in capsys.readouterr().err


def test_keys_that_are_new_count_as_their_defaults():
    then, now = {"A": 1, "GONE": 5}, {"A": 1, "NEW": "x", "B.C": [1]}
    assert identity.differences(then, now, {"A": 0, "NEW": "x", "B.C": [1]}) == []
    assert identity.differences(then, now, {"A": 0, "NEW": "y", "B.C": [1]}) == ["NEW: y there, x now"]
    assert identity.differences({"OUTPUT_DIR": "a"}, {"OUTPUT_DIR": "b"}, {}) == []


def test_a_weight_that_is_new_counts_as_zero():
    """A term's weight is 1 unless set, but a run made before the term existed trained without it."""
    defaults, absent = {"A": 1, "NEW_WEIGHT": 1.0}, {"NEW_WEIGHT": 0.0}
    assert identity.differences({"A": 1}, defaults, defaults, absent) == ["NEW_WEIGHT: 0.0 there, 1.0 now"]
    assert identity.differences({"A": 1}, {"A": 1, "NEW_WEIGHT": 0.0}, defaults, absent) == []
    assert identity.differences(defaults, defaults, defaults, absent) == []


def test_a_run_from_before_a_term_existed(tmp_path, capsys):
    """It is no run with that term, unless the term has weight 0 now, or the trainer has no terms."""
    for trainer in ("CoOp", "CoOpCraft"):
        assert go(tmp_path / trainer, *EPOCHS, trainer=trainer) == 0
        path = tmp_path / trainer / record.RECORD
        found = json.loads(path.read_text())
        del found["sha256"]
        del found["config"]["TRAINER"]["CRAFT"]["STOCHASTIC_WEIGHT"]  # as if it were new
        path.write_text(json.dumps(found))
    capsys.readouterr()
    assert go(tmp_path / "CoOp", *EPOCHS, trainer="CoOp") == 0
    assert "Already done" in capsys.readouterr().out
    assert go(tmp_path / "CoOpCraft", *EPOCHS) == 1
    assert "TRAINER.CRAFT.STOCHASTIC_WEIGHT: 0.0 there, 0.1 now" in capsys.readouterr().err
    assert go(tmp_path / "CoOpCraft", *EPOCHS, "TRAINER.CRAFT.STOCHASTIC_WEIGHT", "0") == 0
    assert "Already done" in capsys.readouterr().out
