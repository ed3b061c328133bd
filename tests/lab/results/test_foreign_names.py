"""Folders whose names are not UTF-8, as another system wrote them, lie among others: their runs are shown like any."""

import json
import os

import pytest

from craft.common.files import read_json, write_json
from craft.lab.results.command import main
from tests.soak.command_lines import a_record


@pytest.fixture
def output(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9") / "seed1"
    try:
        folder.mkdir(parents=True)
    except OSError:
        pytest.skip("this file system has no such names")
    (folder / "run.json").write_text(json.dumps(a_record()))
    (folder / "metrics.json").write_text(json.dumps({"results": {"test": {"accuracy": 50.0}}}))
    return tmp_path


@pytest.mark.parametrize("words", [["table"], ["table", "--format", "csv"], ["report", "--no-figures"]])
def test_runs_below_them_are_shown(output, words, capsys):
    more = ["--write", str(output / "tables")] if words == ["table"] else []
    assert main([words[0], str(output), *words[1:], *more]) == 0, capsys.readouterr().err
    said = capsys.readouterr()
    assert "Traceback" not in said.err and said.out
    assert words[0] != "report" or "50" in (output / "report.html").read_text()
    if more:
        assert "50" in (output / "tables" / "results.csv").read_text() and read_json(output / "tables" / "results.json")


def test_such_a_name_comes_back_from_json(tmp_path):
    value = {"path": os.fsdecode(b"caf\xe9"), "é": "ü"}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value and "é" in (tmp_path / "a.json").read_text(encoding="utf-8")
