"""What a sweep says while it goes on: estimates checked by hand, and a terminal that shows how far a run is."""

import io
import json
import os
import pty
import subprocess
import sys
import time

import pytest

from craft.lab.sweeps import progress
from craft.lab.sweeps.plan import Run
from craft.lab.sweeps.progress import Estimate, Going, Lines, duration, status
from craft.runs import record
from tests.conftest import PROJECT


def run(folder, phase="few_shot", dataset="dtd", shots=1, trainer="CoOp"):
    return Run(phase, dataset, shots, trainer, "demo", 1, folder, ())


def recorded(folder, **content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / record.RECORD).write_text(json.dumps({"state": "started", **content}))
    return folder


def test_durations():
    texts = [duration(seconds) for seconds in (4.4, 89, 90, 12 * 60, 59.4 * 60, 3 * 3600 + 20 * 60)]
    assert texts == ["4 s", "89 s", "2 min", "12 min", "59 min", "3 h 20 min"]


def test_a_run_takes_as_long_as_those_most_like_it(tmp_path):
    estimate = Estimate([(run(tmp_path), 10.0), (run(tmp_path, shots=4), 20.0), (run(tmp_path, trainer="MaPLe"), 60.0)])
    assert estimate.of(run(tmp_path)) == 10 and estimate.of(run(tmp_path, dataset="eurosat")) == 15
    assert estimate.of(run(tmp_path, trainer="VPT")) == 30 and estimate.of(run(tmp_path, phase="ood")) == 30
    assert Estimate().of(run(tmp_path)) is None


def test_what_is_left_is_counted_by_epochs_and_by_runs(tmp_path):
    # 30 s for the epochs 3 to 5 of 20: 10 s each, 150 s more; and three runs as long as this one will have been.
    going = [Going(run(recorded(tmp_path / "a", epoch=5, epochs=20)), (), None, first=2, started=100.0)]
    assert Estimate().left([], going, 1, now=130.0) == pytest.approx(150)
    assert Estimate().left([run(tmp_path / "b")] * 3, going, 1, now=130.0) == pytest.approx(150 + 3 * 180)
    assert Estimate().left([run(tmp_path / "b")] * 3, going, 2, now=130.0) == pytest.approx((150 + 3 * 180) / 2)
    # The longest that runs cannot be shared out; nothing known, nothing said.
    assert Estimate().left([], going, 4, now=130.0) == pytest.approx(150)
    fresh = [Going(run(tmp_path / "c"), (), None, started=100.0)]
    assert Estimate().left([], fresh, 1, now=130.0) is None
    # The record of the run that this one replaces says nothing of it.
    recorded(tmp_path / "c", state="done", epoch=20, epochs=20)
    assert Estimate().left([], fresh, 1, now=130.0) is None
    assert "CoOp dtd seed1: epoch 5/20; CoOp dtd seed1: at work; about 2 min left" in status(3, 9, going + fresh, 110)


def test_no_terminal_gets_no_line_that_changes():
    stream = io.StringIO()
    lines = Lines(stream)
    lines.say("one")
    lines.show("at work")
    assert not lines.due() and stream.getvalue() == "one\n"


def test_a_terminal_shows_the_epochs_of_the_run(tmp_path):
    """A sweep of two slow runs as a person sees it: a pseudo-terminal, in which the record of the run grows."""
    program = f"""
import json, sys, time
from craft.lab.sweeps import command, progress, runner
from craft.lab.sweeps.executors import Ended, Executor, register_executor
progress.EVERY = 0.05
class Slow(Executor):
    def submit(self, job):
        job.folder.mkdir(parents=True)
        return [job, 0]
    def poll(self, handle):
        handle[1] += 1
        state = "done" if handle[1] == 12 else "started"
        content = {{"state": state, "epoch": handle[1] // 2, "epochs": 6}}
        (handle[0].folder / "run.json").write_text(json.dumps(content))
        return Ended(True) if state == "done" else None
    def log(self, handle): return handle[0].folder / "printed.txt"
    def cancel(self, handle): pass
    def close(self): pass
register_executor("slow", Slow)
sys.exit(command.main(["run", "few_shot", "--datasets", "digits", "--trainers", "CoOp", "--shots", "1",
    "--seeds", "1-2", "--output", {str(tmp_path / "out")!r}, "--executor", "slow"]))
"""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "COLUMNS": "150"}
    done = subprocess.Popen([sys.executable, "-c", program], stdout=theirs, stderr=theirs, env=environment, cwd=PROJECT)
    os.close(theirs)
    said, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            part = os.read(ours, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    assert done.wait(10) == 0, said.decode()
    text = said.decode()
    folder = tmp_path / "out/few_shot/digits/shots_1/CoOp/demo"
    assert f"few_shot/digits/shots_1/CoOp/demo/seed1  starts; log: {folder}/seed1/printed.txt\r\n" in text
    assert "\r\x1b[K0 of 2 done; CoOp digits seed1: epoch 3/6" in text
    assert "1 of 2 done; CoOp digits seed2: epoch 3/6; about" in text
    assert text.rstrip().endswith("2 run, 0 done before, 0 failed, 0 left out")
    assert progress.EVERY == 1.0
