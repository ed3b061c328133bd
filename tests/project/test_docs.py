"""What the documents say is what the code does: every command is parsed by the program that it calls, all that is named
is there, and the pages become a site without a dead link."""

import os
import re
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest

from craft.__main__ import COMMANDS
from craft.common import places
from craft.config.commandline import parser as run_parser
from craft.datasets.tools import command as data
from craft.inference import app, audit, export, predict
from craft.lab import verify
from craft.lab.bench import command as bench
from craft.lab.results import command as results
from craft.lab.sweeps import command as sweep
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.trainers import launch, precompute
from craft.trainers.settings import get_cfg, setup_cfg
from tests.conftest import PROJECT
from tests.project import documents

#: scripts that take what a program of somebody else takes, or nothing
FREE = ("demo.sh", "test.sh", "types.sh", "docs.sh")


# -- commands ---------------------------------------------------------------------------------------------------------


def check(words, whole=True, root="/data"):
    """The words of a command are what its program takes."""
    words = [word.replace("$DATA", root) for word in words]
    program, *rest = words
    if program == "bash":
        check_script(rest, root)
        return
    if program == "python":
        if rest[0] == "train.py":
            rest = ["train", *rest[1:]]
        elif rest[:2] == ["-m", "anchors"]:
            rest = ["anchors", *rest[2:]]
        elif rest[:2] == ["-m", "craft"]:
            rest = rest[2:]
        else:
            assert rest[0] == "-m" and find_spec(rest[1]), rest
            for file in rest[2:]:
                assert not file.endswith(".json") or (PROJECT / file).is_file(), file
            return
    if not rest or rest[0] in ("--help", "--version", "COMMAND"):
        return
    name, *arguments = rest
    assert name in COMMANDS, f"craft {name}"
    if "--help" in arguments or (not whole and not arguments):
        return
    CHECKS[name](arguments, whole)


def check_train(arguments, whole, trainer=""):
    options = run_parser("", default_trainer=trainer).parse_args(arguments)
    if options.imports:  # what it registers is not there; a test of its own runs it
        assert all((PROJECT / "tests/examples" / name).is_file() for name in options.imports)
    elif options.trainer and options.trainer != "Help":
        setup_cfg(options)


def check_sweep(arguments, whole):
    action, *rest = arguments
    assert action in ("list", "show", "run", "status"), action
    if not whole:
        sweep.parser().parse_args(arguments)
    elif "--import" in arguments:  # in a process of its own, or what it registers would be there for all tests
        words = [action if action == "list" else "show", *rest]
        told = subprocess.run(
            [sys.executable, "-m", "craft", "sweep", *words],
            cwd=PROJECT / "tests/examples",
            env=places.environment(),
            capture_output=True,
            text=True,
        )
        assert told.returncode == 0, told.stderr
    else:
        assert sweep.main([action if action == "list" else "show", *rest]) == 0


def check_parts(parser, arguments, whole):
    """A command with actions; a sentence may name an action alone."""
    while "--import" in arguments:  # taken before the rest is parsed; tests of its own load such files
        at = arguments.index("--import")
        assert (PROJECT / "tests/examples" / arguments[at + 1]).is_file()
        arguments = arguments[:at] + arguments[at + 2 :]
    if len(arguments) == 1 and not whole:
        assert re.search(rf"\b{arguments[0]}\b", parser.format_help())
    else:
        parser.parse_args(arguments)


def check_data(arguments, whole):
    if arguments[0] == "audit" and (len(arguments) > 1 or whole):
        setup_cfg(audit.own_parser().parse_args(arguments[1:]))
    elif arguments[0] != "verify" or (len(arguments) == 1 and not whole):
        check_parts(data.parser(), arguments, whole)
    else:
        verify.yaml_of(verify.parser().parse_args(arguments[1:]).name)


def check_use(parser, arguments, whole):
    if whole:
        parser.parse_args(arguments)
    else:
        assert {word for word in arguments if word.startswith("--")} <= set(parser.options())


CHECKS = {
    "predict": lambda arguments, whole: check_use(predict.parser(), arguments, whole),
    "export": lambda arguments, whole: check_use(export.parser(), arguments, whole),
    "app": lambda arguments, whole: check_use(app.parser(), arguments, whole),
    "train": check_train,
    "anchors": lambda arguments, whole: check_train(arguments, whole, "CoOpCraft"),
    "sweep": check_sweep,
    "results": lambda arguments, whole: check_parts(results.parser(), arguments, whole),
    "data": lambda arguments, whole: check_data(arguments, whole),
    "bench": lambda arguments, whole: bench.plan_of(bench.parser().parse_args(arguments)),
}


def check_script(words, root):
    """The script is there, and calls the project with what the project takes."""
    script, *arguments = words
    assert (PROJECT / script).is_file(), script
    if script.endswith("setup.sh"):
        extras = re.findall(r"^(\w+) = \[", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
        assert not arguments or set(arguments[0].split(",")) <= set(extras), arguments
    elif not script.endswith(FREE) and arguments:
        for called in calls_of(script, arguments, root):
            if called[:2] == ["-m", "craft"]:
                check(["craft", *called[2:]])


def calls_of(script, arguments, root):
    """What a script calls the interpreter with: a stand-in for it writes its arguments down and does nothing."""
    stand_in, said = os.path.join(root, "python"), os.path.join(root, "said")
    with open(stand_in, "w") as stream:
        stream.write(f"#!/bin/sh\nprintf '%s\\0' \"$@\" >>{shlex.quote(said)}\nprintf '\\1\\0' >>{shlex.quote(said)}\n")
    os.chmod(stand_in, 0o755)
    done = subprocess.run(
        ["bash", str(PROJECT / script), *arguments],
        env=os.environ | {"PYTHON": stand_in},
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    with open(said) as stream:
        words = stream.read().split("\0")[:-1]
    calls, call = [], []
    for word in words:
        if word == "\1":
            calls.append(call)
            call = []
        else:
            call.append(word)
    return calls


ALL = documents.commands()


@pytest.mark.parametrize("where", sorted({command.where for command in ALL}))
def test_every_command_is_what_its_program_takes(where, tmp_path):
    refused = []
    for number, command in enumerate(command for command in ALL if command.where == where):
        root = tmp_path / str(number)
        root.mkdir()
        try:
            check(command.words, command.whole, str(root))
        except (Exception, SystemExit) as error:
            refused.append(f"{command}\n    {type(error).__name__}: {error}")
    assert not refused, "\n".join(refused)


def test_commands_are_found_where_they_are():
    """The tests above would pass if nothing were found."""
    count = {where: sum(command.where == where for command in ALL) for where in {command.where for command in ALL}}
    for where, least in {
        "README.md": 12,
        "DATASETS.md": 5,
        "docs/protocols.md": 20,
        "docs/shift_and_groups.md": 7,
        "docs/method.md": 2,
        "trainers/launch.py": 3,
        "trainers/precompute.py": 1,
        "lab/sweeps/command.py": 4,
        "lab/results/command.py": 5,
        "lab/bench/command.py": 3,
        "datasets/tools/command.py": 6,
        "lab/verify.py": 2,
        "craft/__main__.py": 6,
        "craft/demo/train.py": 3,
        "train.py": 0,
        "scripts/ood.sh": 1,
        "scripts/craft/few_shot.sh": 1,
    }.items():
        assert count.get(where, 0) >= least, (where, count.get(where, 0))


@pytest.mark.parametrize(
    "wrong",
    [
        "craft tran --trainer CoOpCraft",
        "craft train --trainer CoOpCarft",
        "craft train --trainer CoOpCraft --config-file configs/trainers/CoOp/none.yaml",
        "python train.py --trainer CoOpCraft OPTIM.LRR 1",
        "craft sweep run base2new --datasets caltech",
        "craft results tables output",
        "craft data look Digits",
        "python -m craft.lab.bench.nothing",
        "bash scripts/nothing.sh",
        "bash scripts/ood.sh $DATA",
        'bash scripts/ood.sh $DATA "MaPLeCraftODD"',
    ],
)
def test_a_wrong_command_would_be_found(wrong, tmp_path):
    with pytest.raises((Exception, SystemExit)):
        check(shlex.split(wrong), True, str(tmp_path))


# -- what is named ----------------------------------------------------------------------------------------------------


def test_every_path_that_a_page_names_is_there():
    gone = [f"{page}: {path}" for page, path in documents.paths() if not any(PROJECT.glob(path.rstrip("/")))]
    assert len(documents.paths()) > 60 and not gone, "\n".join(gone)


def test_every_yaml_that_is_named_is_there():
    gone = [f"{page}: {path}" for page, path in documents.yamls() if not (PROJECT / path).is_file()]
    assert len(documents.yamls()) > 5 and not gone, "\n".join(gone)


def test_every_function_that_a_page_names_is_in_its_file():
    gone = []
    for path, name in documents.functions():
        text = (PROJECT / path).read_text() if (PROJECT / path).is_file() else ""
        if not re.search(rf"(def|class) {name}\b|^{name}\b", text, re.MULTILINE):
            gone.append(f"{name} in {path}")
    assert len(documents.functions()) > 20 and not gone, "\n".join(gone)


def test_every_key_that_a_page_names_is_one():
    cfg, gone = get_cfg(), []
    for page, key in documents.named_keys():
        node = cfg
        for part in key.split("."):
            node = node.get(part) if isinstance(node, dict) else None
        if node is None:
            gone.append(f"{page}: {key}")
    assert len(documents.named_keys()) > 30 and not gone, "\n".join(gone)


def test_the_page_on_protocols_has_a_row_for_each():
    rows = (PROJECT / "docs/protocols.md").read_text().splitlines()
    for protocol in PROTOCOLS.values():
        (row,) = (row for row in rows if row.startswith(f"| `{protocol.name}` |"))
        assert f"| `{protocol.config}` |" in row


def test_decisions_are_numbered_and_the_code_cites_those_that_are():
    numbered = re.findall(r"^### (D\d+)$", (PROJECT / "docs/method.md").read_text(), re.MULTILINE)
    assert numbered == [f"D{number}" for number in range(1, len(numbered) + 1)]
    cited = re.findall(r"\((D\d+)\)", (PROJECT / "craft/terms.py").read_text())
    assert cited and set(cited) <= set(numbered)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "DATASETS.md"])
def test_every_link_of_a_page_beside_the_site_leads_somewhere(name):
    for file, anchor in documents.links(PROJECT / name):
        target = PROJECT / (file or name)
        assert target.exists(), (name, file)
        assert not anchor or anchor in documents.anchors(target), (name, file, anchor)


# -- the anchors that a run uses --------------------------------------------------------------------------------------


def test_the_anchors_command_makes_the_anchors_of_the_run_beside_it(tmp_path, monkeypatch, capsys):
    """The two commands of docs/method.md, on the embedded digits in place of Caltech101."""
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))
    made, used = (command.words for command in ALL if command.where == "docs/method.md" and command.whole)
    assert made[:2] == ("craft", "anchors") and used[:2] == ("craft", "train")

    def on_digits(words):
        words = [{"caltech101": "digits", "base2new": "demo"}.get(word, word) for word in words[2:]]
        place = words.index("--root")
        return [*words[:place], *words[place + 2 :], "DATASET.NUM_SHOTS", "2"]

    assert precompute.main(on_digits(made)) == 0
    assert "made: 5 anchors" in capsys.readouterr().out
    output = ["OPTIM.MAX_EPOCH", "1", "OUTPUT_DIR", str(tmp_path / "run")]
    assert launch.main(on_digits(used) + output) == 0
    assert "Static image anchors: 5 from the cache" in capsys.readouterr().out


# -- the site ---------------------------------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path):
    """As `bash scripts/docs.sh` builds it, with docstrings and examples in it. One test, since the rooms are laid
    out in one place."""
    done = subprocess.run(
        ["bash", str(PROJECT / "scripts/docs.sh"), "build", "--site-dir", str(tmp_path)],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {str(path.relative_to(tmp_path).parent): path.read_text() for path in tmp_path.rglob("index.html")}
    assert "tau &lt;v, a_k&gt;" in pages["reference/losses"] and "craft.losses.static_loss" in pages["reference/losses"]
    for name in ("MineLearner", "SpreadTerm", "Colours", "ToyBackbone", "STRESS", "InThisProcess"):
        assert name in pages["extending"], name
    assert "Preparing the data sets" in pages["datasets"]
    loads = re.compile(r"<(?:script|img|iframe)[^>]*src=[^>]*>|<link[^>]*rel=\"?(?:stylesheet|preconnect)[^>]*>")
    for name, page in pages.items():
        outside = [found for found in loads.findall(page) if re.search(r"(?:src|href)=\"?(?:https?:)?//", found)]
        assert not outside, (name, outside)
