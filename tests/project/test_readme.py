"""What README says is what the code does: the table of structures, and that its commands are valid."""

import re
import shlex

import pytest

from craft.common.files import read_json
from craft.config.commandline import parser
from craft.lab.bench.markdown import table as speed_table
from craft.trainers.describe import table
from craft.trainers.settings import setup_cfg
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()


def commands():
    """Every train.py command of README, continuation lines joined, comments dropped."""
    joined = README.replace("\\\n", " ")
    for line in joined.splitlines():
        if line.startswith("    python train.py"):
            yield shlex.split(line.replace("$DATA", "/data"), comments=True)[2:]


@pytest.mark.parametrize("argv", list(commands()), ids=" ".join)
def test_commands_are_valid(argv):
    options = parser("").parse_args(argv)
    if options.trainer != "Help":
        setup_cfg(options)


def test_readme_has_commands():
    assert len(list(commands())) >= 5


def test_table_of_structures_is_the_codes():
    assert table() in README


def test_speed_table_is_the_measured_one():
    document = read_json(PROJECT / "docs" / "benchmarks.json")
    assert speed_table(document) in README
    facts = document["facts"]
    assert f"{facts['processor']}, {facts['threads']} threads" in " ".join(README.split())


def test_first_commands_are_demo_and_test():
    first = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("    ")][:2]
    assert first == ["bash scripts/demo.sh", "bash scripts/test.sh"]


def test_every_relative_link_leads_somewhere():
    for name in ("README.md", "DATASETS.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", (PROJECT / name).read_text()):
            assert (PROJECT / target).exists(), (name, target)
