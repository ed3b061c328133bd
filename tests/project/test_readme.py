"""README has the code's table of structures and the measured numbers, and the page on speed the measured table."""

import re

from craft.common.files import read_json
from craft.lab.bench.markdown import table as speed_table
from craft.trainers.describe import table
from tests.conftest import PROJECT

README = (PROJECT / "README.md").read_text()
SPEED = (PROJECT / "docs" / "speed.md").read_text()
EVIDENCE = (PROJECT / "docs" / "evidence.md").read_text()


def test_table_of_structures_is_the_codes():
    assert table() in README


def test_speed_table_is_the_measured_one():
    document = read_json(PROJECT / "docs" / "benchmarks.json")
    assert speed_table(document) in SPEED
    facts = document["facts"]
    assert f"{facts['processor']}, {facts['threads']} threads" in " ".join(SPEED.split())


def test_first_commands_are_demo_and_test():
    first = [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("    ")][:2]
    assert first == ["bash scripts/demo.sh", "bash scripts/test.sh"]


def test_numbers_of_the_demonstration_are_those_of_the_evidence():
    numbers = re.findall(r"\d+\.\d+ ± \d+\.\d+|[+−]\d+\.\d+", README)
    assert len(numbers) >= 5
    assert all(number in EVIDENCE for number in numbers), numbers
