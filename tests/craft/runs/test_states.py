"""What a run goes on from: it equals the uninterrupted run, wherever it was cut and whichever state was damaged."""

import os
import random
import signal
import subprocess
import sys
from unittest import mock

import pytest
import torch

from craft.common import pickled
from craft.common.errors import UserError
from craft.runs import record, states
from tests.conftest import PROJECT
from tests.runs import interrupted_after, metrics, run

SHORT = ["DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 3, "DATALOADER.NUM_WORKERS", 0]
SMALL = ["DATALOADER.TRAIN_X.BATCH_SIZE", 4, "TRAIN.CHECKPOINT_STEPS", 2]  # 5 steps an epoch
SHIFT = ("--dataset-config-file", "digits_shift")
UNLABELLED = ["DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 3, "DATASET.NUM_SHOTS", 1]


def prompts(folder, epoch=3):
    return pickled.load(folder / f"prompt_learner/model.pth.tar-{epoch}")["state_dict"]


def same(one, other):
    ours, theirs = prompts(one), prompts(other)
    return metrics(one) == metrics(other) and all(torch.equal(ours[name], theirs[name]) for name in theirs)


class stopped_before:
    """Within the block a run is interrupted before its optimiser step of this number (from 0)."""

    def __init__(self, step):
        from craft.trainers.engine.prompt_trainer import PromptTrainer

        original, self.steps = PromptTrainer.forward_backward, 0

        def forward_backward(trainer, *batches):
            self.steps += 1
            if self.steps > step:
                raise KeyboardInterrupt
            return original(trainer, *batches)

        self.patch = mock.patch.object(PromptTrainer, "forward_backward", forward_backward)

    def __enter__(self):
        self.patch.start()
        return self

    def __exit__(self, *_):
        self.patch.stop()


@pytest.mark.parametrize(
    "trainer, options, overrides",
    [
        pytest.param("CoOpCraft", (), [], id="labelled"),
        pytest.param("PromptSRC", (), ["DATALOADER.NUM_WORKERS", 1], id="worker and average"),
        pytest.param("CoOpCraftOOD", SHIFT, [*UNLABELLED, "TRAIN.COUNT_ITER", "train_u"], id="passes within an epoch"),
    ],
)
def test_a_run_goes_on_within_an_epoch(tmp_path, trainer, options, overrides, capsys):
    """Cut at three places, each time after other steps than those that a state is kept of."""
    overrides = [*SMALL, *overrides]
    assert run(tmp_path / "whole", trainer, *options, settings=SHORT, overrides=overrides) == 0
    for steps in (3, 6, 5):
        with stopped_before(steps):
            assert run(tmp_path / "cut", trainer, *options, settings=SHORT, overrides=overrides) == 130
    assert run(tmp_path / "cut", trainer, *options, settings=SHORT, overrides=overrides) == 0
    assert "steps of the next" in capsys.readouterr().out
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_the_steps_that_were_done_are_not_done_again(tmp_path):
    with stopped_before(9):
        assert run(tmp_path, "CoOp", settings=SHORT, overrides=SMALL) == 130
    with stopped_before(100) as counted:
        assert run(tmp_path, "CoOp", settings=SHORT, overrides=SMALL) == 0
    assert counted.steps == 15 - 8


def test_without_the_setting_there_are_states_of_whole_epochs_only(tmp_path):
    with stopped_before(9):
        assert run(tmp_path, "CoOp", settings=SHORT, overrides=SMALL[:2]) == 130
    with stopped_before(100) as counted:
        assert run(tmp_path, "CoOp", settings=SHORT, overrides=SMALL[:2]) == 0
    assert counted.steps == 10


# -- damage -----------------------------------------------------------------------------------------------------------


def test_a_damaged_state_falls_back_to_the_one_before(tmp_path, capsys):
    assert run(tmp_path / "whole", "CoOp", settings=SHORT) == 0
    with interrupted_after(2):
        assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 130
    state, draw = tmp_path / "cut" / states.STATE, random.Random(0)
    whole, expected, refused = state.read_bytes(), pickled.load(state), 0
    for _ in range(150):  # whatever bit: the same state, or none
        content = bytearray(whole)
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        state.write_bytes(content)
        try:
            found = pickled.load(state)
        except pickled.Unreadable:
            refused += 1
            continue
        assert (
            torch.equal(found["model"]["ctx"], expected["model"]["ctx"])
            and found["random"]["python"] == expected["random"]["python"]
        )
    assert refused > 100
    content = bytearray(whole)
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    capsys.readouterr()
    assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 0
    out = capsys.readouterr().out
    assert f"{state} is truncated or damaged" in out and "1 of 3 epochs are done" in out
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_where_every_state_is_damaged_the_run_starts_over(tmp_path, capsys):
    assert run(tmp_path / "whole", "CoOp", settings=SHORT) == 0
    with interrupted_after(2):
        assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 130
    for name in record.STATES:
        (tmp_path / "cut" / name).write_bytes(b"not a state")
    assert run(tmp_path / "other", "CoOp", "--resume", str(tmp_path / "cut"), settings=SHORT) == 1
    assert "state-before.pth.tar holds a text" in capsys.readouterr().err
    assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 0
    assert same(tmp_path / "cut", tmp_path / "whole")


def test_a_state_lost_between_two_renames_is_the_one_before(tmp_path):
    assert run(tmp_path / "whole", "CoOp", settings=SHORT) == 0
    with interrupted_after(2):
        assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 130
    (tmp_path / "cut" / states.STATE).unlink()
    assert run(tmp_path / "cut", "CoOp", settings=SHORT) == 0
    assert same(tmp_path / "cut", tmp_path / "whole")


# -- numbers that are none --------------------------------------------------------------------------------------------


def infinite_after(epoch, spoil):
    """The run's ``spoil(trainer)`` after an epoch (from 0), before anything of it is kept."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    whole = PromptTrainer.run_epoch

    def run_epoch(self):
        whole(self)
        if self.epoch == epoch:
            with torch.no_grad():
                spoil(self)

    return mock.patch.object(PromptTrainer, "run_epoch", run_epoch)


def spoil_momentum(trainer):
    next(iter(trainer.optim.state.values()))["momentum_buffer"].fill_(float("inf"))


def spoil_average(trainer):
    next(value for name, value in trainer.model.named_buffers() if name.startswith("gpa_")).fill_(float("nan"))


@pytest.mark.parametrize(
    "trainer, spoil, named", [("CoOp", spoil_momentum, "momentum_buffer"), ("PromptSRC", spoil_average, "gpa_")]
)
def test_no_state_with_a_nan_takes_the_place_of_a_good_one(tmp_path, trainer, spoil, named, capsys):
    with infinite_after(1, spoil):
        assert run(tmp_path, trainer, settings=SHORT, overrides=["TRAIN.CHECKPOINT_FREQ", 1]) == 1
    error = capsys.readouterr().err
    assert named in error and "is not finite after epoch 2; lower OPTIM.LR" in error and error.count("\n") == 1
    assert record.state_of(tmp_path).name == "failed" and "lower OPTIM.LR" in record.state_of(tmp_path).error
    assert pickled.load(tmp_path / states.STATE)["epoch"] == 1
    assert not (tmp_path / "prompt_learner/model.pth.tar-2").exists()


def test_a_state_with_a_nan_is_not_gone_on_from(tmp_path, capsys):
    with interrupted_after(2):
        assert run(tmp_path, "CoOp", settings=SHORT) == 130
    state = torch.load(tmp_path / states.STATE, weights_only=True)
    state["model"]["ctx"][0] = float("nan")
    torch.save(state, tmp_path / states.STATE)
    assert run(tmp_path, "CoOp", settings=SHORT) == 0
    out = capsys.readouterr().out
    assert "ctx is not finite in it" in out and "1 of 3 epochs are done" in out


# -- the end of a process ---------------------------------------------------------------------------------------------


def started(folder, *overrides):
    """A run of many steps as a process of its own, once it has begun to step."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    settings = map(str, ["DATASET.NUM_SHOTS", 16, "OPTIM.MAX_EPOCH", 50, "DATALOADER.NUM_WORKERS", 0])
    command = [sys.executable, "-m", "craft", "train", "--trainer", "CoOp", "--output-dir", str(folder), *settings]
    overrides = map(str, ["TRAIN.PRINT_FREQ", 1, "DATALOADER.TRAIN_X.BATCH_SIZE", 4, *overrides])
    process = subprocess.Popen(
        [*command, *overrides], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    for line in process.stdout:
        if line.startswith("epoch [2/50] batch [3/"):
            return process
    pytest.fail(process.stderr.read())


@pytest.mark.parametrize("steps", [0, 1000])
def test_sigterm_ends_a_run_and_keeps_what_there_is(tmp_path, steps):
    process = started(tmp_path, "TRAIN.CHECKPOINT_STEPS", steps)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGTERM and err == ""
    assert record.state_of(tmp_path).name == "interrupted"
    kept = pickled.load(tmp_path / states.STATE)
    assert kept["epoch"] == 1
    if steps:
        assert kept["within"]["steps"] >= 3 and "Ended by SIGTERM after step" in out
    else:
        assert kept["within"] is None
    assert not list(tmp_path.rglob("*.tmp"))


# -- float16 ----------------------------------------------------------------------------------------------------------


def test_skipped_steps_are_counted(tmp_path, capsys):
    """Two of five steps overflow in float16: the scaler leaves them out, and log, metrics and record say so."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    original, precision = PromptTrainer.batch_terms, PromptTrainer._set_precision

    def overflowing(self, *batches):
        terms = original(self, *batches)
        value = self.model.ctx.sum()
        terms["overflow"] = _Overflow.apply(value) if self.batch_idx in (1, 3) else 0 * value
        return terms

    def scaled(self):
        precision(self)
        self.scaler = torch.amp.GradScaler("cpu", enabled=True)

    overrides = ["DATALOADER.TRAIN_X.BATCH_SIZE", 4, "DATASET.NUM_SHOTS", 2]
    with (
        mock.patch.object(PromptTrainer, "batch_terms", overflowing),
        mock.patch.object(PromptTrainer, "_set_precision", scaled),
    ):
        assert run(tmp_path, "CoOp", overrides=overrides) == 0
    assert "2 of 5 steps were skipped: a gradient overflowed" in capsys.readouterr().out
    assert metrics(tmp_path)["skipped_steps"] == 2 == record.read(tmp_path)["skipped_steps"]
    assert metrics(tmp_path)["history"][0]["skipped"] == 2


class _Overflow(torch.autograd.Function):
    """0, with a gradient that is infinite."""

    @staticmethod
    def forward(ctx, value):
        return torch.zeros_like(value)

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("inf")


# -- too little memory, or disk ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 12.40 GiB.\nGPU 0 has"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_out_of_memory_is_one_line_that_says_what_to_lower(tmp_path, error, capsys):
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    with mock.patch.object(PromptTrainer, "batch_terms", side_effect=error):
        assert run(tmp_path, "CoOp") == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: out of memory: set TRAINER.TEXT_CHUNK 100, or lower ")
    assert "DATALOADER.TRAIN_X.BATCH_SIZE (now 32)" in said
    assert "TRAINER.TEXT_CHUNK 100" in record.state_of(tmp_path).error


def test_a_full_disk_names_what_could_not_be_written(tmp_path, monkeypatch, capsys):
    """Neither can the record be written then; what came first is told."""
    from craft.runs import record as records

    original = records.write_sealed

    def full(trainer, *args):
        monkeypatch.setattr(records, "write_sealed", refuse)
        raise UserError("could not write state.pth.tar: No space left on device; free space there")

    def refuse(path, value):
        raise UserError(f"could not write {path}: No space left on device")

    monkeypatch.setattr(states, "save_state", full)
    assert run(tmp_path, "CoOp") == 1
    assert "error: could not write state.pth.tar: No space left" in capsys.readouterr().err
    assert original is not refuse and record.state_of(tmp_path).name == "interrupted"


def test_a_log_on_a_full_disk_is_one_line(tmp_path, monkeypatch, capsys):
    from craft.trainers.engine.run_log import RunLog

    monkeypatch.setattr(RunLog, "step", mock.Mock(side_effect=OSError(28, "No space left on device")))
    assert run(tmp_path, "CoOp") == 1
    assert f"error: could not write {tmp_path}: No space left on device; free space" in capsys.readouterr().err
