"""Two sweeps on one folder, a sweep that waits for another's run, and one that would be too large."""

import fcntl
import json
import os
import signal
import sys
import threading
import time

import pytest

from craft.common.errors import Terminated
from craft.lab.sweeps import command
from craft.lab.sweeps.executors import Ended, Executor, Job, local
from craft.lab.sweeps.plan import MOST, Run
from craft.lab.sweeps.runner import execute
from craft.runs import locks, record
from craft.trainers import launch


def a_run(tmp_path):
    return Run("phase", "data", 1, "CoOp", "demo", 1, tmp_path / "run", ("--seed", "1"))


@pytest.fixture
def others(tmp_path):
    """The lock of the run's folder, held as by another process; called, it lets go with the run done."""
    folder = tmp_path / "run"
    folder.mkdir()
    stream = open(folder / locks.LOCK, "a")  # noqa: SIM115 (closed below)
    fcntl.flock(stream, fcntl.LOCK_EX)

    def finish():
        (folder / record.RECORD).write_text(json.dumps({"state": "done"}))
        stream.close()

    yield finish
    stream.close()


class Late(Executor):
    """Both sweeps found the folder free; this one's process comes second, and the first is done meanwhile."""

    def __init__(self, finish):
        super().__init__(1)
        self.finish, self.submitted = finish, 0

    def submit(self, job):
        self.submitted += 1
        return job

    def poll(self, handle):
        self.finish()
        return Ended(False, "another process is running in it", busy=True)

    def cancel(self, handle):
        pass

    def close(self):
        pass


def test_a_run_that_another_sweep_was_quicker_with_is_no_failure(tmp_path, monkeypatch):
    def finish():
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / record.RECORD).write_text(json.dumps({"state": "done"}))

    executor, said = Late(finish), []
    monkeypatch.setattr("craft.lab.sweeps.runner.Check.__call__", lambda self, run, code=False: (
        "done" if record.state_of(run.folder).name == "done" else "new"
    ))  # fmt: skip
    (outcome,) = execute([a_run(tmp_path)], executor, say=said.append)
    assert outcome.result == "kept" and executor.submitted == 1 and any("waiting for it" in line for line in said)


def test_a_process_that_finds_its_folder_locked_says_so_by_its_status(tmp_path, others, capsys):
    words = ["--trainer", "CoOp", "--output-dir", str(tmp_path / "run")]
    assert launch.main(words) == locks.Busy.status == 75
    assert "another process is running" in capsys.readouterr().err


def test_each_process_has_a_console_of_its_own(tmp_path, monkeypatch):
    script = tmp_path / "python"
    script.write_text(
        f"#!{sys.executable} -S\nimport os, sys, time\nprint(sys.argv[-1], flush=True)\n"
        f"while not os.path.exists({str(tmp_path / 'end')!r}): time.sleep(0.02)\n"
        "print('end of', sys.argv[-1])\nsys.exit(75)\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(script))

    def ended(one, handle):
        deadline = time.monotonic() + 30
        while (found := one.poll(handle)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found

    with local.LocalExecutor() as first, local.LocalExecutor() as second:
        handles = [one.submit(Job((name,), tmp_path / "run")) for one, name in ((first, "a"), (second, "b"))]
        assert len({first.log(handles[0]), second.log(handles[1])}) == 2
        (tmp_path / "end").write_text("")
        for one, handle, name in zip((first, second), handles, "ab"):
            found = ended(one, handle)
            assert found.busy and not found.ok and found.log.read_text().split() == [name, "end", "of", name]
        again = first.submit(Job(("c",), tmp_path / "run"))
        assert again.console.name == local.CONSOLE and ended(first, again).log.read_text().split()[0] == "c"


@pytest.mark.parametrize(("number", "error"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_sweep_that_waits_answers_a_signal_at_once(tmp_path, others, number, error):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    timer.start()
    started = time.monotonic()
    said = []
    with pytest.raises(error):
        execute([a_run(tmp_path)], Late(lambda: None), say=said.append)
    assert time.monotonic() - started < 5 and len(said) == 1 and "waiting for it" in said[0]


# -- sizes ------------------------------------------------------------------------------------------------------------


def test_a_million_seeds_are_shown_in_seconds(capsys):
    started = time.monotonic()
    words = ["base2new", "--trainers", "CoOp", "--datasets", "digits", "--seeds", "1-1000000"]
    assert command.main(["show", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and "--seed 1 " in lines[0] and "2,000,000 runs" in lines[-1]
    for action in ("run", "status"):
        assert command.main([action, *words]) == 1
        assert f"2,000,000 runs, a sweep has at most {MOST:,}" in capsys.readouterr().err
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seeds", "3-1"], "the range 3-1 is empty; write 1-3"),
        (["--seeds", ""], "--seeds is empty"),
        (["--seeds", "1-4294967295"], "at most 1,000,000"),
        (["--seeds", "4294967296"], "from 0 to 4294967295"),
        (["--seeds", "-1"], "from 0 to 4294967295"),
        (["--shots", "2-1"], "--shots: the range 2-1 is empty"),
        (["--shots", "²"], "not a number"),
        (["--trainers", ""], "--trainers is empty"),
        (["--trainers", " , "], "--trainers is empty"),
        (["--datasets", ""], "--datasets is empty"),
        (["--phases", ""], "--phases is empty"),
        (["--gpus", "nan"], "--gpus is nan"),
        (["--gpus", "inf"], "--gpus is inf"),
        (["OPTIM.LRR", "1"], "did you mean: OPTIM.LR"),
        (["DATASET.NUM_SHOTS", "4"], "--shots says that"),
        (["TRAINER.NAME", "CoOp"], "--trainers says that"),
        (["DATASET.SUBSAMPLE_CLASSES", "all"], "--phases chooses"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_values_that_would_be_ignored(words, said, capsys):
    assert command.main(["show", "base2new", "--datasets", "digits", *words]) == 1
    assert said in capsys.readouterr().err


# -- before anything begins -------------------------------------------------------------------------------------------

SWEEP = ["run", "base2new", "--trainers", "CoOp", "--datasets", "digits", "--seeds", "1", "2"]


def test_settings_are_checked_once_before_the_first_run(tmp_path, capsys):
    for pair, said in (
        (["OPTIM.LR", "nan"], "OPTIM.LR is nan"),
        (["TRAINER.COOP.N_CTXX", "4"], "TRAINER.COOP.N_CTX"),
        (["DATASET.SOURCE_DOMAINS", "photo"], "Digits has no domains"),
    ):
        assert command.main([*SWEEP, "--output", str(tmp_path / "output"), *pair]) == 1
        found = capsys.readouterr()
        assert said in found.err and found.err.count("\n") == 1 and "starts" not in found.out
    assert not (tmp_path / "output").exists()


def test_evaluations_without_their_training_are_no_success(tmp_path, capsys):
    assert command.main([*SWEEP, "--phases", "test_new", "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "0 failed, 2 left out" in said and said.count("LEFT OUT") == 2 and "let --phases name it too" in said
