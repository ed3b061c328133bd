"""Folders of runs that an earlier version made are read as that version read them."""

import csv
import io
import json

import pytest

from craft.lab.results.collect import collect
from craft.lab.results.render import as_csv, text
from craft.lab.results.tables import build
from craft.lab.sweeps import command
from tests.conftest import PROJECT

OLD = json.loads((PROJECT / "tests/lab/fixtures/old_runs.json").read_text(encoding="utf-8"))


@pytest.fixture
def runs(tmp_path):
    for run in OLD["runs"]:
        folder = tmp_path / run["folder"]
        folder.mkdir(parents=True)
        for name in ("run.json", "metrics.json"):
            (folder / name).write_text(json.dumps(run[name]))
    return tmp_path


def test_the_table_is_the_one_it_was(runs):
    grids = build(collect(runs))
    assert text(grids).splitlines() == OLD["table"]
    old = {}
    for row in csv.DictReader(OLD["csv"]):
        if row["kind"] == "ours":
            for seed, _, value in (word.partition("=") for word in row["values"].split()):
                old[(row["method"], row["column"], seed)] = float(value)
    rows = csv.DictReader(io.StringIO(as_csv(grids)))
    assert {(row["method"], row["column"], row["seed"]): float(row["value"]) for row in rows} == old


def test_status_is_the_one_it_was_but_for_the_code(runs, capsys, monkeypatch):
    # The configurations in the fixture are cut short, so that no run of today has their settings.
    monkeypatch.setattr(command.Check, "refusal", lambda self, run: ("", ""))
    words = ["--trainers", "ZeroshotCLIP", "CoOp", "CoOpCraft", "--datasets", "digits", "--seeds", "1", "2"]
    assert command.main(["status", "base2new", *words, "--shots", "1", "--output", str(runs)]) == 0
    *lines, note = capsys.readouterr().out.splitlines()
    assert [line.replace("done*", "done").split() for line in lines] == [line.split() for line in OLD["status"]]
    assert note.startswith("* done by another version of the code")
