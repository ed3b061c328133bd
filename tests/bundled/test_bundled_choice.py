"""Which Dassl `import bundled` puts behind `import dassl`, decided in fresh interpreters."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from craft import bundled
from tests.conftest import PROJECT

upstream_only = pytest.mark.skipif(bundled.WHICH != "upstream", reason="upstream Dassl is not installed")


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


SAY = "import bundled, dassl; print(bundled.WHICH, bundled.VERSION == dassl.__version__, dassl.__file__)"


def test_bundled_can_be_forced(broken_dassl):
    run = fresh(SAY, "bundled", broken_dassl)
    which, same, file = run.stdout.split()
    assert (which, same) == ("bundled", "True")
    assert Path(file).parent == PROJECT / "bundled" / "dassl"


def test_an_upstream_that_cannot_be_imported_is_passed_over_with_a_warning(broken_dassl):
    run = fresh(SAY, "", broken_dassl)
    assert run.stdout.split()[0] == "bundled", run.stderr
    assert str(broken_dassl) in run.stderr


def test_insisting_on_an_upstream_that_cannot_be_imported_fails(broken_dassl):
    run = fresh(SAY, "upstream", broken_dassl)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "UserError" in last and str(broken_dassl) in last


def test_a_folder_called_dassl_is_not_taken_for_the_package(tmp_path):
    (tmp_path / "dassl").mkdir()
    run = fresh("import bundled; print(bundled._find_upstream())", "bundled", tmp_path)
    assert str(tmp_path) not in run.stdout and not run.stderr


def test_a_misspelt_wish_is_named():
    run = fresh(SAY, "upstraem")
    assert run.returncode != 0 and "CRAFT_DASSL='upstraem'" in run.stderr


def test_a_worker_process_decides_as_its_parent_did():
    """A spawned worker starts with its parent's sys.path, in which our folder may already stand in front."""
    run = fresh("import bundled; print(bundled.WHICH)", os.environ.get("CRAFT_DASSL", ""), os.pathsep.join(sys.path))
    assert run.stdout.strip() == bundled.WHICH, run.stderr


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
