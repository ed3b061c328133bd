"""The harness tells wrong outcomes from right ones: each kind of wrong one is made on purpose."""

import json
import os
import time

import pytest

from craft.common.errors import UserError
from craft.common.switches import OPTIMISATIONS
from tests.conftest import PROJECT
from tests.soak import __main__ as soak
from tests.soak import fuzz, report
from tests.soak.children import Child, full_at, full_beyond, kill_at
from tests.soak.readers import Reader
from tests.soak.tally import Tally


def writes(folder):
    def work():
        for number in range(5):
            (folder / f"{number}.txt").write_bytes(b"x" * 1000)
        return 0

    return work


def raises(error):
    def work():
        raise error

    return work


def refuses():
    import sys

    print("error: no such thing", file=sys.stderr)
    return 1


def test_outcomes(tmp_path):
    def outcome(work, same=True):
        return Child(work).wait(limit=1).outcome(lambda: same)

    assert outcome(writes(tmp_path)) == "same"
    assert outcome(writes(tmp_path), same=False) == "other numbers"
    assert outcome(refuses) == "refused"
    assert outcome(raises(ValueError("x"))) == "traceback"
    assert outcome(lambda: os.abort()) == "status -6"
    assert outcome(lambda: time.sleep(30)) == "hung"
    assert outcome(lambda: 1) == "status 1"  # without a word


@pytest.mark.parametrize("before, left, status", [(kill_at, 2, -9), (full_at, 2, 1)])
def test_what_happens_at_an_operation(before, left, status, tmp_path):
    ended = Child(writes(tmp_path), before(left + 1, tmp_path)).wait()
    assert ended.status == status and len(list(tmp_path.iterdir())) == left
    assert ("No space left" in ended.output) == (status == 1)


def test_no_file_beyond_a_size(tmp_path):
    assert Child(writes(tmp_path), full_beyond(999)).wait().status == 1
    assert Child(writes(tmp_path), full_beyond(1000)).wait().status == 0


def test_readers_that_fail_are_found(monkeypatch):
    """One that crashes on an input, one that raises what it should not, and one that takes or refuses anything."""

    def crashes(path, into):
        if path.read_bytes()[:1] != b"a":
            os.abort()

    def fails(path, into):
        raise KeyError("x")

    def refuses(path, into):
        raise UserError("no")

    found = [Reader(name, "", [b"abc"], read) for name, read in zip(("a", "b", "c"), (crashes, fails, refuses))]
    monkeypatch.setattr(fuzz, "readers", lambda: found)
    tally = fuzz.run(60, 1)
    assert tally.trials == 60
    assert set(tally.counts["a"]) == {"read", "crash"} and set(tally.counts["b"]) == {"KeyError"}
    assert tally.counts["c"] == {"refused": 20}
    assert tally.wrong == 20 + tally.counts["a"]["crash"]


def test_inputs_come_again():
    reader = Reader("r", "", [b"abcdef" * 10], lambda path, into: None)
    inputs = [fuzz.make_input(reader, number) for number in range(50)]
    assert inputs == [fuzz.make_input(reader, number) for number in range(50)]
    assert len(set(inputs)) > 40 and reader.samples[0] not in inputs[:1]


def tally(part, **outcomes):
    made = Tally(part, 10)
    for name, number in outcomes.items():
        for _ in range(number):
            made.add("kind", name.replace("_", " "), "how")
    return part, made.as_json()


def test_status_counts_and_table(monkeypatch, tmp_path, capsys):
    pieces = [tally("kills", same=3), tally("kills", same=2, refused=1)]
    monkeypatch.setattr(soak, "_side_by_side", lambda plan, jobs: pieces)
    monkeypatch.setattr(soak.children, "warm", lambda: None)
    assert soak.main(["--short", "--json", str(tmp_path / "soak.json")]) == 0
    pieces.append(tally("fuzz", other_numbers=1, read=1))
    assert soak.main(["--short", "--json", str(tmp_path / "soak.json")]) == 1
    assert "wrong, fuzz: kind: other numbers: how" in capsys.readouterr().out
    record = json.loads((tmp_path / "soak.json").read_text())
    assert record["parts"]["kills"]["kinds"] == {"kind": {"same": 5, "refused": 1}}
    page = report.fill(f"a\n{report.BEGIN}\nold\n{report.END}\nb\n", record)
    assert "old" not in page and page.startswith("a\n") and page.endswith("b\n")
    assert "| all |  | 8 | 5 | 1 | 1 | 0 | 1 |" in page
    assert report.fill(page, record) == page


def test_the_page_holds_the_last_counts_and_all_switches():
    page = report.PAGE.read_text(encoding="utf-8")
    for name, instead in OPTIMISATIONS.items():
        assert f"| `{name}` | " in page and instead
    counts = PROJECT / "docs" / "soak.json"
    assert report.fill(page, json.loads(counts.read_text(encoding="utf-8"))) == page
