"""Files that are written whole or not at all, and what killed processes leave of them."""

import os
import subprocess
import sys
import time

import pytest

from craft.common import files
from craft.common.errors import UserError
from tests.conftest import PROJECT

KILLED = """
import os, signal, sys
from craft.common.files import atomic_folder, atomic_path
write = atomic_folder if sys.argv[2] == "folder" else atomic_path
with write(sys.argv[1]) as temporary:
    if temporary.is_dir():
        (temporary / "half.png").write_bytes(b"made")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["path", "folder"])
def test_what_a_killed_process_left_is_cleaned_by_the_next(tmp_path, kind):
    target = tmp_path / "images"
    subprocess.run([sys.executable, "-c", KILLED, str(target), kind], cwd=PROJECT)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".images.") and left.name.endswith(".tmp")
    files.write_text(tmp_path / "other.txt", "x")  # any file in that folder
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_only_what_is_ours_and_nobodys_is_cleaned(tmp_path):
    machine, pid = files._machine(), os.getpid()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    young, old = time.time(), time.time() - 2 * files.DAY
    stay = {
        f".run.json.{pid}-{machine}-abcdefgh.tmp": old,  # at work, however long it takes
        f".run.json.{gone.pid}-00000000-abcdefgh.tmp": young,  # of another machine
        ".run.json.abcdefgh.tmp": young,  # of an older version, perhaps at work
        "notes.tmp": old,
        ".notes.tmp": old,
        ".vimrc.swp": old,
        "run.json.abcdefgh.tmp": old,
    }
    go = {
        f".run.json.{gone.pid}-{machine}-abcdefgh.tmp": young,
        f".run.json.{gone.pid}-00000000-abcdefgh.tmp2": None,
        ".run.json.ab_d3fgh.tmp": old,
        ".split.json.0123456789abcdef0123456789abcdef.tmp": old,
    }
    for name, stamp in {**stay, **go}.items():
        if stamp is not None:
            (tmp_path / name).write_text("x")
            os.utime(tmp_path / name, (stamp, stamp))
    files.clean(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(stay)


def test_folders_that_cannot_be_read_or_are_not_there_are_no_matter(tmp_path):
    files.clean(tmp_path / "gone")


def test_a_full_disk_names_the_file_that_was_to_be_written(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.tempfile, "mkstemp", full)
    with pytest.raises(UserError, match=r"could not write .*state.pth.tar: No space left on device; free space"):
        files.write_text(tmp_path / "state.pth.tar", "x")
