"""A prompt structure that lives outside the repository: one file, named on the command line."""

import json
import subprocess
import sys

import pytest

from craft.common import places
from craft.common.errors import UserError
from craft.trainers import structures
from craft.trainers.launch import main
from tests.conftest import PROJECT

# The file of docs/extending.md, which a test there compares with this one.
MINE = (PROJECT / "tests" / "examples" / "my_structure.py").read_text()
QUICK = ["OPTIM.MAX_EPOCH", "2", "DATASET.NUM_SHOTS", "2", "DATALOADER.NUM_WORKERS", "0"]


def test_it_trains_with_and_without_craft_and_is_evaluated(tmp_path):
    """In a process of its own, in a folder that is not the repository's."""
    (tmp_path / "my_structure.py").write_text(MINE)

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "craft", "train", "--import", "my_structure.py", *words],
            cwd=tmp_path,
            env=places.environment(),
            capture_output=True,
            text=True,
        )

    told = run("--trainer", "Help")
    assert "MineCraftOOD" in told.stdout, told.stderr
    for trainer in ("Mine", "MineCraft"):
        done = run("--trainer", trainer, "--output-dir", trainer, "TRAINER.MINE.TOKENS", "3", *QUICK)
        assert done.returncode == 0, done.stderr
        found = json.loads((tmp_path / trainer / "metrics.json").read_text())
        assert found["parameters"] == 3 * 128 and ("stochastic" in found["history"][0]) == (trainer == "MineCraft")
    record = json.loads((tmp_path / "MineCraft" / "run.json").read_text())
    assert len(record["versions"]["import my_structure.py"]) == 12
    new = ["--eval-only", "--model-dir", "MineCraft", "--output-dir", "new", "TRAINER.MINE.TOKENS", "3"]
    evaluated = run("--trainer", "MineCraft", *new, *QUICK, "DATASET.SUBSAMPLE_CLASSES", "new")
    assert evaluated.returncode == 0 and "* accuracy:" in evaluated.stdout, evaluated.stderr


@pytest.mark.parametrize(
    "text, message",
    [
        (None, "no such file"),
        ("1 +", "SyntaxError"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("raise RuntimeError('no')", "RuntimeError: no"),
    ],
)
def test_a_file_that_cannot_be_imported_is_named(text, message, tmp_path, capsys):
    path = tmp_path / f"broken_{abs(hash(text))}.py"
    if text is not None:
        path.write_text(text)
    assert main(["--import", str(path), "--trainer", "Help"]) == 1
    said = capsys.readouterr().err
    assert str(path) in said and message in said and len(said.splitlines()) == 1


def test_a_file_named_as_a_module_that_is_known(tmp_path, capsys):
    (tmp_path / "json.py").write_text("")
    assert main(["--import", str(tmp_path / "json.py"), "--trainer", "Help"]) == 1
    assert "rename the file" in capsys.readouterr().err


def test_names_and_nodes_are_taken_once():
    with pytest.raises(UserError, match="the name CoOp is taken"):
        structures.register(structures.Structure("CoOp", "nowhere:Nothing", node="OTHER"))
    with pytest.raises(UserError, match="the config node COOP is taken"):
        structures.register(structures.Structure("Other", "nowhere:Nothing", node="COOP"))
    with pytest.raises(UserError, match="cannot import nowhere:Nothing"):
        structures.Structure("Other", "nowhere:Nothing", node="OTHER").load()
