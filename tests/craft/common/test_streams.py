"""A console that is closed, full, gone or of another encoding costs nobody a result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from craft.common.places import environment
from craft.runs import record
from tests.runs import run

PRINTS = "import sys\nfrom craft.common.errors import entry_point\n@entry_point\ndef go(argv=None): "
PRINTS += "print('61.3 \\u00b1 0.2 \\u2212 \\u2026')\n"


def python(code, *words, **options):
    more = {"env": environment(), "capture_output": True, "timeout": 60, **options}
    return subprocess.run([sys.executable, "-c", code, *words], **more)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PYTHONIOENCODING": "latin-1"}, "61.3 ± 0.2 \\u2212 \\u2026".encode("latin-1")),
        ({"PYTHONIOENCODING": "ascii"}, b"61.3 \\xb1 0.2 \\u2212 \\u2026"),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
            b"61.3 \\xb1 0.2 \\u2212 \\u2026",
        ),
        ({"PYTHONIOENCODING": "utf-8"}, "61.3 ± 0.2 − …".encode()),
    ],
    ids=["latin-1", "ascii", "C", "utf-8"],
)
def test_characters_that_the_terminal_lacks(variables, said):
    done = python(PRINTS + "go([])", env=environment() | variables)
    assert done.returncode == 0 and done.stdout.strip() == said, done.stderr


@pytest.mark.parametrize("closed", ["<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, tmp_path):
    """What is opened next must not take the number of stdout, or what is printed goes there."""
    code = (
        PRINTS.replace("print(", "f = open(sys.argv[1], 'w'); f.write('mine'); print(sys.stdin, flush=True); print(")
        + "sys.exit(go([]))"
    )
    (tmp_path / "code.py").write_text(code)
    words = f"'{sys.executable}' '{tmp_path}/code.py' '{tmp_path}/written' {closed}"
    assert subprocess.run(["bash", "-c", words], env=environment(), timeout=60).returncode == 0
    assert (tmp_path / "written").read_text() == "mine"


def test_a_full_disk_behind_stdout_is_named():
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as full:
        done = python(PRINTS + "sys.exit(go([]))", stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert done.returncode == 1 and done.stderr == b"error: No space left on device\n"


def lost_console(monkeypatch):
    """A stdout whose reader has gone, as after `| head -1`, that complains at the first line."""
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(sys, "stdout", os.fdopen(writing, "w", buffering=1))


def test_a_run_goes_on_when_its_reader_has_gone(tmp_path, monkeypatch):
    lost_console(monkeypatch)
    assert run(tmp_path, "CoOp") == 0
    assert record.state_of(tmp_path).name == "done" and "accuracy" in (tmp_path / "log.txt").read_text()


def test_a_run_without_a_console(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert run(tmp_path, "CoOp") == 0
    assert record.state_of(tmp_path).name == "done" and "accuracy" in (tmp_path / "log.txt").read_text()
    assert run(tmp_path, "CoOp") == 0


def test_the_console_is_given_back(tmp_path, capsys):
    before = sys.stdout
    assert run(tmp_path, "CoOp") == 0
    assert sys.stdout is before and "accuracy" in capsys.readouterr().out


def test_a_thread_that_the_disk_fails_is_one_line(capsys, monkeypatch):
    """TensorBoard writes in a thread of its own; other threads' errors go where they went."""
    import threading

    from craft.common.streams import lasting

    def full():
        raise OSError(28, "No space left on device")

    def wrong():
        raise ZeroDivisionError

    usual = []
    monkeypatch.setattr(threading, "excepthook", lambda args: usual.append(args.exc_type))
    before = threading.excepthook
    with lasting():
        for work in (full, wrong):
            thread = threading.Thread(target=work, name="writer")
            thread.start()
            thread.join()
    assert capsys.readouterr().err == "Note: writer stopped: [Errno 28] No space left on device\n"
    assert usual == [ZeroDivisionError] and threading.excepthook is before
