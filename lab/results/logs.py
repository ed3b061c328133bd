"""Reading ``log.txt`` as Dassl and all that is built on it write it: settings, results, and whether the run ended.

Dassl's wording changed around version 0.6: ``Finished training`` became ``Finish training``, ``epoch [1/2][5/5]``
became ``epoch [1/2] batch [5/5]``, percentages have one decimal instead of two. Both are read.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

RESULT = re.compile(r"^\* ([A-Za-z_][\w ]*?): *([-+0-9.,eE]+|nan)%?\s*$")
EPOCH = re.compile(r"^epoch:? \[(\d+)/\d+\]")
ENDED = re.compile(r"^finish(ed)? training\W*$", re.IGNORECASE)
COUNT = re.compile(r"^(# classes|# test)\s+([\d,]+)$")
COUNTS = {"total", "correct"}


@dataclass
class Log:
    """metrics: of the last result block, in per cent. settings: the configuration that it prints, flat, as text.
    arguments: of the command line, by name. finished: whether training came to its end, or there was none. epoch: the
    last one named. classes, tested: how many classes and test images; None where it does not say."""

    metrics: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    arguments: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    epoch: int = 0
    classes: int | None = None
    tested: int | None = None


def parse(path: str | Path) -> Log:
    """The content of a log; damaged bytes are skipped.

    As in CoOp's own evaluation script a training run's numbers count after ``Finish training`` only, so that the
    validations of an interrupted run are not taken for its result; a log without epochs is an evaluation.
    """
    log = Log()
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    log.settings, log.arguments = _settings(lines), _arguments(lines)
    trained = ended = in_result = False
    for line in lines:
        line = line.strip()
        if epoch := EPOCH.match(line):
            trained, log.epoch = True, int(epoch[1])
            ended, log.metrics = False, {}
        elif ENDED.match(line):
            ended, log.metrics = True, {}
        elif line == "=> result":
            in_result, log.metrics, log.tested = True, {}, None
        elif in_result and (found := RESULT.match(line)):
            value = _number(found[2])
            if found[1] == "total" and value is not None:
                log.tested = int(value)
            elif found[1] not in COUNTS and value is not None:
                log.metrics[found[1]] = value
        elif line:
            in_result = False
            if (count := COUNT.match(line)) and count[1] == "# classes":
                log.classes = int(count[2].replace(",", ""))
    log.finished = bool(log.metrics) and (ended or not trained)
    if not log.finished:
        log.metrics = {}
    return log


def _number(text: str) -> float | None:
    """None for what is no number, as a line that was cut leaves it, and for NaN."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _arguments(lines: list[str]) -> dict[str, str]:
    """``{"model_dir": …}``: what Dassl-based scripts print of their command line."""
    start = next((number for number, line in enumerate(lines) if line.strip() == "** Arguments **"), None)
    found: dict[str, str] = {}
    for line in lines[start + 2 :] if start is not None else ():
        entry = re.match(r"^([a-z_]+): ?(.*)$", line)
        if not entry:
            break
        found[entry[1]] = entry[2].strip()
    return found


def _settings(lines: list[str]) -> dict[str, str]:
    """The configuration that Dassl prints (indented by two blanks a level), flat."""
    found: dict[str, str] = {}
    path: list[str] = []
    inside = False
    for line in lines:
        if line.strip() in ("** Config **", "Config"):
            inside = True
            continue
        if not inside:
            continue
        entry = re.match(r"^( *)([A-Z][A-Z0-9_]*):(.*)$", line)
        if not entry:
            if line.startswith(("Collecting", "Loading", "**")) or (found and "---" in line):
                inside = False
            continue
        depth = len(entry[1]) // 2
        path = [*path[:depth], entry[2]]
        if entry[3].strip():
            found[".".join(path)] = entry[3].strip().strip("'\"")
    return found
