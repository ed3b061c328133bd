"""The runner against an executor that invents how runs end, and the local executor against processes that misbehave."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from craft.common.errors import UserError
from craft.lab.sweeps.executors import Ended, Executor, Job, local
from craft.lab.sweeps.plan import Run
from craft.lab.sweeps.runner import execute
from craft.runs import record

PYTHON = sys.executable


class Scripted(Executor):
    """Runs end at the second look, as ``ends`` says by the name of their folder; else they are done."""

    def __init__(self, jobs=1, ends=None):
        super().__init__(jobs)
        self.ends, self.submitted, self.most, self.closed = ends or {}, [], 0, False
        self.living = {}

    def submit(self, job):
        end = self.ends.get(job.folder.name)
        if isinstance(end, UserError):
            raise end
        self.submitted.append(job)
        self.living[job.folder.name] = 0
        self.most = max(self.most, len(self.living))
        return job

    def poll(self, handle):
        name = handle.folder.name
        self.living[name] += 1
        if self.living[name] < 2:
            return None
        del self.living[name]
        end = self.ends.get(name, Ended(True))
        if isinstance(end, BaseException):
            raise end
        if end.ok:
            handle.folder.mkdir(parents=True, exist_ok=True)
            (handle.folder / record.RECORD).write_text(json.dumps({"state": "done"}))
        return end

    def log(self, handle):
        return handle.folder

    def cancel(self, handle):
        self.living.pop(handle.folder.name, None)

    def close(self):
        self.closed = True
        self.living.clear()


def runs(tmp_path, **needs):
    return [
        Run("phase", "data", 1, "CoOp", "demo", 1, tmp_path / name, ("--seed", "1"), need and tmp_path / need)
        for name, need in needs.items()
    ]


def test_what_is_ready_runs_and_what_fails_costs_what_needs_it(tmp_path):
    ends = {
        "b": Ended(False, "error: it is too hot"),
        "d": UserError("no machine is free"),
        "e": Ended(False, "ended by SIGKILL", killed=True),
    }
    executor, said = Scripted(jobs=2, ends=ends), []
    plan = runs(tmp_path, a=None, a2="a", b=None, b2="b", b3="b2", d=None, e=None)
    outcomes = {o.run.folder.name: o for o in execute(plan, executor, say=said.append, cores=3, gpus=0.5)}
    assert {name: outcome.result for name, outcome in outcomes.items()} == {
        "a": "done", "a2": "done", "b": "failed", "b2": "left out", "b3": "left out", "d": "failed", "e": "failed",
    }  # fmt: skip
    assert outcomes["b"].detail == "it is too hot" and outcomes["d"].detail == "no machine is free"
    ends = [line for line in said if line.startswith("[")]
    assert len(ends) == 7 and [line for line in said if line not in ends] == [  # in the order of the plan
        f"phase/data/shots_1/CoOp/demo/seed1  starts; log: {tmp_path / name}" for name in ("a", "b", "a2", "e")
    ]
    assert executor.most == 2 and executor.closed
    names = [job.folder.name for job in executor.submitted]
    assert names.index("a") < names.index("a2") and "b2" not in names
    assert executor.submitted[0] == Job(("--seed", "1"), tmp_path / "a", 3, 0.5)
    # A run that could not say so itself is recorded as failed; one that was ended from outside may go on.
    assert record.state_of(tmp_path / "b").error == "it is too hot"
    assert record.state_of(tmp_path / "e").name == "not started"


def test_a_run_that_needs_one_outside_the_plan(tmp_path):
    (left_out,) = execute(runs(tmp_path, a="elsewhere"), Scripted(), say=str)
    assert left_out.result == "left out" and "not started" in left_out.detail
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / record.RECORD).write_text(json.dumps({"state": "done"}))
    assert execute(runs(tmp_path, a="elsewhere"), Scripted(), say=str)[0].result == "done"


def test_whatever_goes_wrong_nothing_is_left_running(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    executor = Scripted(jobs=3, ends={"a": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        execute(runs(tmp_path, a=None, b=None), executor, say=str)
    assert executor.closed and not executor.living
    assert signal.getsignal(signal.SIGTERM) is before


# -- processes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def program(tmp_path, monkeypatch):
    """program(text): every run from now on is this Python program; its arguments are those of the interpreter."""

    def use(text):
        script = tmp_path / "python"
        script.write_text(f"#!{PYTHON} -S\nimport os, signal, sys, time\n{text}")
        script.chmod(0o755)
        monkeypatch.setattr(local.sys, "executable", str(script))

    return use


def finished(executor, handle, seconds=20):
    deadline = time.monotonic() + seconds
    while (ended := executor.poll(handle)) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return ended


def job(tmp_path, name="run", **more):
    return Job(("--seed", "1"), tmp_path / name, **more)


def test_a_process_gets_its_words_and_its_end_is_told(program, tmp_path):
    program("print(sys.argv[1:])")
    with local.LocalExecutor() as executor:
        ended = finished(executor, executor.submit(job(tmp_path)))
        assert ended.ok and ended.log.read_text().strip() == "['-m', 'craft', 'train', '--seed', '1']"
        program("print('error: no such thing'); sys.exit(1)")
        assert finished(executor, executor.submit(job(tmp_path))).detail == "error: no such thing"
        program("sys.exit(3)")
        assert finished(executor, executor.submit(job(tmp_path))).detail == "exit status 3"
        program("os.kill(os.getpid(), signal.SIGKILL)")
        ended = finished(executor, executor.submit(job(tmp_path)))
        assert ended.killed and ended.detail == "ended by SIGKILL, as the kernel does when memory runs out"
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="cannot start"):
            executor.submit(job(tmp_path, "file"))


def test_cores_and_gpus_are_shared_out(program, tmp_path, monkeypatch):
    program("print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('CUDA_VISIBLE_DEVICES'))")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)

    def said(executor, *jobs):
        handles = [executor.submit(one) for one in jobs]
        return [finished(executor, handle).log.read_text().split() for handle in handles]

    with local.LocalExecutor(3) as executor:
        three = [job(tmp_path, name) for name in "abc"]
        assert said(executor, *three) == [["4", "5"], ["4", "7"], ["4", "5"]]
        assert sorted(executor.free) == ["5", "5", "7"]  # given back
        assert said(executor, job(tmp_path, cores=2, gpus=0)) == [["2"]]
        with pytest.raises(UserError, match="--gpus"):
            executor.submit(job(tmp_path, gpus=2))
    with local.LocalExecutor(1) as executor:
        assert said(executor, job(tmp_path)) == [["None", "5,7"]]


def test_leaving_ends_processes_also_stubborn_ones(program, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "PATIENCE", 0.5)
    program("signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)")
    with pytest.raises(RuntimeError), local.LocalExecutor(2) as executor:
        handle = executor.submit(job(tmp_path))
        deadline = time.monotonic() + 20
        while "ready" not in handle.console.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        raise RuntimeError
    assert handle.process.returncode == -signal.SIGKILL


def test_sigterm_ends_a_sweep_and_its_processes(tmp_path):
    """As a machine that shuts down, or a scheduler, ends it."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable} -S\nimport os, time\nprint(os.getpid(), flush=True)\ntime.sleep(60)\n")
    script.chmod(0o755)
    driver = (
        "import sys; sys.executable = sys.argv.pop(1)\n"
        "from craft.lab.sweeps.command import main\nsys.exit(main(sys.argv[1:]))"
    )
    words = ["run", "few_shot", "--trainers", "CoOp", "--datasets", "digits", "--seeds", "1", "2", "--shots", "1"]
    words += ["--jobs", "2", "--output", str(tmp_path / "output")]
    home = Path(__file__).resolve().parents[3]
    sweep = subprocess.Popen([sys.executable, "-c", driver, str(script), *words], cwd=home, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(pids := [p.read_text().split() for p in tmp_path.rglob(local.CONSOLE)]) < 2 or not all(pids):
        assert time.monotonic() < deadline and sweep.poll() is None
        time.sleep(0.05)
    sweep.send_signal(signal.SIGTERM)
    _, said = sweep.communicate(timeout=30)
    assert sweep.returncode == 143 and b"run the same command again to go on" in said
    for (pid,) in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
