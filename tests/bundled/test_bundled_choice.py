"""Which Dassl `craft.bundled` puts behind `import dassl`, and when, decided in fresh interpreters."""

import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from craft import bundled
from tests.conftest import PROJECT

upstream_only = pytest.mark.skipif(bundled.which() != "upstream", reason="upstream Dassl is not installed")


def fresh(code, wish="", path=""):
    """Run ``code`` in a new interpreter with CRAFT_DASSL and PYTHONPATH set."""
    environment = {**os.environ, "CRAFT_DASSL": wish, "PYTHONPATH": f"{PROJECT}{os.pathsep}{path}"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def broken_dassl(tmp_path):
    """A folder with a package called dassl in which nothing but the version is left."""
    (tmp_path / "dassl").mkdir()
    (tmp_path / "dassl" / "__init__.py").write_text('__version__ = "9.9"\n')
    return tmp_path


@pytest.fixture(scope="module")
def whole_dassl(tmp_path_factory):
    """A folder with a package called dassl that is not the bundled one, but has all that the mending touches."""
    folder = tmp_path_factory.mktemp("site")
    package = shutil.copytree(bundled.HERE / "dassl", folder / "dassl", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text('__version__ = "9.9"\n')
    (package / "data" / "transforms" / "autoaugment.py").write_text("import numpy as np\n")
    return folder


SAY = (
    "from craft import bundled; from dassl.utils import Registry; import dassl; "
    "print(bundled.which(), bundled.version() == dassl.__version__, dassl.__file__)"
)
SAY_DASSL_FIRST = f"import dassl; {SAY}"
# Where the mending came through, upstream reads checkpoints with our function.
SAY_MENDED = "import dassl.utils; print(dassl.__version__, dassl.utils.load_checkpoint.__module__)"
MENDED = ["9.9", "craft.bundled.dassl.utils.checkpoints"]


def test_bundled_can_be_forced(broken_dassl):
    run = fresh(SAY, "bundled", broken_dassl)
    which, same, file = run.stdout.split()
    assert (which, same) == ("bundled", "True")
    assert Path(file).parent == PROJECT / "bundled" / "dassl"


@pytest.mark.parametrize("say", [SAY, SAY_DASSL_FIRST])
def test_an_upstream_that_cannot_be_imported_is_passed_over_with_a_warning(broken_dassl, say):
    run = fresh(say, "", broken_dassl)
    which, same, file = run.stdout.split()
    assert (which, same) == ("bundled", "True"), run.stderr
    assert Path(file).parent == PROJECT / "bundled" / "dassl"
    assert str(broken_dassl) in run.stderr


def test_insisting_on_an_upstream_that_cannot_be_imported_fails(broken_dassl):
    run = fresh(SAY, "upstream", broken_dassl)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "UserError" in last and str(broken_dassl) in last


def test_a_folder_called_dassl_is_not_taken_for_the_package(tmp_path):
    (tmp_path / "dassl").mkdir()
    run = fresh(SAY_DASSL_FIRST, "", tmp_path)
    assert len(run.stdout.split()) == 3 and str(tmp_path) not in run.stdout and not run.stderr


def test_a_misspelt_wish_is_named():
    run = fresh(SAY, "upstraem")
    assert run.returncode != 0 and "CRAFT_DASSL='upstraem'" in run.stderr


def test_a_misspelt_wish_is_one_line_of_a_command():
    environment = {**os.environ, "CRAFT_DASSL": "upstraem"}
    command = [sys.executable, PROJECT / "train.py", "--trainer", "CoOpCraft"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 1
    assert run.stderr.startswith("error: CRAFT_DASSL is 'upstraem'") and len(run.stderr.splitlines()) == 1


@pytest.mark.skipif(bundled.which() == "upstream", reason="upstream Dassl is installed")
def test_insisting_on_an_upstream_that_is_not_there_fails():
    run = fresh(SAY, "upstream")
    assert run.returncode != 0 and "no Dassl is installed" in run.stderr.strip().splitlines()[-1]


def test_nothing_is_loaded_before_dassl_is_imported(whole_dassl):
    code = "import sys, craft.bundled; print({'torch', 'numpy', 'dassl'} & set(sys.modules)); " + SAY_MENDED
    # Whoever asks for its source or its files finds upstream's own loader.
    run = fresh(code + "; import inspect; print(inspect.getsource(dassl).strip())", "", whole_dassl)
    assert run.stdout.splitlines() == ["set()", " ".join(MENDED), '__version__ = "9.9"'], run.stderr


def test_an_upstream_that_was_imported_before_is_mended(whole_dassl):
    run = fresh("import dassl.engine, craft.bundled; " + SAY_MENDED, "", whole_dassl)
    assert run.stdout.split() == MENDED, run.stderr


def test_an_upstream_that_was_imported_before_is_not_thrown_out_for_ours(whole_dassl):
    run = fresh("import dassl, craft.bundled", "bundled", whole_dassl)
    last = run.stderr.strip().splitlines()[-1]
    assert run.returncode != 0 and "UserError" in last and str(whole_dassl) in last


def test_nothing_but_dassl_can_be_imported_from_the_folder_on_the_path():
    assert [module.name for module in pkgutil.iter_modules([str(bundled.HERE)])] == ["dassl"]


def test_no_room_needs_an_import_before_it():
    """Each of these is the first import of a process, and all get the same dassl."""
    rooms = ("anchors.static", "datasets.images", "datasets.templates", "lab.bench.loading", "trainers.settings")
    rooms += ("lab.results.figures.models", "trainers.engine.craft_trainer")
    code = (
        "import importlib, os, torchvision\n"  # the slow part, once
        f"for room in {rooms}:\n"
        "    if os.fork() == 0:\n"
        "        importlib.import_module(f'craft.{room}')\n"
        "        import dassl\n"
        "        print(dassl.__file__, flush=True)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    run = fresh(code, "bundled")
    assert run.stdout.split() == [str(bundled.HERE / "dassl" / "__init__.py")] * len(rooms), run.stderr


def test_a_worker_process_decides_as_its_parent_did():
    """A spawned worker starts with its parent's sys.path, in which our folder may already stand in front."""
    code, wish = "from craft import bundled; print(bundled.which())", os.environ.get("CRAFT_DASSL", "")
    run = fresh(code, wish, os.pathsep.join(sys.path))
    assert run.stdout.strip() == bundled.which(), run.stderr


def test_workers_that_are_not_forked_find_dassl(tmp_path):
    """They unpickle dassl's DatasetWrapper before anything of theirs could have imported `craft`."""
    code = f"""
import craft.bundled
from dassl.config import get_cfg_default
from dassl.data import DatasetWrapper
from dassl.data.datasets import Datum
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import ToTensor

path = {str(tmp_path / "image.png")!r}
Image.new("RGB", (4, 3), (255, 0, 0)).save(path)
data = DatasetWrapper(get_cfg_default(), [Datum(impath=path, label=7)], transform=ToTensor())
batch = next(iter(DataLoader(data, num_workers=1, multiprocessing_context="spawn")))
print(batch["label"].item(), tuple(batch["img"].shape), batch["img"].mean(dim=(0, 2, 3)).tolist())
"""
    run = fresh(code, "bundled")
    assert run.stdout.splitlines() == ["7 (1, 3, 3, 4) [1.0, 0.0, 0.0]"], run.stderr


@upstream_only
def test_upstream_is_used_where_it_is_installed():
    import dassl

    assert bundled.HERE not in Path(dassl.__file__).resolve().parents


@upstream_only
def test_stand_ins_do_not_pretend_to_other_libraries():
    optional = ("wilds", "pandas", "gdown", "tabulate", "torch.utils.tensorboard")
    assert all(sys.modules[name].__file__ for name in optional if name in sys.modules)


@upstream_only
def test_upstreams_own_data_sets_and_transforms_are_mended():
    from dassl.data.datasets import DATASET_REGISTRY
    from dassl.data.transforms.autoaugment import ImageNetPolicy
    from PIL import Image

    assert "PACS" in DATASET_REGISTRY.registered_names()
    for _ in range(30):  # every policy is built with the integer type that NumPy dropped
        assert ImageNetPolicy()(Image.new("RGB", (8, 8))).size == (8, 8)
