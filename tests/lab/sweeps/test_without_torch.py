"""What only lists and prints answers at once: no torch is loaded for it."""

import subprocess
import sys

import pytest

from tests.conftest import PROJECT

PROGRAM = """
import sys
sys.argv = ["craft", *sys.argv[1:]]
from craft.__main__ import main
try:
    status = main()
except SystemExit as end:
    status = end.code
loaded = sorted({"torch", "torchvision", "clip", "sklearn", "matplotlib"} & set(sys.modules))
sys.exit(f"loaded: {loaded}" if loaded else status)
"""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sweep", "--help"], "craft sweep"),
        (["sweep", "list"], "base2new"),
        (["sweep", "list", "--help"], "--executor"),
        (["sweep", "show", "base2new"], "--trainer CoOpCraft"),
        (["sweep", "show", "ablation"], "ablation/both"),
        (["sweep", "status", "base2new"], "seed 1"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_no_torch(words, said, tmp_path):
    where = {"PYTHONPATH": str(PROJECT), "PATH": "", "CRAFT_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, cwd=tmp_path, env=where
    )
    assert done.returncode == 0, done.stderr
    assert said in done.stdout and "python -m protocols" not in done.stdout
