"""Reading ``log.txt`` as Dassl and all that is built on it write it: settings, results, and whether the run ended."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

RESULT = re.compile(r"^\* ([A-Za-z_][\w ]*?): *([-+0-9.,eE]+)%?\s*$")
KEYS = ("SEED", "TRAINER.NAME", "DATASET.NAME", "DATASET.NUM_SHOTS", "DATASET.SUBSAMPLE_CLASSES", "MODEL.BACKBONE.NAME")
COUNTS = {"total", "correct"}


@dataclass
class Log:
    """metrics: of the last result block, in per cent. settings: see KEYS. finished: whether training came to its end,
    or there was none. epoch: the last one named."""

    metrics: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    finished: bool = False
    epoch: int = 0


def parse(path: str | Path) -> Log:
    """The content of a log; damaged bytes are skipped.

    As in CoOp's own evaluation script a training run's numbers count after ``Finish training`` only, so that the
    validations of an interrupted run are not taken for its result; a log without epochs is an evaluation.
    """
    log = Log()
    lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    log.settings = _settings(lines)
    trained = ended = in_result = False
    for line in lines:
        line = line.strip()
        epoch = re.match(r"epoch \[(\d+)/\d+\]", line)
        if epoch:
            trained, log.epoch = True, int(epoch[1])
            log.metrics = {}
        elif line == "Finish training":
            ended, log.metrics = True, {}
        elif line == "=> result":
            in_result, log.metrics = True, {}
        elif in_result and (found := RESULT.match(line)):
            if found[1] not in COUNTS:
                log.metrics[found[1]] = float(found[2].replace(",", ""))
        elif line:
            in_result = False
    log.finished = bool(log.metrics) and (ended or not trained)
    if not log.finished:
        log.metrics = {}
    return log


def _settings(lines: list[str]) -> dict[str, str]:
    """The keys of KEYS from the configuration that Dassl prints (indented by two blanks a level)."""
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
        key = ".".join(path)
        if key in KEYS and entry[3].strip():
            found[key] = entry[3].strip()
    return found
