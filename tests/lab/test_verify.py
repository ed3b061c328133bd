"""`craft data verify`: real zero-shot runs on the embedded backbone, held against numbers that are invented here, as no
paper has any of a toy."""

import json

import pytest
import yaml

from craft.__main__ import main
from craft.lab.results import command as results
from craft.lab.results import published
from craft.lab.sweeps.executors import EXECUTORS, register_executor
from tests.examples.my_executor import InThisProcess
from tests.fixtures_data.trees import make_tree


@pytest.fixture(scope="module", autouse=True)
def in_this_process():
    register_executor("in-this-process", InThisProcess)
    yield
    del EXECUTORS["in-this-process"]


def verify(output, name, *words, backbone="demo"):
    words = [*words, "DATALOADER.NUM_WORKERS", "0"]
    words = ["--output", str(output), "--executor", "in-this-process", "--backbone", backbone, *words]
    return main(["data", "verify", name, *words])


def invented(folder, **values):
    """A published table, invented, that alone counts from now on."""
    folder.mkdir()
    table = {"paper": "Invented", "arxiv": "0000.00000", "table": "Table 1", "protocol": "base2new", "backbone": "demo"}
    table |= {"shots": 16, "values": {"Digits": {"ZeroshotCLIP": values}}}
    (folder / "invented.yaml").write_text(yaml.safe_dump(table))
    return folder


@pytest.fixture
def numbers(monkeypatch):
    def take(folder):
        monkeypatch.setattr(published, "FOLDER", folder)
        published.tables.cache_clear()

    yield take
    published.tables.cache_clear()


def accuracy(output, part):
    found = json.loads((output / "verify" / "digits-demo.json").read_text())
    return next(one["accuracy"] for one in found["checks"] if one["part"] == part)


def test_near_and_far_of_a_real_run(tmp_path, numbers, capsys):
    output = tmp_path / "out"
    # First nothing is known of the toy: the number is there, and no verdict.
    assert verify(output, "digits") == 2
    said = capsys.readouterr().out
    assert "all classes cannot be compared: the demonstration's backbone" in said and "FAR:" not in said
    value = accuracy(output, "all")
    assert 20 < value < 100

    numbers(invented(tmp_path / "near", accuracy=round(value + 0.9, 2)))
    assert verify(output, "Digits") == 0
    said = capsys.readouterr().out
    assert "few_shot/digits/shots_16/ZeroshotCLIP/demo/seed1  kept" in said  # it was read, not made again
    assert f"{value + 0.9:.2f}" in said and "-0.90" in said and "Invented (arXiv 0000.00000), Table 1" in said

    assert verify(output, "digits", "DATASET.TEMPLATE", "a photo of a {}.") == 2  # it would be another run
    assert "holds a run with other settings" in capsys.readouterr().err

    numbers(invented(tmp_path / "far", accuracy=round(value - 1.1, 2), base=1.0, new=1.0))
    assert verify(output, "digits") == 1
    said = capsys.readouterr().out
    assert "FAR: the data, the templates or the weights are not the published ones" in said
    assert "what usually causes it:" in said and "+1.10" in said
    found = json.loads((output / "verify" / "digits-demo.json").read_text())
    assert found["verdict"] == "far" and [one["part"] for one in found["checks"]] == ["all", "base", "new"]
    assert found["checks"][0]["facts"]["test images"] == "719 (published set: 719 of all classes)"
    assert found["usual causes"]

    # The same runs in a table say the same.
    assert results.main(["table", str(output)]) == 0
    assert "zero-shot check FAILED, all" in capsys.readouterr().out


def test_another_template_is_named_as_the_cause(tmp_path, numbers, capsys):
    numbers(invented(tmp_path / "far", new=1.0))
    assert verify(tmp_path / "out", "digits", "DATASET.TEMPLATE", "{}?") == 1
    said = capsys.readouterr().out
    assert "the record says:\n  - DATASET.TEMPLATE is '{}?', the data set's own is" in said


def test_a_miniature_is_a_subset(tmp_path, capsys):
    root = make_tree(tmp_path / "data", "Caltech101")
    assert verify(tmp_path / "out", "Caltech101", "--root", str(root)) == 2
    said = capsys.readouterr()
    assert "few_shot/caltech101/shots_16/ZeroshotCLIP/demo/seed1 failed: " in said.err
    assert "differs from the published set" in said.err
    words = ["--root", str(root), "--json", str(tmp_path / "said.json"), "DATASET.ALLOW_SUBSET", "True"]
    assert verify(tmp_path / "out", "Caltech101", *words) == 2
    assert "cannot be compared: the demonstration's backbone" in capsys.readouterr().out
    found = json.loads((tmp_path / "said.json").read_text())
    assert found["verdict"] == "cannot be compared" and found["checks"][0]["accuracy"] >= 0
    assert found["checks"][0]["published"] is None


def test_a_subset_on_a_known_backbone_is_not_compared(tmp_path, numbers, capsys):
    folder = invented(tmp_path / "numbers", base=50.0)
    table = yaml.safe_load((folder / "invented.yaml").read_text())
    table["values"] = {"Caltech101": table["values"]["Digits"]}
    (folder / "invented.yaml").write_text(yaml.safe_dump(table))
    numbers(folder)
    root = make_tree(tmp_path / "data", "Caltech101", splits=False)
    assert verify(tmp_path / "out", "caltech101", "--root", str(root), "DATASET.ALLOW_SUBSET", "True") == 2
    said = capsys.readouterr().out
    assert (
        "base classes cannot be compared: Caltech101 is not the whole published set: subset: classes 11 of 100" in said
    )
    assert " made here" in said  # the split of the facts


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["digitz"], 2, "did you mean: digits"),
        (["digits", "--rot", "x"], 2, "--rot"),
        (["digits", "SEED"], 2, "'SEED' has no partner"),
        (["digits", "--config", "nosuch"], 2, "nosuch"),
        (["--help"], 0, "is this the published data set"),
    ],
)
def test_what_cannot_be_asked_is_answered_at_once(words, status, said, capsys):
    try:
        found = main(["data", "verify", *words])
    except SystemExit as end:
        found = end.code
    told = capsys.readouterr()
    assert found == status and said.lower() in (told.out + told.err).lower()


def test_craft_data_lists_it(capsys):
    with pytest.raises(SystemExit):
        main(["data", "--help"])
    said = capsys.readouterr().out
    assert "craft data verify Caltech101" in said and "    verify " in said
