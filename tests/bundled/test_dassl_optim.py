"""Optimizers and the learning rate of every epoch."""

import math

import pytest
import torch
from dassl.config import get_cfg_default
from dassl.optim import build_lr_scheduler, build_optimizer

EPOCHS = 12


def optim_cfg(**settings):
    cfg = get_cfg_default().OPTIM
    cfg.merge_from_list([item for pair in settings.items() for item in pair])
    return cfg


def rates(cfg, epochs=EPOCHS):
    optimizer = build_optimizer(torch.nn.Linear(2, 1), cfg)
    scheduler = build_lr_scheduler(optimizer, cfg)
    seen = []
    for _ in range(epochs):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


PLAIN = {
    "cosine": lambda t: 0.02 * (1 + math.cos(math.pi * t / EPOCHS)) / 2,
    "single_step": lambda t: 0.02 * 0.5 ** (t // 4),
    "multi_step": lambda t: 0.02 * 0.5 ** sum(t >= milestone for milestone in (3, 7)),
}
STEPSIZE = {"cosine": (-1,), "single_step": (4,), "multi_step": (3, 7)}


@pytest.mark.parametrize("warmup", ["none", "constant", "linear"])
@pytest.mark.parametrize("schedule", PLAIN)
def test_rates_equal_the_closed_form(schedule, warmup):
    cfg = optim_cfg(
        NAME="sgd", LR=0.02, LR_SCHEDULER=schedule, STEPSIZE=STEPSIZE[schedule], GAMMA=0.5, MAX_EPOCH=EPOCHS
    )
    length = 0 if warmup == "none" else 3
    cfg.merge_from_list(["WARMUP_EPOCH", length or -1])
    if length:
        cfg.merge_from_list(["WARMUP_TYPE", warmup, "WARMUP_CONS_LR", 1e-5, "WARMUP_MIN_LR", 1e-4])
    start = {"none": [], "constant": [1e-5] * 3, "linear": [1e-4, 0.02 / 3, 0.02 * 2 / 3]}[warmup]
    expected = start + [PLAIN[schedule](t) for t in range(EPOCHS - length)]
    assert rates(cfg) == pytest.approx(expected, rel=1e-9)


def test_step_without_a_size_lasts_the_whole_run():
    cfg = optim_cfg(NAME="sgd", LR=0.02, LR_SCHEDULER="single_step", MAX_EPOCH=4)
    assert rates(cfg, 6) == pytest.approx([0.02] * 4 + [0.002] * 2)


def test_cosine_that_counts_the_warmup_skips_those_epochs():
    """WARMUP_RECOUNT False: after W epochs the cosine stands at W; its first rate is still the base rate, and each
    next one follows from the one before by the ratio of the cosines."""
    cfg = optim_cfg(NAME="sgd", LR=0.02, LR_SCHEDULER="cosine", MAX_EPOCH=EPOCHS)
    cfg.merge_from_list(["WARMUP_EPOCH", 2, "WARMUP_TYPE", "constant", "WARMUP_RECOUNT", False])
    start = PLAIN["cosine"](2)
    expected = [1e-5] * 2 + [0.02 * PLAIN["cosine"](t) / start for t in range(2, EPOCHS)]
    assert rates(cfg) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("stop", [1, 2, 5])
@pytest.mark.parametrize("schedule", PLAIN)
def test_saved_schedule_goes_on_where_it_stopped(schedule, stop, tmp_path):
    """Also through a file that is read with weights_only."""
    cfg = optim_cfg(
        NAME="sgd", LR=0.02, LR_SCHEDULER=schedule, STEPSIZE=STEPSIZE[schedule], GAMMA=0.5, MAX_EPOCH=EPOCHS
    )
    cfg.merge_from_list(["WARMUP_EPOCH", 2, "WARMUP_TYPE", "constant"])
    expected = rates(cfg)

    def fresh():
        optimizer = build_optimizer(torch.nn.Linear(2, 1), cfg)
        return optimizer, build_lr_scheduler(optimizer, cfg)

    optimizer, scheduler = fresh()
    for _ in range(stop):
        optimizer.step()
        scheduler.step()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], tmp_path / "state")
    optimizer, scheduler = fresh()
    for target, state in zip((optimizer, scheduler), torch.load(tmp_path / "state", weights_only=True)):
        target.load_state_dict(state)
    for epoch in range(stop, EPOCHS):
        assert optimizer.param_groups[0]["lr"] == pytest.approx(expected[epoch], rel=1e-9), epoch
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("name", ["adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw"])
def test_every_optimizer_descends(name):
    cfg = optim_cfg(NAME=name, LR=0.05, WEIGHT_DECAY=0.0)
    weight = torch.nn.Parameter(torch.tensor([3.0, -2.0]))
    optimizer = build_optimizer([weight], cfg)
    for _ in range(100):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert weight.abs().max() < 1.5


def test_sgd_takes_its_settings_from_the_config():
    """One step from rest: w - lr (g + wd w); momentum 0 keeps the second step free of the first."""
    cfg = optim_cfg(NAME="sgd", LR=0.1, WEIGHT_DECAY=0.5, MOMENTUM=0.0)
    weight = torch.nn.Parameter(torch.tensor([2.0]))
    optimizer = build_optimizer([weight], cfg)
    for expected in (2 - 0.1 * (3 + 0.5 * 2), 1.6 - 0.1 * (3 + 0.5 * 1.6)):
        optimizer.zero_grad()
        (3 * weight).sum().backward()
        optimizer.step()
        assert weight.item() == pytest.approx(expected)


def test_staged_rates_give_new_layers_the_full_rate():
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 3), "head": torch.nn.Linear(3, 1)})
    cfg = optim_cfg(NAME="sgd", LR=0.02, STAGED_LR=True, NEW_LAYERS=("head",), BASE_LR_MULT=0.1)
    base, new = build_optimizer(model, cfg).param_groups
    assert (base["lr"], new["lr"]) == pytest.approx((0.002, 0.02))
    assert {id(p) for p in base["params"]} == {id(p) for p in model["backbone"].parameters()}
    assert {id(p) for p in new["params"]} == {id(p) for p in model["head"].parameters()}


@pytest.mark.parametrize("key, value", [("NAME", "sdg"), ("LR_SCHEDULER", "cosin")])
def test_unknown_names_are_value_errors(key, value):
    cfg = optim_cfg(**{key: value})
    with pytest.raises(ValueError, match=value):
        build_lr_scheduler(build_optimizer(torch.nn.Linear(1, 1), cfg), cfg)
