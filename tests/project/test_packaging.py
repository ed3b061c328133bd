"""What pip installs: everything that runs, nothing that shadows, and one version number."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import craft
from craft.runs import identity
from tests.conftest import PROJECT

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli", reason="Python 3.10 has no reader of TOML")

ROOMS = ("anchors", "bundled", "configs", "datasets", "inference", "lab", "trainers")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """(wheel, sdist), built without fetching anything from the files that git would hand out."""
    copy, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(
        ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (PROJECT / name).is_file() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((PROJECT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """Runs ``python WORDS`` in an empty folder with the wheel installed and the clone out of reach."""
    place, empty = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("empty")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(place)]
    subprocess.run([*pip, str(built[0])], check=True)

    def run(*words, path=()):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *map(str, path)])}
        environment.pop("CRAFT_DASSL", None)  # where these tests run on an upstream, it is out of reach too
        return subprocess.run(
            [sys.executable, *map(str, words)], cwd=empty, env=environment, capture_output=True, text=True
        )

    run.place, run.folder = place, empty
    return run


def test_every_package_is_listed():
    """pyproject.toml names each folder with Python files: those beside craft/ are parts of it by name."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {"craft", "craft.configs"}
    for top in ("craft", *ROOMS):
        for path in (PROJECT / top).rglob("*.py"):
            parts = path.parent.relative_to(PROJECT).parts
            if "__pycache__" not in parts and parts[:2] != ("bundled", "dassl"):
                found.add(".".join(parts if top == "craft" else ("craft", *parts)))
    assert found == set(settings["packages"])
    assert settings["package-dir"] == {"craft": "craft", **{f"craft.{room}": room for room in ROOMS}}


def test_wheel_and_sdist_hold_all_that_runs(built):
    wheel, sdist = built
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {name.split("/")[0] for name in names} == {"craft", f"dassl_craft-{craft.__version__}.dist-info"}
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*"):
            if path.suffix in (".py", ".yaml", ".css", ".csv", ".html", ".tex"):
                assert f"craft/{path.relative_to(PROJECT).as_posix()}" in names
    assert "craft/demo/weights.safetensors" in names
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert {"train.py", "README.md", "LICENSE", "craft/demo/weights.safetensors", "bundled/dassl/__init__.py"} <= inside


def test_the_sdist_builds_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*pip, "--wheel-dir", str(tmp_path), str(sdist)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as theirs:
        assert set(ours.namelist()) == set(theirs.namelist())


def test_importing_from_anywhere(installed):
    code = "import craft, craft.losses, craft.mmd, craft.trainers, craft.lab; print(craft.__file__, craft.__version__)"
    told = installed("-c", code)
    place, version = told.stdout.split()
    assert Path(place).parent.parent == installed.place and version == craft.__version__, told.stderr


def test_one_version_number(installed):
    told = installed("-m", "craft", "--version")
    assert told.stdout == f"craft {craft.__version__}\n", told.stderr
    assert "version" in tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dynamic"]
    assert identity.versions()["craft"] == craft.__version__


def test_train_sweep_and_table_where_nothing_else_is(installed, tmp_path):
    """The demonstration, installed: yaml files, weights and the bundled Dassl come along; output goes below here."""
    quick = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]
    trained = installed("-m", "craft", "train", "--trainer", "CoOpCraft", *quick)
    assert trained.returncode == 0, trained.stderr
    record = json.loads((installed.folder / "output/Digits/CoOpCraft/seed1/run.json").read_text())
    assert record["versions"]["dassl"]
    assert record["identity"]["code"] == identity.code_digest()  # the same code, wherever it lies
    words = ["few_shot", "--datasets", "digits", "--trainers", "ZeroshotCLIP", "--seeds", "1", "--shots", "1"]
    swept = installed("-m", "craft", "sweep", "run", *words)
    assert swept.returncode == 0, swept.stdout + swept.stderr
    shown = installed("-m", "craft", "sweep", "show", *words).stdout
    assert shown.startswith("craft train ")
    table = installed("-m", "craft", "results", "table", "output")
    assert "ZeroshotCLIP" in table.stdout, table.stderr


def test_it_lives_beside_others_of_the_same_names(installed, tmp_path):
    """Hugging Face's ``datasets`` and a CoOp checkout's ``trainers`` in one process with ours."""
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets/__init__.py").write_text("def load_dataset(): return 'hugging face'\n")
    (tmp_path / "trainers").mkdir()
    (tmp_path / "trainers/__init__.py").write_text("")
    (tmp_path / "trainers/coop.py").write_text(
        "from dassl.engine import TRAINER_REGISTRY, TrainerX\n\n\n"
        "@TRAINER_REGISTRY.register()\nclass TheirCoOp(TrainerX):\n    pass\n"
    )
    code = (
        "import craft.trainers, craft.datasets; import datasets, trainers.coop; "
        "from dassl.engine import TRAINER_REGISTRY; craft.trainers.enter_into_dassl(); "
        "names = TRAINER_REGISTRY.registered_names(); "
        "print(datasets.load_dataset(), 'TheirCoOp' in names, 'CoOpCraft' in names, craft.trainers.__file__)"
    )
    told = installed("-c", code, path=[tmp_path])
    assert told.stdout.startswith("hugging face True True "), told.stderr
    assert told.stdout.split()[-1] == str(installed.place / "craft/trainers/__init__.py")


RENAMED = {
    "protocols": "craft sweep",
    "results": "craft results",
    "datasets": "craft data",
    "benchmarks": "craft bench",
    "trainers": "craft.trainers.describe",
}


@pytest.mark.parametrize("old, new", RENAMED.items())
def test_old_commands_answer_with_the_new_name(old, new):
    told = subprocess.run([sys.executable, "-m", old, "list"], cwd=PROJECT, capture_output=True, text=True)
    assert told.returncode == 2 and new in told.stderr


def test_the_card_keeps_its_anchor_step():
    told = subprocess.run([sys.executable, "-m", "anchors", "--help"], cwd=PROJECT, capture_output=True, text=True)
    assert told.returncode == 0 and told.stdout.startswith("usage: craft anchors")


def test_unknown_commands_and_no_command():
    def ask(*words):
        return subprocess.run([sys.executable, "-m", "craft", *words], cwd=PROJECT, capture_output=True, text=True)

    told = ask("trian")
    assert told.returncode == 2 and told.stderr == "error: unknown command 'trian'; did you mean: train?\n"
    assert ask().stdout == ask("--help").stdout and "craft sweep" in ask().stdout


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["train", "--trainer", "Help"],
        ["train", "--trainr", "CoOp"],
        ["train"],
        ["anchors", "--help"],
        ["sweep", "--help"],
        ["sweep", "list"],
        ["results", "--help"],
        ["bench", "--help"],
        ["data", "--help"],
        ["data", "list"],
        ["data", "check", "Caltech", "--root", "."],
    ],
    ids=" ".join,
)
def test_what_is_asked_before_a_run_is_answered_without_torch(words):
    """Half a second is too near to the machine's mood for a test; what costs it, importing torch, is not."""
    code = (
        "import sys; from craft.__main__ import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "slow = {'torch', 'sklearn', 'matplotlib', 'scipy'} & set(sys.modules)\n"
        "print('slow:', *sorted(slow), file=sys.stderr)"
    )
    environment = {**os.environ, "CRAFT_DASSL": "bundled"}  # an upstream brings data sets, whose names cost its import
    command = [sys.executable, "-c", code, *words]
    told = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True)
    assert told.stderr.endswith("slow:\n"), told.stderr
