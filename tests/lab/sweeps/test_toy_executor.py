"""Another way to carry out a sweep, from the class to the table: the example of the documentation."""

import json

import pytest

from craft.common.errors import UserError
from craft.lab.sweeps import command
from craft.lab.sweeps.executors import EXECUTORS, executor_named, register_executor
from craft.runs import record
from tests.examples.my_executor import InThisProcess

WORDS = ["base2new", "--trainers", "CoOpCraft", "--datasets", "digits", "--seeds", "1", "--shots", "1"]
OPTIONS = ["OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture
def in_this_process():
    register_executor("in-this-process", InThisProcess)
    yield
    del EXECUTORS["in-this-process"]


def sweep(output, executor):
    return command.main(["run", *WORDS, "--output", str(output), "--executor", executor, *OPTIONS])


def numbers(output):
    """Results and loss history of every run, by its folder."""
    found = {}
    for path in sorted(output.rglob(record.METRICS)):
        content = json.loads(path.read_text())
        found[str(path.parent.relative_to(output))] = content["results"], content["history"]
    return found


def test_a_toy_executor_gives_what_the_local_one_gives(tmp_path, in_this_process, capsys):
    assert sweep(tmp_path / "toy", "in-this-process") == 0
    assert "2 run, 0 done before, 0 failed, 0 left out" in capsys.readouterr().out
    assert sweep(tmp_path / "local", "local") == 0
    ours, local = numbers(tmp_path / "toy"), numbers(tmp_path / "local")
    assert len(ours) == 2 and ours == local
    # The other executor finds what the first has done.
    assert sweep(tmp_path / "local", "in-this-process") == 0
    assert "0 run, 2 done before" in capsys.readouterr().out


def test_executors_are_chosen_by_name(capsys):
    with pytest.raises(SystemExit):
        command.main(["run", *WORDS, "--executor", "locla"])
    assert "locla" in capsys.readouterr().err
    with pytest.raises(UserError, match="did you mean: local"):
        executor_named("locla")
    with pytest.raises(UserError, match="is taken"):
        register_executor("local", InThisProcess)
    EXECUTORS["cluster"] = "not_installed.cluster:Cluster"
    try:
        with pytest.raises(UserError, match="executor 'cluster' cannot be used: No module named 'not_installed'"):
            executor_named("cluster")
    finally:
        del EXECUTORS["cluster"]
