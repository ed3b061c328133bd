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


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory):
    """No test reads or writes the user's own cache."""
    os.environ["CRAFT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
