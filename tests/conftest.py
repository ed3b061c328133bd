"""Shared by all tests: `import dassl` works, caches go to a folder of the test session, no thread storms."""

import os
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import craft.bundled  # noqa: E402,F401  (makes `import dassl` work)
from craft.common import offline  # noqa: E402

offline.forbid(loopback=True)  # no test reaches another machine; the tests' own servers are on this one


@pytest.fixture
def without(monkeypatch):
    """``without("packing", …)``: within the test these optimisations are switched off."""
    from craft.clip.products import onednn_is_faster

    def switch(*names):
        monkeypatch.setenv("CRAFT_WITHOUT", ",".join(names))
        onednn_is_faster.cache_clear()

    yield switch
    onednn_is_faster.cache_clear()


def pytest_collection_modifyitems(items):
    """``optimisation(name)``: the test is about that one, and left out where CRAFT_WITHOUT switches it off."""
    from craft.common.switches import switched_off

    for item in items:
        for mark in item.iter_markers("optimisation"):
            if set(mark.args) & set(switched_off()):
                item.add_marker(pytest.mark.skip(f"switched off: {', '.join(mark.args)}"))


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """No test reads or writes the user's own cache."""
    os.environ["CRAFT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
