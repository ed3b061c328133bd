"""A record with any of its fields missing or of another kind: what reads it names the file, or goes on."""

import copy
import itertools
import json
from pathlib import Path

import pytest

from craft.common.errors import UserError
from craft.runs import record, shape
from tests.soak.command_lines import BASE, FULL, Case, a_record, harmless, tried

TAKEN_OUT = object()
KINDS = [TAKEN_OUT, None, [], "x", 3, {}, True, -1.5, float("nan")]
RUN = ["--output-dir", "{dir}/run", "DATASET.NUM_SHOTS", "16"]
COMMANDS = [
    ["train", *FULL, *RUN],
    ["train", *FULL, "--output-dir", "{out}", "--resume", "{dir}/run", "DATASET.NUM_SHOTS", "16"],
    [*BASE, "--eval-only", "--model-dir", "{dir}/run"],
    ["results", "table", "{dir}"],
]


def changed(found: dict, field: str, value: object) -> dict:
    found = copy.deepcopy(found)
    *path, last = field.split(".")
    node = found
    for part in path:
        node[part] = node.get(part) or {}
        node = node[part]
    if value is TAKEN_OUT:
        node.pop(last, None)
    else:
        node[last] = value
    return found


def fields() -> list[str]:
    """Those that the shape names, all others at the top, and some below."""
    more = ["config.OPTIM", "config.TEST.NO_TEST", "identity.config", "split.digest", "evaluated.by", "evaluated.epoch"]
    return [*shape.FIELDS, *(name for name in a_record() if name not in shape.FIELDS), *more]


@pytest.mark.timeout(300)
def test_whatever_is_wrong_with_a_record(tmp_path):
    """Every field with every kind of value; the state of the run and the command that meets it change in turn."""
    command, wrong = itertools.cycle(COMMANDS), []
    with harmless():
        for number, (field, value) in enumerate(itertools.product(fields(), KINDS)):
            state = ("done", "started", "started")[number % 3]
            found = changed(a_record() | {"state": state}, field, value)
            files = {"run/run.json": json.dumps(found), "run/state.pth.tar": "", "run/metrics.json": "{}"}
            folder = tmp_path / str(number)
            folder.mkdir()
            if number % 9 == 0:
                next(command)  # or a field's kinds would always meet the same commands
            problem = tried(Case("record", next(command), wrong=False, files=files), folder)
            wrong += [f"{field} = {value!r} ({state}): {problem}"] if problem else []
    assert not wrong, "\n".join(wrong[:5])


@pytest.mark.parametrize(
    ("field", "value"), [("timing.seconds", "x"), ("config.SEED", True), ("state", "over"), ("epoch", 1.5)]
)
def test_the_field_is_named(field, value):
    with pytest.raises(UserError, match=rf"run\.json is not a run's record: its {field} is ") as refused:
        shape.check(changed(a_record(), field, value), Path("run.json"))
    assert "restore it" in str(refused.value)


def test_what_has_to_be_there_is_named():
    for field in shape.ALWAYS:
        with pytest.raises(UserError, match=rf"it has no {field}"):
            shape.check(changed(a_record(), field, TAKEN_OUT), Path("run.json"))


def test_records_of_runs_that_did_not_begin(tmp_path):
    record.mark_failed(tmp_path, "no memory", ["train.py"])
    assert record.state_of(tmp_path).error == "no memory"
    assert shape.check(a_record(), Path("run.json")) == a_record()
