"""Registries, meters, the log, and checkpoint files, whole and damaged."""

import argparse
import os
import random
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.config import clean_cfg, get_cfg_default
from dassl.utils import (
    AverageMeter,
    MetricMeter,
    Registry,
    check_availability,
    collect_env_info,
    count_num_param,
    listdir_nohidden,
    load_checkpoint,
    load_pretrained_weights,
    open_specified_layers,
    read_json,
    resume_from_checkpoint,
    save_checkpoint,
    set_random_seed,
    setup_logger,
    write_json,
)

from craft.common.errors import UserError

# ---------------------------------------------------------------- configuration


def test_defaults_are_fresh_copies_of_dassls():
    cfg = get_cfg_default()
    cfg.OPTIM.LR = 7.0
    cfg = get_cfg_default()
    assert (cfg.OPTIM.LR, cfg.OPTIM.NAME, cfg.OPTIM.MAX_EPOCH) == (0.0003, "adam", 10)
    assert (cfg.INPUT.SIZE, cfg.DATALOADER.NUM_WORKERS, cfg.DATASET.NUM_SHOTS) == ((224, 224), 4, -1)
    assert (cfg.TEST.FINAL_MODEL, cfg.TRAIN.COUNT_ITER, cfg.SEED) == ("last_step", "train_x", -1)
    assert cfg.DATALOADER.TRAIN_U.SAME_AS_X and "SAME_AS_X" not in cfg.DATALOADER.TRAIN_X


def test_clean_cfg_keeps_one_trainer():
    cfg = get_cfg_default()
    clean_cfg(cfg, "FixMatch")
    assert set(cfg.TRAINER) == {"NAME", "FIXMATCH"}


# ---------------------------------------------------------------- registries


def test_registry_registers_both_ways_and_refuses_doubles():
    registry = Registry("SHAPE")

    @registry.register()
    class Circle:
        pass

    class Square:
        pass

    registry.register(Square)
    assert registry.get("Circle") is Circle and registry.registered_names() == ["Circle", "Square"]
    with pytest.raises(KeyError, match="Circle"):
        registry.register(Circle)
    registry.register(Circle, force=True)


def test_unknown_name_is_a_key_error_with_the_nearest_names():
    registry = Registry("SHAPE")
    registry.register(type("Circle", (), {}))
    with pytest.raises(KeyError) as caught:
        registry.get("circel")
    assert isinstance(caught.value, UserError)
    assert str(caught.value) == "unknown shape 'circel'; did you mean: Circle?"
    with pytest.raises(ValueError, match="Circle"):
        check_availability("Cirle", ["Circle", "Square"])


# ---------------------------------------------------------------- meters and tools


def test_meters_average_and_print():
    meter = AverageMeter()
    meter.update(1.0, n=3)
    meter.update(torch.tensor(5.0))
    assert (meter.val, meter.avg, meter.count) == (5.0, 2.0, 4)
    smooth = AverageMeter(ema=True)
    smooth.update(10.0)
    smooth.update(20.0)
    assert smooth.avg == pytest.approx(0.9 * 1.0 + 0.1 * 20.0)
    metrics = MetricMeter()
    metrics.update({"loss": 0.5, "acc": torch.tensor(50.0)})
    metrics.update({"loss": 1.0, "acc": 30.0})
    metrics.update(None)
    assert str(metrics) == "loss 1.0000 (0.7500) acc 30.0000 (40.0000)"
    with pytest.raises(TypeError):
        metrics.update([1.0])


def test_seed_covers_all_streams():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    set_random_seed(5)
    first = draw()
    set_random_seed(5)
    assert draw() == first


def test_json_and_listing(tmp_path):
    write_json({"a": [1, 2]}, str(tmp_path / "deep" / "x.json"))
    assert read_json(str(tmp_path / "deep" / "x.json")) == {"a": [1, 2]}
    for name in ("b", "a", ".hidden"):
        (tmp_path / "deep" / name).touch()
    assert listdir_nohidden(str(tmp_path / "deep"), sort=True) == ["a", "b", "x.json"]


def test_environment_names_the_versions():
    assert torch.__version__ in collect_env_info()


def test_open_specified_layers_freezes_the_rest():
    model = torch.nn.ModuleDict({"body": torch.nn.Linear(2, 3), "head": torch.nn.Linear(3, 1)})
    assert count_num_param(model) == 2 * 3 + 3 + 3 + 1
    open_specified_layers(model, "head")
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
    assert model["head"].training and not model["body"].training


# ---------------------------------------------------------------- the log


def test_log_copies_what_is_printed_and_keeps_an_old_log(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # restored afterwards
    setup_logger(str(tmp_path))
    print("first line")
    assert (tmp_path / "log.txt").read_text() == "first line\n"  # without waiting for the process to end
    sys.stdout.isatty()
    setup_logger(str(tmp_path))
    print("second run")
    first, second = sorted(tmp_path.iterdir(), key=lambda path: len(path.name))
    assert first.read_text() == "first line\n" and second.read_text() == "second run\n"
    assert capsys.readouterr().out == "first line\nsecond run\n"


def test_log_survives_a_kill(tmp_path):
    child = os.fork()
    if child == 0:
        try:
            setup_logger(str(tmp_path / "run.txt"))
            print("written before the end")
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (tmp_path / "run.txt").read_text() == "written before the end\n"


# ---------------------------------------------------------------- checkpoints


def trained(seed=0):
    """A model that has taken a step, with its optimizer."""
    torch.manual_seed(seed)
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return model, optimizer


def save(folder, **more):
    model, optimizer = trained()
    state = {"state_dict": model.state_dict(), "epoch": 3, "optimizer": optimizer.state_dict(), "scheduler": None}
    save_checkpoint({**state, "val_result": np.float64(12.5), **more}, str(folder))
    return model


def test_checkpoint_round_trip(tmp_path):
    saved = save(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["checkpoint", "model.pth.tar-3"]
    assert (tmp_path / "checkpoint").read_text().strip() == "model.pth.tar-3"
    model, optimizer = trained(seed=1)
    assert resume_from_checkpoint(str(tmp_path), model, optimizer) == 3
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), saved.parameters()))
    assert load_checkpoint(str(tmp_path / "model.pth.tar-3"))["val_result"] == 12.5


def test_best_checkpoint_and_data_parallel_names(tmp_path):
    model, _ = trained()
    wrapped = {f"module.{key}": value for key, value in model.state_dict().items()}
    save_checkpoint({"state_dict": wrapped, "epoch": 1}, str(tmp_path), is_best=True)
    best = load_checkpoint(str(tmp_path / "model-best.pth.tar"))
    assert set(best["state_dict"]) == {"weight", "bias"}


def test_missing_checkpoint_is_a_file_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="model-best") as caught:
        load_checkpoint(str(tmp_path / "model-best.pth.tar"))
    assert isinstance(caught.value, UserError)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_checkpoint_is_named(tmp_path, share):
    save(tmp_path)
    path = tmp_path / "model.pth.tar-3"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"model\.pth\.tar-3") as caught:
        resume_from_checkpoint(str(tmp_path), trained()[0])
    assert "\n" not in str(caught.value)


class Hostile:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False])
def test_hostile_checkpoint_is_not_run(tmp_path, zipped, monkeypatch):
    """Beside Craft what is no tensor or plain value is passed over; alone the file is refused."""
    trap = tmp_path / "trap"
    state = {"state_dict": {}, "epoch": 1, "extra": Hostile(str(trap))}
    torch.save(state, tmp_path / "evil", _use_new_zipfile_serialization=zipped)
    assert load_checkpoint(str(tmp_path / "evil"))["epoch"] == 1
    monkeypatch.setattr(sys.modules[load_checkpoint.__module__], "read_tensors", None)
    with pytest.raises(UserError, match=r"refusing to load .*evil.*mkdir"):
        load_checkpoint(str(tmp_path / "evil"))
    assert not trap.exists()


def test_checkpoint_with_harmless_objects_is_read(tmp_path):
    """A NumPy number is a number; a Namespace is passed over."""
    state = {"state_dict": {"a": torch.ones(2)}, "val_result": np.float64(88.5), "args": argparse.Namespace(x=1)}
    torch.save(state, tmp_path / "old")
    loaded = load_checkpoint(str(tmp_path / "old"))
    assert loaded["state_dict"]["a"].tolist() == [1, 1] and loaded["val_result"] == 88.5


def test_checkpoint_with_a_pickled_schedule_of_upstream_is_read(tmp_path):
    """Upstream's files hold the scheduler that follows the warm-up, and in it an optimizer, as objects."""
    model, optimizer = trained()
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10.0)
    optimizer.step()
    schedule.step()
    state = {"state_dict": model.state_dict(), "epoch": 1, "scheduler": {"successor": schedule, "warmup_epoch": 1}}
    torch.save(state, tmp_path / "old")
    loaded = load_checkpoint(str(tmp_path / "old"))
    assert torch.equal(loaded["state_dict"]["weight"], model.weight)
    successor = loaded["scheduler"]["successor"]
    assert (successor.T_max, successor.last_epoch) == (10.0, 1)
    assert not isinstance(successor, torch.optim.lr_scheduler.LRScheduler)


def test_checkpoint_of_another_model_is_named(tmp_path):
    save(tmp_path)
    with pytest.raises(UserError, match=r"model\.pth\.tar-3.*weight"):
        resume_from_checkpoint(str(tmp_path), torch.nn.Linear(5, 2))


def test_an_interrupted_write_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    save(tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)}

    def full_disk(state, path, *args, **kwargs):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(UserError, match="No space left"):
        save(tmp_path, epoch=4)
    assert {name: (tmp_path / name).read_bytes() for name in os.listdir(tmp_path)} == before


def test_pretrained_weights_load_what_fits(tmp_path, capsys):
    source = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    torch.save({f"module.{key}": value for key, value in source.state_dict().items()}, tmp_path / "weights")
    target = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 5))
    kept = target[1].weight.clone()
    load_pretrained_weights(target, str(tmp_path / "weights"))
    assert torch.equal(target[0].weight, source[0].weight) and torch.equal(target[1].weight, kept)
    assert "1.weight" in capsys.readouterr().out
    with pytest.warns(UserWarning, match="Cannot load"):
        load_pretrained_weights(torch.nn.Linear(9, 9), str(tmp_path / "weights"))
