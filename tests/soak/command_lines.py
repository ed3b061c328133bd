"""Malformed command lines, yaml files and records, drawn from the table of keys and the commands' own options.

    python -m tests.soak.command_lines --count 2000 [--seed 0] [--build]

Each goes to ``craft`` inside this process, where nothing is trained, downloaded or measured. What is wrong by
construction (`Case.wrong`) has to end with status 1 or 2 and one line that names the culprit; anything else may also
be fine. Never a traceback. With --build what is not refused is built (backbone, data, prompts), which takes longer.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import functools
import io
import json
import os
import shlex
import sys
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import yaml
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.__main__ import main
from craft.config import keys
from craft.config.commandline import parser
from craft.config.rules import Rule
from craft.trainers import launch
from craft.trainers.settings import get_cfg, setup_cfg

BASE = ["train", "--trainer", "CoOpCraft", "--output-dir", "{out}"]
RECORD = "run.json", "metrics.json"
DEFAULTS = dict(keys.leaves(get_cfg()))


@dataclass(frozen=True)
class Case:
    """A command line; ``{dir}`` and ``{out}`` stand for folders of its own. culprit: what the answer must name. wrong:
    whether it has to be refused. files: path below {dir} -> content; a function of the path makes something else."""

    kind: str
    argv: list[str]
    culprit: str = ""
    wrong: bool = True
    files: dict[str, object] = field(default_factory=dict)


# -- values of keys ---------------------------------------------------------------------------------------------------


def wrong_scalars(rule: Rule, like: object) -> list[str]:
    """Texts that a key with this rule and default cannot hold, by the rule's bounds."""
    kind = type(like)
    if kind is bool:
        return ["", "yes", "1", "2", "None", "tru", "[True]", "1e3"]
    if kind is str:
        return [] if not rule.choices else ["", "nope", rule.choices[0] + "x", rule.choices[0].swapcase(), "\x1b[0m"]
    if kind not in (int, float):
        return []
    found = ["", "abc", "nan", "1,2", "None", "True", "--", "(", "1e", "0x", "{}", "[" * 200, "9" * 5000, "\ud800", "²"]
    found += ["inf", "-inf", "1e999"]
    if kind is int:
        found += ["1.5", "1e3", str(2**63), str(-(2**70))]
    step = 1 if kind is int else 1e-3
    found += [] if rule.low is None else [repr(rule.low - step), repr(rule.low - 10**9)]
    found += [] if rule.high is None else [repr(rule.high + step), repr(rule.high * 10 + 1)]
    found += [] if rule.above is None else [repr(rule.above), repr(rule.above - step)]
    found += [] if rule.below is None else [repr(rule.below), repr(rule.below + 1)]
    return found + (["2", "0"] if rule.odd else [])


def wrong_values(key: str) -> list[str]:
    """Texts that ``key`` cannot hold; none where it takes any."""
    rule, like = keys.rule_of(key), DEFAULTS[key]
    if not isinstance(like, tuple | list):
        return wrong_scalars(rule, like)
    one = like[0] if like else {int: 1, float: 1.0, str: ""}.get(rule.each)
    if one is None or (isinstance(one, str) and not rule.choices):
        return []
    count = rule.length or 1
    found = [", ".join([text] * count) for text in wrong_scalars(rule, one) if text and text not in ("1,2", "{}")]
    if rule.length:
        right = str(one)
        found += [right, ",".join([right] * (count + 1)), ",".join([right] * 300)] if count > 1 else []
    return found


KEYS = [key for key in DEFAULTS if wrong_values(key)]


@st.composite
def bad_value(draw) -> Case:
    key = draw(st.sampled_from(KEYS))
    text = draw(st.sampled_from(wrong_values(key)))
    if draw(st.booleans()) or not text.isprintable():
        return Case("value", [*BASE, key, text], "" if "\ud800" in text else key)
    node: object = text
    for part in reversed(key.split(".")):
        node = {part: node}
    return Case(
        "value in yaml", [*BASE, "--config-file", "{dir}/bad.yaml"], key, files={"bad.yaml": yaml.safe_dump(node)}
    )


@st.composite
def any_value(draw) -> Case:
    """Whatever comes: fine, or refused in one line."""
    key = draw(st.sampled_from(sorted(DEFAULTS)))
    text = draw(st.text(max_size=20) | st.sampled_from(["-1", "0", "1", "2", "100", "1e-9", "1e9", "(1, 1)", "()"]))
    return Case("any value", [*BASE, key, text], wrong=False)


# -- words ------------------------------------------------------------------------------------------------------------


@st.composite
def misspelt(draw, known: list[str]) -> str:
    """One of ``known`` with a letter doubled, left out, or another."""
    word, taken = draw(st.sampled_from(known)), set(known)
    position = draw(st.integers(2, len(word) - 1))
    new = draw(
        st.sampled_from(
            [
                word[:position] + word[position:][1:],
                word[:position] + word[position - 1 :],
                word[:position] + "q" + word[position + 1 :],
            ]
        )
    )
    return new if new not in taken and "--" not in new[2:] else word + "q"


NODES = tuple({key.rpartition(".")[0] for key in DEFAULTS if "." in key})


@st.composite
def bad_key(draw) -> Case:
    key = draw(misspelt(sorted(DEFAULTS)) | st.sampled_from(NODES) | st.text(alphabet="AB._x", min_size=1, max_size=8))
    if draw(st.booleans()):
        return Case("key", [*BASE, key, "1"], key)
    return Case("pairs", [*BASE, "OPTIM.LR", "0.1", key], key)


OPTIONS = {
    "train": ["--trainer", "--root", "--output-dir", "--seed", "--backbone", "--eval-only", "--model-dir", "--force"],
    "anchors": ["--trainer", "--root", "--seed", "--backbone", "--dataset-config-file"],
    "sweep": ["--trainers", "--datasets", "--seeds", "--shots", "--phases", "--executor", "--rerun", "--output"],
    "results": ["--protocol", "--format", "--compact", "--average", "--write"],
    "data": ["--root", "--images", "--allow-subset"],
    "bench": ["--classes", "--trainers", "--kinds", "--paths", "--repeats", "--quick", "--out"],
}
BEFORE = {"sweep": ["show", "base2new"], "results": ["table", "{out}"], "data": ["check", "Digits"]}


@st.composite
def bad_option(draw) -> Case:
    command = draw(st.sampled_from(sorted(OPTIONS)))
    word = draw(misspelt(OPTIONS[command]))
    return Case("option", [command, *BEFORE.get(command, []), word], word)


COUNTS = ["0", "-1", "1.5", "x", "", "nan", "9" * 30, "1e3", "²"]
NUMBERS = ["3-1", "", " ", "x", "1-", "-", "1--3", "-1", "1.5", "4294967296", "1-4294967295", "9" * 30, "²"]


@st.composite
def bad_option_value(draw) -> Case:
    sweep = ["sweep", "show", "base2new", "--datasets", "digits"]
    argv, name, values = draw(
        st.sampled_from(
            [
                (BASE, "--seed", ["x", "", "-2", "4294967296", "1.5", "nan"]),
                (
                    [*BASE, "--eval-only", "--model-dir", "{out}"],
                    "--load-epoch",
                    [text for text in COUNTS if text != "9" * 30],
                ),
                (sweep, "--seeds", NUMBERS),
                (sweep, "--shots", [text for text in NUMBERS if text not in ("-1", "4294967296")]),
                (sweep, "--jobs", [text for text in COUNTS if text != "9" * 30]),
                (sweep, "--cores", [text for text in COUNTS if text != "9" * 30]),
                (sweep, "--gpus", ["-1", "nan", "inf", "x", ""]),
                (sweep, "--trainers", ["", " ", ","]),
                (sweep, "--phases", ["", "test_nwe", "all"]),
                (sweep, "--executor", ["", "loca", "slurm"]),
                (sweep, "--rerun", ["", "none", "Code"]),
                (["results", "table", "{out}"], "--format", ["", "cvs", "pdf"]),
                (["results", "table", "{out}"], "--average", ["", "middle"]),
                (["data", "show", "Digits", "--out", "{dir}/a.png"], "--per-class", COUNTS[:-3]),
                (["bench", "--quick"], "--classes", COUNTS),
                (["bench", "--quick"], "--trainers", ["", "CoOpX"]),
                (["bench", "--quick"], "--repeats", COUNTS),
            ]
        )
    )
    value = draw(st.sampled_from(values))
    if (name, value) in (("--rerun", ""), ("--average", "")):
        return Case("value of an option", [*argv, name, value], wrong=False)
    return Case("value of an option", [*argv, f"{name}={value}"], "phase" if name == "--phases" else name)


@st.composite
def bad_name(draw) -> Case:
    text = draw(st.sampled_from(["nope", "CoOpp", "a" * 300, "../x", "..", "é", "\ud800", "a b", "-", "{dir}"]))
    argv = draw(
        st.sampled_from(
            [
                ["train", "--trainer", text],
                [*BASE, "--dataset-config-file", text],
                [*BASE, "--config-file", text],
                [*BASE, "DATASET.NAME", text],
                ["anchors", "--trainer", text],
                ["sweep", "show", text],
                ["sweep", "show", "base2new", "--trainers", text],
                ["sweep", "show", "base2new", "--datasets", text],
                ["sweep", "show", "base2new", "--config", text],
                ["sweep", "show", "base2new", "--phases", text],
                ["data", "check", text, "--root", "{dir}"],
                ["data", "show", text, "--root", "{dir}"],
                [text],
                ["results", text, "{out}"],
                ["sweep", text],
            ]
        )
    )
    culprit = "" if text in ("\ud800", "{dir}") or len(text) > 80 else text.split(" ")[0]
    return Case("name", argv, culprit)


# -- files ------------------------------------------------------------------------------------------------------------


def loop(path: Path) -> None:
    path.symlink_to(path)


def folder(path: Path) -> None:
    path.mkdir()


def fifo(path: Path) -> None:
    os.mkfifo(path)


THINGS = {
    "text": "this is text\n",
    "empty": b"",
    "binary": bytes(range(256)) * 8,
    "json": "[[[[1]]]]",
    "loop": loop,
    "folder": folder,
    "surrogate": '{"a": "\\ud800"}',
}
PLACES = [
    (BASE[:3], "--output-dir"),
    (BASE, "--root"),
    (BASE, "--resume"),
    (BASE, "--config-file"),
    (BASE, "--dataset-config-file"),
    (BASE, "--backbone"),
    (BASE, "--import"),
    ([*BASE, "--eval-only"], "--model-dir"),
    (BASE, "MODEL.INIT_WEIGHTS"),
    (BASE, "DATASET.CACHE_DIR"),
    ([*BASE, "DATASET.NAME", "ImageFolder"], "DATASET.PATH"),
    ([*BASE, "--root", "{dir}", "DATASET.NAME", "ImageFolder"], "DATASET.CLASSNAMES"),
    (["sweep", "status", "base2new", "--datasets", "digits"], "--output"),
    (["sweep", "show", "base2new", "--datasets", "digits"], "--config"),
    (["sweep", "show", "base2new"], "--datasets"),
    (["sweep", "show", "base2new", "--datasets", "digits"], "--import"),
    (["results", "table"], ""),
    (["results", "table", "{out}"], "--write"),
    (["data", "check", "Caltech101"], "--root"),
    (["data", "show", "Digits"], "--out"),
]


@st.composite
def bad_file(draw) -> Case:
    argv, option = draw(st.sampled_from(PLACES))
    name = draw(st.sampled_from([*THINGS, "gone", "long"]))
    path = "{dir}/" + ("n" * 300 if name == "long" else name)
    path += draw(st.sampled_from(["", "", "/below", ".yaml", ".py"]))
    files = {} if name in ("gone", "long") else {path.removeprefix("{dir}/").removesuffix("/below"): THINGS[name]}
    pair = [option, path] if option else [path]
    argv = (
        [*argv[: argv.index("DATASET.NAME")], *pair, *argv[argv.index("DATASET.NAME") :]]
        if ("DATASET.NAME" in argv and option.startswith("--"))
        else [*argv, *pair]
    )
    return Case("file", argv, wrong=False, files=files)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JUNK = st.recursive(SCALARS, lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=5), x, max_size=3))
PIECES = [
    "OPTIM: ",
    "LR: ",
    "_BASE_: ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!python/none ",
    "\n",
    "  ",
    "- ",
    ": ",
    "<<: ",
]
PIECES += ["1", "x", "'", '"', "|", "?", "%", "#", "---\n", "\t", "é", "9" * 400, "bad.yaml", "!!binary ", "2001-13-01"]


@st.composite
def bad_yaml(draw) -> Case:
    """A file of pieces of yaml, or a configuration with junk in it."""
    if draw(st.booleans()):
        text: object = "".join(draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=12)))
    else:
        node = draw(JUNK)
        for part in reversed(draw(st.sampled_from([*DEFAULTS, "_BASE_", "OPTIM", "TRAINER.COOP"])).split(".")):
            node = {part: node}
        text = yaml.safe_dump(node, allow_unicode=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:
        text = str(text).encode("utf-16")
    name = draw(st.sampled_from(["--config-file", "--dataset-config-file"]))
    argv = draw(st.sampled_from([[*BASE, name], ["sweep", "show", "base2new", "--trainers", "CoOp", "--datasets"]]))
    return Case("yaml", [*argv, "{dir}/bad.yaml"], wrong=False, files={"bad.yaml": text})


FULL = ["--trainer", "CoOpCraft", "--dataset-config-file", "digits", "--seed", "1"]


@functools.cache
def of_a_run() -> str:
    """The configuration that `craft train` and `craft sweep` both give a run of `FULL`, as its record holds it."""
    return json.dumps(setup_cfg(parser("").parse_args([*FULL, "DATASET.NUM_SHOTS", "16"])))


def a_record() -> dict:
    """The record of a done run, as far as anything reads it."""
    return {
        "state": "done",
        "mode": "train",
        "epoch": 2,
        "epochs": 2,
        "error": None,
        "command": "train.py --trainer CoOpCraft",
        "identity": {"config": "a", "code": "b", "data": "c", "classnames": "d", "weights": {}, "model": None},
        "versions": {"craft": "0.2.0", "code": "b"},
        "timing": {"started": "2024-01-01T00:00:00+00:00", "finished": None, "seconds": 1.0, "sessions": [{}]},
        "config": json.loads(of_a_run()),
        "split": {"digest": "c", "train": 10, "test": 10, "classes": 10, "parts": {}, "files": {}, "subset": {}},
        "device": {"type": "cpu"},
        "evaluated": {"epoch": 2, "by": "last"},
        "peak_memory_mb": {"host": 1.0},
    }


def places(value: object, path: tuple = ()) -> list[tuple]:
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path] * bool(path) + [one for key, part in inside for one in places(part, (*path, key))]


DEEP = "@deep@"
ODD = [
    None,
    [],
    {},
    "",
    "\ud800",
    -1,
    1e300,
    float("nan"),
    float("inf"),
    10**400,
    True,
    DEEP,
    "x" * 10_000,
    [[{}]],
    "no",
]


@st.composite
def bad_record(draw) -> Case:
    """Records of a run with something left out or in its place: looked at by whoever reads runs."""
    found = {
        RECORD[0]: a_record(),
        RECORD[1]: {"accuracy": 50.0, "results": {"test": {"accuracy": 50.0}}, "epochs": [{}]},
    }
    name = draw(st.sampled_from(RECORD))
    for _ in range(draw(st.integers(1, 2))):
        spots = places(found[name])
        # what few lines hold is drawn as often as the many keys of the configuration
        few = [one for one in spots if "config" not in one]
        spot = draw(st.sampled_from(few or spots) | st.sampled_from(spots)) if spots else ()
        node = found[name]
        for part in spot[:-1]:
            node = node[part]
        if not spot or draw(st.integers(0, 5)) == 0:
            found[name] = draw(st.sampled_from(ODD))
            break
        if draw(st.booleans()):
            del node[spot[-1]]
        else:
            node[spot[-1]] = copy.deepcopy(draw(st.sampled_from(ODD) | JUNK))
    texts = {key: json.dumps(value).replace(f'"{DEEP}"', "[" * 3000 + "]" * 3000) for key, value in found.items()}
    if draw(st.booleans()):
        texts["state.pth.tar"] = ""
        texts[RECORD[0]] = texts[RECORD[0]].replace('"state": "done"', '"state": "started"')
    if draw(st.integers(0, 7)) == 0:
        texts[name] = texts[name][: draw(st.integers(0, len(texts[name])))]
    run = "few_shot/digits/shots_16/CoOpCraft/demo/seed1"
    sweep = ["few_shot", "--trainers", "CoOpCraft", "--datasets", "digits", "--shots", "16", "--seeds", "1"]
    argv = draw(
        st.sampled_from(
            [
                ["train", *FULL, "--output-dir", "{dir}/" + run, "DATASET.NUM_SHOTS", "16"],
                ["train", *FULL, "--output-dir", "{dir}/" + run, "--force", "DATASET.NUM_SHOTS", "16"],
                ["train", *FULL, "--output-dir", "{out}", "--resume", "{dir}/" + run, "DATASET.NUM_SHOTS", "16"],
                [*BASE, "--eval-only", "--model-dir", "{dir}/" + run],
                ["sweep", "status", *sweep, "--output", "{dir}"],
                ["sweep", "run", *sweep, "--output", "{dir}"],
                ["results", "table", "{dir}"],
                ["results", "table", "{dir}", "--format", "csv"],
                ["results", "report", "{dir}", "--no-figures"],
            ]
        )
    )
    return Case("record", argv, wrong=False, files={f"{run}/{key}": text for key, text in texts.items()})


KINDS = {
    "value": bad_value(),
    "any value": any_value(),
    "key": bad_key(),
    "option": bad_option(),
    "value of an option": bad_option_value(),
    "name": bad_name(),
    "file": bad_file(),
    "yaml": bad_yaml(),
    "record": bad_record(),
}
#: what is drawn: each kind in its share
CASES = st.sampled_from([*KINDS, "value", "value", "value of an option", "name", "file"]).flatmap(KINDS.get)


# -- trying -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def harmless(build: bool = False):
    """Within the block commands neither train, download, measure nor draw; with ``build`` a run is built."""
    original = launch.run

    def built(cfg, options, command, session=None):
        if build:
            options.no_train = True
            original(cfg, options, command)

    nothing = mock.Mock(return_value=None)
    with (
        mock.patch.object(launch, "run", built),
        mock.patch("craft.lab.sweeps.runner.execute", mock.Mock(return_value=[])),
        mock.patch("craft.lab.bench.command.measure", mock.Mock(side_effect=SystemExit(0))),
        mock.patch("craft.datasets.tools.show.contact_sheet", nothing),
        mock.patch("craft.anchors.static.static_anchors", mock.Mock(side_effect=SystemExit(0))),
    ):
        yield


def tried(case: Case, root: Path) -> str:
    """What is wrong with how ``craft`` answers ``case``; empty where nothing is."""
    for name, content in case.files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else str(content).encode("utf-8", "surrogatepass"))
    argv = [word.replace("{dir}", str(root)).replace("{out}", str(root / "out")) for word in case.argv]
    said, complained, before = io.StringIO(), io.StringIO(), (sys.stdout, os.getcwd())
    try:
        os.chdir(root)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
            status: object = main(argv)
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        return f"traceback: {traceback.format_exc()[-1500:]}"
    finally:
        os.chdir(before[1])
        sys.stdout = before[0]
    lines = complained.getvalue().strip().splitlines()
    if status == 0:
        return "it was accepted" if case.wrong else ""
    if status not in (1, 2):
        return f"status {status}"
    if not lines and said.getvalue().strip() and argv[0] in ("sweep", "data"):
        return ""  # a report of what failed, or is missing
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return f"not one line: {complained.getvalue()[:1500]!r}"
    # A word of a message stands there as it is, or as Python writes it.
    culprit = case.culprit.replace("{dir}", str(root))
    return "" if culprit in lines[0] or ascii(culprit)[1:-1] in lines[0] else f"{culprit!r} is not named: {lines[0]}"


def run(count: int, number: int = 0, build: bool = False, counts: Counter | None = None) -> list[tuple[Case, str]]:
    """Try ``count`` cases drawn from the seed ``number``; the wrong outcomes. counts: gets how many of each kind."""
    wrong: list[tuple[Case, str]] = []

    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(CASES)
    def go(case: Case) -> None:
        with tempfile.TemporaryDirectory() as name:
            problem = tried(case, Path(name))
        if counts is not None:
            counts[case.kind, "wrong" if problem else "right"] += 1
        if problem:
            wrong.append((case, problem))

    with harmless(build):
        go()
    return wrong


def command() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=2000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--build", action="store_true", help="build what is not refused")
    asked = options.parse_args()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a real stream
    counts: Counter = Counter()
    wrong = run(asked.count, asked.seed, asked.build, counts)
    for case, problem in wrong:
        print(f"WRONG {shlex.join(case.argv)}\n    {problem}\n    files: {str(case.files)[:300]}")
    for (kind, outcome), number in sorted(counts.items()):
        print(f"{kind:<22} {outcome:<6} {number}")
    print(f"command lines: {sum(counts.values())} tried, wrong outcomes: {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(command())
