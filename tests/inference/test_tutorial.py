"""The tutorial, followed to the letter: every command and every line of Python in it, in an empty folder."""

import csv
import re
import shlex
import subprocess
import sys

import pytest

from craft.__main__ import main as craft
from craft.demo import images
from tests.conftest import PROJECT

TEXT = (PROJECT / "docs/tutorial.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder in which its commands were run, one after the other."""
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                words = shlex.split(line)
                if words[0] == "craft":
                    assert craft(words[1:]) == 0, line
                else:
                    assert words[:3] == ["python", "-m", "craft.demo.images"] and images.main(words[3:]) == 0, line
    return folder


def test_it_has_five_commands():
    assert [words.split()[1] for words in re.findall(r"^craft .*", TEXT, re.MULTILINE)] == [
        "data", "train", "results", "predict", "export"
    ]  # fmt: skip


def test_every_command_leaves_what_it_says(followed):
    assert (followed / "my_run/run.json").is_file() and (followed / "mistakes.png").stat().st_size > 1000
    rows = list(csv.DictReader((followed / "answers.csv").open()))
    first = [row for row in rows if row["rank"] == "1"]
    assert len(first) == 80
    right = [row["class"] == row["image"].split("/")[1] for row in first]
    assert sum(right) > 40, "far more than one in ten"


def test_the_exported_folder_works(followed):
    photo = next((followed / "my_images/three").glob("*.png"))
    command = [sys.executable, "-I", "classify.py", "classifier.safetensors", str(photo)]
    said = subprocess.run(command, cwd=followed / "my_classifier", capture_output=True, text=True, check=True).stdout
    expected = {row["class"] for row in csv.DictReader((followed / "answers.csv").open()) if photo.name in row["image"]}
    assert {line.split("\t")[1] for line in said.splitlines()} == expected


def test_its_python_runs(followed, monkeypatch, capsys):
    monkeypatch.chdir(followed)
    (block,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    exec(compile(block, "tutorial.md", "exec"), {})
    assert len(re.findall(r"'\w+'", capsys.readouterr().out)) == 5
    assert (followed / "my_model/run.json").is_file()
