"""scripts/audit.sh does not call packages sound that nobody looked at. The database is a stand-in's words."""

import json
import subprocess
import sys

import pytest

from tests.conftest import PROJECT

STAND_IN = """#!/usr/bin/env bash
[ "$2" = pip_audit ] || exec {python} "$@"
while [ "$1" != --output ]; do shift; done
cat {answer} >"$2"
exit {status}
"""
SOUND = {"name": "numpy", "version": "2.0", "vulns": []}
SKIPPED = {"name": "torch", "skip_reason": "not found"}
BAD = {"name": "pillow", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([SOUND], 0, "1 of 1 packages checked, 0 known"),
        ([SOUND, BAD], 1, "pillow 1.0: CVE-1, mended in 1.1"),
        ([SOUND, SKIPPED], 2, "not checked: torch"),
        ([SKIPPED], 2, "NOTHING was checked"),
        (None, 2, "NOTHING was checked"),
    ],
)
def test_audit(packages, status, said, tmp_path):
    answer, python = tmp_path / "answer", tmp_path / "python"
    answer.write_text("" if packages is None else json.dumps({"dependencies": packages}))
    python.write_text(STAND_IN.format(python=sys.executable, answer=answer, status=int(status == 1)))
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", str(PROJECT / "scripts/audit.sh")], env={"PYTHON": str(python), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == status and said in done.stdout + done.stderr
