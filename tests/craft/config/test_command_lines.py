"""Malformed command lines, yaml files and records, some hundreds of them: one line that names the culprit, always.

`python -m tests.soak.command_lines --count 2000` tries more.
"""

from collections import Counter

import pytest

from tests.soak import command_lines


@pytest.mark.timeout(300)
def test_no_malformed_command_line_ends_in_a_traceback(monkeypatch):
    monkeypatch.delenv("CRAFT_TRACEBACK", raising=False)
    counts = Counter()
    wrong = command_lines.run(300, counts=counts)
    assert not wrong, "\n".join(f"{case.argv}: {problem}" for case, problem in wrong[:5])
    assert sum(counts.values()) == 300 and {kind for kind, _ in counts} >= set(command_lines.KINDS)


def test_a_command_that_answers_wrongly_is_noticed(tmp_path, monkeypatch):
    """The oracle itself: a traceback, a wrong value that is accepted, and a line that names something else."""

    def answers(case, error=None, said=""):
        def main(argv):
            print(said, file=__import__("sys").stderr)
            if error:
                raise error
            return 1 if said else 0

        monkeypatch.setattr(command_lines, "main", main)
        return command_lines.tried(case, tmp_path)

    case = command_lines.Case("value", ["train", "OPTIM.LR", "x"], "OPTIM.LR")
    assert answers(case, ValueError("x")).startswith("traceback")
    assert answers(case) == "it was accepted"
    assert "not named" in answers(case, said="error: something is wrong")
    assert "not one line" in answers(case, said="error: OPTIM.LR\nmore")
    assert answers(case, said="error: OPTIM.LR is wrong") == ""
