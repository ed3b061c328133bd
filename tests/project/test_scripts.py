"""Sweeps that are killed or meet a failure, and every bash script, on miniature data and in processes of their own."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from craft.runs import record
from tests.conftest import PROJECT
from tests.fixtures_data.trees import FOLDERS, make_tree
from tests.forkserver import serving

HOME = PROJECT
QUICK = ["DATASET.ALLOW_SUBSET", "True", "OPTIM.MAX_EPOCH", "2", "DATALOADER.TRAIN_X.BATCH_SIZE", "4"]
QUICK += ["DATALOADER.TRAIN_U.BATCH_SIZE", "4"]
SOURCED = (
    "setup.sh",
    "layout.sh",
    "types.sh",
    "docs.sh",
    "test.sh",
    "test_without.sh",
    "soak.sh",
    "audit.sh",
    "demo.sh",
    "protocol.sh",
    "one_run.sh",
)  # take no data sets or seeds

# -- sweeps ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    # A socket's path is short of 108 characters, whatever the folder of the tests.
    folder = Path("/tmp") / f"craft-fork-{os.getpid()}"
    folder.mkdir()
    try:
        with serving(folder) as stand_in:
            yield stand_in
    finally:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    names = ["Caltech101", "DescribableTextures", "ImageNet", "ImageNetA", "ImageNetR"]
    return make_tree(root, *names)


@pytest.fixture
def bash(python, tmp_path):
    """bash(script, *arguments, **environment): a finished script; its output folder is bash.output."""

    def start(script, *arguments, **more):
        environment = os.environ | {"PYTHON": str(python), "OUTPUT": str(tmp_path / "output")} | more
        command = ["bash", str(HOME / "scripts" / script), *map(str, arguments)]
        return subprocess.Popen(
            command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path
        )

    def finished(script, *arguments, status=0, **more):
        process = start(script, *arguments, **more)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == status, said
        return said

    finished.start, finished.output = start, tmp_path / "output"
    return finished


def states(output):
    return {str(p.parent.relative_to(output)): record.state_of(p.parent).name for p in output.rglob(record.RECORD)}


def table(output, protocol="base2new"):
    from craft.lab.results.collect import collect
    from craft.lab.results.render import as_json
    from craft.lab.results.tables import build

    return as_json(build(collect(output), protocol))


SWEEP = ("CoOp CoOpCraft", "caltech101 dtd", "1 2", "--backbone", "demo", "--shots", "2", *QUICK)


def test_a_killed_sweep_goes_on_and_gives_the_same_table(bash, data, tmp_path):
    whole = bash("base2new.sh", data, *SWEEP, OUTPUT=str(tmp_path / "whole"))
    assert "16 run, 0 done before, 0 failed" in whole and "base2new: 2 data sets, 2 shots, demo" in whole
    killed = bash.start("base2new.sh", data, *SWEEP)
    deadline = time.monotonic() + 200
    while sum(state == "done" for state in states(bash.output).values()) < 5:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.02)
    # kill -9 of everything at once, as a machine that goes down does.
    for child in subprocess.run(["pgrep", "-P", str(killed.pid)], capture_output=True, text=True).stdout.split():
        os.kill(int(child), signal.SIGKILL)
    killed.kill()
    for path in bash.output.rglob(record.RECORD):
        found = json.loads(path.read_text())
        if found["state"] == "started":
            with_pid = found["timing"]["sessions"][-1]["pid"]
            if record.locked(path.parent):
                os.kill(with_pid, signal.SIGKILL)
    killed.communicate()
    before = states(bash.output)
    assert 5 <= sum(state == "done" for state in before.values()) < 16
    said = bash("base2new.sh", data, *SWEEP)
    assert " done before, 0 failed" in said and "16 run" not in said
    assert set(states(bash.output).values()) == {"done"} and len(states(bash.output)) == 16
    assert table(bash.output) == table(tmp_path / "whole")


def test_a_failed_run_leaves_the_others_done_and_is_named(bash, data, tmp_path):
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / FOLDERS["DescribableTextures"]).symlink_to(data / FOLDERS["DescribableTextures"])
    shutil.copytree(data / FOLDERS["Caltech101"], damaged / FOLDERS["Caltech101"])
    split = json.loads((damaged / FOLDERS["Caltech101"] / "split_zhou_Caltech101.json").read_text())
    image = next((damaged / FOLDERS["Caltech101"]).rglob(split["test"][0][0]))
    image.write_bytes(image.read_bytes()[:200])
    sweep = ("CoOp", "caltech101 dtd", "1", "--backbone", "demo", "--shots", "2", *QUICK)
    said = bash("base2new.sh", damaged, *sweep, status=1)
    assert "FAILED base2new/train_base/caltech101/shots_2/CoOp/demo/seed1" in said and image.name in said
    log = next(line.split("log: ")[1] for line in said.splitlines() if "log: " in line)
    assert "** Config **" in Path(log).read_text()
    assert "test_new/caltech101/shots_2/CoOp/demo/seed1  left out" in said
    found = states(bash.output)
    assert found.pop("base2new/train_base/caltech101/shots_2/CoOp/demo/seed1") == "failed"
    assert found == {f"base2new/{p}/dtd/shots_2/CoOp/demo/seed1": "done" for p in ("train_base", "test_new")}
    # The table of what there is comes all the same, and says what is missing.
    assert "missing: CoOp, base: seed 1 (failed: " in said and "base2new: DescribableTextures (subset), 2 shots" in said
    # Restored, only what failed is done.
    image.write_bytes((data / image.relative_to(damaged)).read_bytes())
    assert "2 run, 2 done before, 0 failed" in bash("base2new.sh", damaged, *sweep)


def test_jobs_side_by_side_give_the_same_and_changed_settings_fail_alone(bash, python, tmp_path):
    words = [str(python), "-m", "craft", "sweep", "run", "few_shot", "--trainers", "CoOp", "--datasets", "digits"]
    words += ["--seeds", "1", "2", "--shots", "1", "--jobs", "2", "--output", str(bash.output)]

    def sweep(*more):
        return subprocess.run([*words, *more], capture_output=True, text=True, cwd=HOME, env=dict(os.environ))

    first = sweep("OPTIM.MAX_EPOCH", "1")
    assert first.returncode == 0 and "2 run, 0 done before" in first.stdout
    changed = sweep("OPTIM.MAX_EPOCH", "2")
    assert changed.returncode == 1 and "OPTIM.MAX_EPOCH: 1 there, 2 now" in changed.stdout
    again = sweep("OPTIM.MAX_EPOCH", "2", "--rerun", "all")
    assert again.returncode == 1  # trailing pairs end the options: this is a KEY without VALUE
    again = subprocess.run([*words, "--rerun", "all", "OPTIM.MAX_EPOCH", "2"], capture_output=True, text=True, cwd=HOME)
    assert again.returncode == 0 and "2 run, 0 done before" in again.stdout, again.stdout + again.stderr


# -- the scripts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "arguments", "said"),
    [
        ("few_shot.sh", ["CoOp", "dtd", "1", "--shots", "1 2"], ["few_shot: DescribableTextures", "2 shots"]),
        ("cross_dataset.sh", ["CoOpCraft", "dtd", "1", "--source", "caltech101"], ["Caltech101 (subset) (source)"]),
        ("domain_generalization.sh", ["MaPLe", "imagenet_a imagenet_r", "1"], ["ImageNetR", "average"]),
        ("ood.sh", ["CoOpCraftOOD", "imagenet_ood:a", "1"], ["ImageNetOOD-a"]),
        ("ablation.sh", ["CoOp", "digits_shift", "1"], ["+ stochastic", "+ all − host"]),
        ("group_robustness.sh", ["CoOp", "digits_groups", "1"], ["worst group"]),
    ],
)
def test_script_of_each_protocol(bash, data, script, arguments, said):
    options = [] if "--shots" in arguments else ["--shots", "2"]
    found = bash(script, data, *arguments, "--backbone", "demo", *options, *QUICK)
    assert "0 failed, 0 left out" in found
    for words in said:
        assert words in found


def test_one_run_scripts(bash, data):
    settings = {"DATA": str(data), "BACKBONE": "demo", "SHOTS": "2", "SOURCE": "caltech101"}
    one = [
        ("base2new_train.sh", "dtd", 1),
        ("base2new_test.sh", "dtd", 1),
        ("xd_train.sh", 1),
        ("xd_test.sh", "dtd", 1),
        ("few_shot.sh", "dtd", 1, 3),
    ]
    for script, *arguments in one:
        found = bash(f"craft/{script}", *arguments, *QUICK, **settings)
        assert found.startswith("python train.py ") and "* accuracy:" in found
    found = bash("craft/dg_test.sh", "imagenet_a", 1, *QUICK, **settings)
    assert "ImageNetA" in found
    found = bash("craft/ood.sh", "imagenet_ood:r", 1, *QUICK, **dict(settings, TRAINER="CoOpCraftOOD"))
    assert "mmd" in found
    bash("craft/groups.sh", "digits_groups", 1, *QUICK, **dict(settings, TRAINER="CoOp"))
    assert states(bash.output) == {
        f"{phase}/{dataset}/shots_{shots}/{trainer}/demo/seed{seed}": "done"
        for phase, dataset, shots, trainer, seed in (
            ("base2new/train_base", "dtd", 2, "CoOpCraft", 1),
            ("base2new/test_new", "dtd", 2, "CoOpCraft", 1),
            ("cross_dataset/train", "caltech101", 2, "CoOpCraft", 1),
            ("cross_dataset/test", "dtd", 2, "CoOpCraft", 1),
            ("domain_generalization/test", "imagenet_a", 2, "CoOpCraft", 1),
            ("few_shot", "dtd", 1, "CoOpCraft", 3),
            ("ood", "imagenet_ood-r", 2, "CoOpCraftOOD", 1),
            ("group_robustness", "digits_groups", 2, "CoOp", 1),
        )
    }


def test_demo_script_ends_in_a_table_and_is_done_the_second_time(bash, python, tmp_path):
    # An active environment in which everything is installed already.
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(python)
    asked_for = [(HOME / name).read_text() for name in ("requirements.txt", "pyproject.toml")]
    (tmp_path / "venv/.craft-installed-test").write_text("".join(asked_for))
    quick = ["--shots", "1", "OPTIM.MAX_EPOCH", "1"]
    first = bash("demo.sh", *quick, VIRTUAL_ENV=str(tmp_path / "venv"))
    assert "18 run, 0 done before, 0 failed" in first
    for row in ("ZeroshotCLIP", "CoOp ", "CoOpCraft ", "CoOpCraft − CoOp"):
        assert f"\n{row}" in first
    second = bash("demo.sh", *quick, VIRTUAL_ENV=str(tmp_path / "venv"))
    assert "0 run, 18 done before, 0 failed" in second
    assert first.partition("base2new: Digits")[2] == second.partition("base2new: Digits")[2]


@pytest.mark.parametrize(
    "script",
    [p.relative_to(HOME / "scripts") for p in sorted((HOME / "scripts").rglob("*.sh")) if p.name not in SOURCED],
)
def test_called_wrongly_a_script_says_how(bash, script):
    said = bash(script, status=2)
    assert "usage:" in said and script.name in said and len(said.splitlines()) >= 2
