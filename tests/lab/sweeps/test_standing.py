"""`status` and `run` of a sweep say the same of what is there."""

import json

import pytest

from craft.lab.sweeps import command
from craft.lab.sweeps.executors import EXECUTORS, register_executor
from craft.runs import record
from tests.examples.my_executor import InThisProcess
from tests.runs import QUICK

WORDS = ["few_shot", "--trainers", "ZeroshotCLIP", "--datasets", "digits", "--seeds", "1", "--shots", "1"]


@pytest.fixture
def sweep(tmp_path, monkeypatch, capfd):
    def go(action, *more):
        status = command.main([action, *WORDS, "--output", str(tmp_path), *more, *map(str, QUICK[2:])])
        return status, "".join(capfd.readouterr())

    return go


def test_status_says_what_run_will_refuse_and_how_to_go_on(sweep, tmp_path):
    assert sweep("run")[0] == 0
    (place,) = tmp_path.rglob(record.RECORD)
    assert "done" in sweep("status")[1] and "1 done before" in sweep("run")[1]
    found = json.loads(place.read_text())
    del found["sha256"]  # as somebody edits it who takes the seal off
    for changed, said in (
        (found | {"split": found["split"] | {"test": 1}}, "test 1 there, 719 now"),
        (found | {"config": found["config"] | {"SEED": 5}}, "SEED: 5 there, 1 now"),
    ):
        place.write_text(json.dumps(changed))
        shown, (failed, refused) = sweep("status")[1], sweep("run")
        assert failed == 1 and "OTHER" in shown
        for text in (shown, refused):
            assert said in text and "--rerun all" in text and "--force" not in text
    assert sweep("run", "--rerun", "all")[0] == 0
    assert "OTHER" not in sweep("status")[1]


def test_a_damaged_record_does_not_hide_the_others(sweep, tmp_path):
    assert sweep("run")[0] == 0
    (place,) = tmp_path.rglob(record.RECORD)
    place.write_text('{"state": "do')
    status, shown = sweep("status")
    assert status == 0 and "FAILED" in shown and record.RECORD in shown


def test_prompts_of_another_training_than_the_plans_are_not_evaluated(tmp_path, capfd):
    """The training is no part of the plan, so that nobody else compares it."""

    def sweep(*words, rate=0.002):
        words = [*words, "--trainers", "CoOp", "--datasets", "digits", "--seeds", "1", "--shots", "1"]
        words += ["--executor", "in-this-process", "--output", str(tmp_path), *map(str, QUICK[2:])]
        status = command.main(["run", "base2new", *words, "OPTIM.LR", str(rate)])
        return status, "".join(capfd.readouterr())

    register_executor("in-this-process", InThisProcess)
    try:
        status, said = sweep("--phases", "test_new")
        assert status == 1 and "which is not started" in said  # nothing was evaluated: that is no success
        assert sweep("--phases", "train_base")[0] == 0
        status, said = sweep("--phases", "test_new", rate=0.5)
        assert status == 1 and "1 left out" in said and "OPTIM.LR: 0.002 there, 0.5 now" in said
        assert "were learned with other settings" in said
        assert sweep("--phases", "test_new")[0] == 0
        status, said = sweep("--phases", "test_new", rate=0.5)
        assert status == 1 and "were learned with other settings" in said
    finally:
        del EXECUTORS["in-this-process"]
