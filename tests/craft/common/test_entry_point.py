"""What every command does before and after its own work: platform, environment, words, mistakes, interrupts."""

import errno
import importlib
import os
import subprocess
import sys
import time

import pytest

from craft.__main__ import COMMANDS, main
from craft.common.errors import Terminated, UserError, entry_point
from craft.common.places import environment

RUN_IT = {
    "sweep": ["list"],
    "results": ["table", "nowhere"],
    "data": ["list"],
    "anchors": ["--help"],
    "bench": ["--help"],
    "train": ["--trainer", "Help"],
}


@pytest.mark.parametrize("platform", ["win32", "cygwin"])
@pytest.mark.parametrize("command", COMMANDS)
def test_windows_is_named_at_once(command, platform, monkeypatch, capsys):
    monkeypatch.setattr(sys, "platform", platform)
    own = importlib.import_module(COMMANDS[command]).main
    for start in (main, own):
        words = RUN_IT.get(command, ["--help"])
        assert start([command, *words] if start is main else words) == 1
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1 and "WSL" in said.err and "Linux and macOS" in said.err


def test_commands_can_be_looked_at_where_there_are_no_unix_modules():
    """Or Windows would say that a module is missing, instead."""
    code = (
        "import sys\nfor name in ('fcntl', 'resource', 'termios', 'pwd', 'grp'): sys.modules[name] = None\n"
        "sys.platform = 'win32'\nfrom craft.__main__ import main\n"
        f"sys.exit(sum(main([name, *words]) != 1 for name, words in {RUN_IT!r}.items()))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr.count("WSL") == len(RUN_IT), done.stderr


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CRAFT_ONEDNN", "banana", "CRAFT_ONEDNN is 'banana'; it can be 0 or 1"),
        ("CRAFT_DASSL", "mine", "CRAFT_DASSL is 'mine'; it can be bundled or upstream"),
        ("CRAFT_TRACEBACK", "yes", "CRAFT_TRACEBACK is 'yes'; it can be 0 or 1"),
        ("CRAFT_OFFLINE", "true", "CRAFT_OFFLINE is 'true'; it can be 0 or 1"),
        ("CRAFT_CACHE", __file__, "which is not a folder"),
        ("CRAFT_CACHE", os.fsdecode(b"/tmp/caf\xe9"), "not UTF-8 text"),
        ("CRAFT_CAHCE", "/tmp", "did you mean CRAFT_CACHE?"),
        ("CRAFT_ONEDN", "0", "did you mean CRAFT_ONEDNN?"),
    ],
)
def test_variables_of_the_environment(name, value, said, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    assert main(["data", "list"]) == 1
    found = capsys.readouterr().err
    assert said in found and found.count("\n") == 1


def test_variables_that_are_fine(monkeypatch, capsys):
    for name, value in (("CRAFT_ONEDNN", "0"), ("CRAFT_TRACEBACK", ""), ("CRAFT_DB_SERVER", "x"), ("CRAFT_JOBS", "2")):
        monkeypatch.setenv(name, value)
    assert main(["data", "list"]) == 0


def test_the_switch_is_read_by_the_library_too(monkeypatch):
    from craft.common.environment import value_of

    monkeypatch.setenv("CRAFT_ONEDNN", "off")
    with pytest.raises(UserError, match="CRAFT_ONEDNN is 'off'"):
        value_of("CRAFT_ONEDNN")


def test_words_that_are_not_utf_8(capsys):
    assert main(["results", "table", os.fsdecode(b"runs\xff")]) == 1
    said = capsys.readouterr().err
    assert "is not UTF-8 text; rename" in said and "dcff" in said and said.count("\n") == 1


def test_what_the_system_says_of_a_file(capsys, monkeypatch, tmp_path):
    def fails(error):
        @entry_point
        def go(argv=None):
            raise error

        return go([]), capsys.readouterr().err

    assert fails(OSError(errno.ELOOP, "Too many levels", "a/b")) == (1, "error: a/b: Too many levels\n")
    assert fails(OSError(errno.ENOSPC, "No space left")) == (1, "error: No space left\n")
    assert fails(UserError("a: wrong")) == (1, "error: a: wrong\n")
    assert fails(KeyboardInterrupt()) == (130, "interrupted\n")
    assert fails(KeyboardInterrupt("run it again")) == (130, "interrupted; run it again\n")
    assert fails(Terminated()) == (143, "interrupted\n")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert main(["results", "table", str(tmp_path / "loop")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("CRAFT_TRACEBACK", "1")
    with pytest.raises(OSError):
        fails(OSError(errno.ENOSPC, "No space left"))


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sweep", "show", "base2new", "--trainrs", "CoOp"], "--trainers"),
        (["results", "table", "x", "--formt=csv"], "--format"),
        (["data", "list", "--dasl"], "--dassl"),
        (["data", "check", "Digits", "--allow-subst"], "--allow-subset"),
        (["bench", "--quik"], "--quick"),
        (["anchors", "--bakbone", "demo"], "--backbone"),
        (["train", "--trianer", "CoOp"], "--trainer"),
    ],
)
def test_a_misspelt_option_is_answered_with_the_nearest(words, meant, capsys):
    with pytest.raises(SystemExit) as end:
        main(words)
    said = capsys.readouterr().err
    assert end.value.code == 2 and f"did you mean: {meant}" in said and said.count("\n") == 1


def test_names_are_answered_without_loading_torch():
    lines = [
        ["train", "--trainer", "CoOpCraf"],
        ["train", "--trainer", "CoOp", "OPTIM.LRR", "1"],
        ["train", "--trainer", "CoOp", "DATALOADER.TRAIN_X.BATCHSIZE", "1"],
        ["train", "--trainer", "CoOp", "--config-file", "fewshot"],
        ["train", "--trainer", "CoOp", "--dataset-config-file", "caltech"],
        ["train", "--trainer", "CoOp", "--model-dir", "x"],
        ["anchors", "OPTIM.LRR", "1"],
        ["sweep", "run", "base2new", "OPTIM.LRR", "1"],
    ]
    code = (
        "import sys\nfrom craft.__main__ import main\n"
        f"assert [main(words) for words in {lines!r}] == [1] * {len(lines)}\n"
        "print([name for name in ('torch', 'dassl', 'torchvision') if name in sys.modules])"
    )
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
    for meant in ("CoOpCraft", "OPTIM.LR,", "DATALOADER.TRAIN_X.BATCH_SIZE", "few_shot", "caltech101", "--eval-only"):
        assert meant in done.stderr
    assert time.monotonic() - started < 30


def test_the_names_that_are_known_without_torch_are_those_that_there_are():
    from craft.config import keys
    from craft.trainers.settings import get_cfg

    real = {key for key, _ in keys.leaves(get_cfg())}
    assert set(keys.names()) == {key for key in real if not (key.startswith("TRAINER.") and key.count(".") > 1)}
    for key in real:
        keys.check_keys([key, "1"])


def test_anchors_offer_only_what_they_use(capsys):
    from craft.trainers import precompute

    with pytest.raises(SystemExit):
        precompute.main(["--help"])
    said = capsys.readouterr().out
    assert "--backbone" in said and "--seed" in said
    for option in ("--force", "--resume", "--eval-only", "--model-dir", "--load-epoch", "--no-train", "--output-dir"):
        assert option not in said
