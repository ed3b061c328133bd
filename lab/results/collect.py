"""Finds runs below a folder: this project's (``run.json``, ``metrics.json``), and any repository's ``log.txt`` files.

Where a run belongs is read from its folder, in the layouts of CoOp, MaPLe and PromptSRC, and from what it says itself.
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from craft.common.errors import UserError
from craft.common.files import read_json
from craft.common.places import configs
from craft.lab.results import logs
from craft.lab.sweeps.catalogue import PROTOCOLS, SINGLE_RUNS
from craft.runs import record

SHOTS = re.compile(r"^(?P<config>.+)_(?P<shots>\d+)shots?$")
SKIP = {"prompt_learner", "tensorboard", ".git", "figures"}


@dataclass(frozen=True)
class Result:
    """One run. phase: folder of a protocol's phase, or ``runs`` for a single run. dataset: its registered name, with
    ``-target`` for a chosen target domain. metrics: of the test images, empty unless state is done."""

    phase: str
    dataset: str
    trainer: str
    config: str
    shots: int
    seed: int
    folder: Path
    state: str = "done"
    detail: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    record: dict[str, Any] | None = field(default=None, repr=False)
    history: list[dict[str, float]] = field(default_factory=list, repr=False)


def collect(root: str | os.PathLike) -> list[Result]:
    """All runs below ``root``, sorted by folder. UserError where it is no folder or holds no run."""
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"no such folder: {root}; give the output folder of a sweep")
    found = []
    for name, folders, files in os.walk(root):
        folders[:] = sorted(folder for folder in folders if folder not in SKIP)
        if record.RECORD in files or any(file.startswith("log.txt") for file in files):
            found.append(_read(Path(name)))
    if not found:
        raise UserError(f"no run below {root}: it has neither {record.RECORD} nor log.txt files")
    return found


def _read(folder: Path) -> Result:
    own = record.read(folder)
    where = _place(folder)
    if own is None or "config" not in own:
        return _from_log(folder, where, own)
    config = own["config"]
    node = config["DATASET"]
    state = record.state_of(folder)
    metrics, history = {}, []
    if state.name == "done":
        path = folder / record.METRICS
        if path.is_file():
            content = read_json(path)
            metrics, history = _test_results(content.get("results", {})), content.get("history", [])
        elif log := record.log_of(folder):  # a trainer of somebody else's
            metrics = logs.parse(log).metrics
    _, dash, target = where.get("dataset", "").partition("-")
    return Result(
        phase=where.get("phase") or _guess_phase(node.get("SUBSAMPLE_CLASSES", "all")),
        dataset=node["NAME"] + (dash + target if where.get("phase") else ""),
        trainer=config["TRAINER"]["NAME"],
        config=where.get("config", ""),
        shots=node["NUM_SHOTS"],
        seed=config["SEED"],
        folder=folder,
        state=state.name if metrics or state.name != "done" else "failed",
        detail=state.error or ("" if metrics or state.name != "done" else "it is done but left no results"),
        metrics=metrics,
        record=own,
        history=history,
    )


def _test_results(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The numbers of the test images; of the validation images where a run tested on them only."""
    chosen = results.get("test") or results.get("val") or {}
    return {name: float(value) for name, value in chosen.items() if isinstance(value, int | float)}


def _from_log(folder: Path, where: dict[str, Any], own: dict[str, Any] | None) -> Result:
    path = record.log_of(folder)
    log = logs.parse(path) if path else logs.Log()
    said = log.settings
    if own is not None:  # it ended before its configuration was known
        state, detail = record.state_of(folder).name, own.get("error") or ""
    elif log.finished:
        state, detail = "done", ""
    else:
        state, detail = "interrupted", f"its log ends at epoch {log.epoch}" if log.epoch else "its log has no result"
    subsample = said.get("DATASET.SUBSAMPLE_CLASSES", "all")
    named = where.get("dataset", "")
    return Result(
        phase=where.get("phase") or _guess_phase(subsample),
        dataset=said.get("DATASET.NAME") or dataset_name(named) or folder.parent.name,
        trainer=where.get("trainer") or said.get("TRAINER.NAME") or "unknown",
        config=where.get("config", ""),
        shots=where.get("shots") or int(said.get("DATASET.NUM_SHOTS", 0)),
        seed=where["seed"] if "seed" in where else int(said.get("SEED", 0)),
        folder=folder,
        state=state,
        detail=detail,
        metrics=log.metrics if state == "done" else {},
        record=own,
    )


def _guess_phase(subsample: str) -> str:
    """The phase of a run in an unknown layout: the first that is on this half of the classes, or single runs."""
    half = ("DATASET.SUBSAMPLE_CLASSES", subsample)
    every = (phase for protocol in PROTOCOLS.values() for phase in protocol.phases)
    return next((phase.folder for phase in every if half in phase.options), SINGLE_RUNS.phases[0].folder)


# -- layouts ----------------------------------------------------------------------------------------------------------


def _phases() -> list[str]:
    """The folders of all phases that are declared now, the longest first."""
    return sorted({p.folder for protocol in PROTOCOLS.values() for p in protocol.phases}, key=len, reverse=True)


def _place(folder: Path) -> dict[str, Any]:
    """What a run's path says: phase, dataset, shots, trainer, config, seed; empty for an unknown layout."""
    parts = folder.resolve().parts
    seed = re.fullmatch(r"seed(\d+)", parts[-1])
    if not seed:
        return {}
    place: dict[str, Any] = {"seed": int(seed[1])}
    parts = parts[:-1]
    # …/<phase>/<data set>/shots_<K>/<trainer>/<config>: base-to-new everywhere, and all of ours
    if len(parts) >= 5 and (shots := re.fullmatch(r"shots_(\d+)", parts[-3])):
        above = "/".join(parts[:-4])
        phase = next((phase for phase in _phases() if above == phase or above.endswith("/" + phase)), "")
        trainer, config = parts[-2:]
        return place | {
            "phase": phase,
            "dataset": parts[-4],
            "shots": int(shots[1]),
            "trainer": trainer,
            "config": config,
        }
    # …/<data set>/<trainer>/<config>_<K>shots[/more], and …/evaluation/<trainer>/<config>_<K>shots[/more]/<data set>
    for back in (1, 2, 3):
        match = SHOTS.match(parts[-back]) if len(parts) > back + 2 else None
        if not match:
            continue
        trainer, above, rest = parts[-back - 1], parts[-back - 2], list(parts[len(parts) - back + 1 :])
        phase, dataset = "few_shot", above
        if above == "evaluation" and rest:
            phase, dataset = "cross_dataset/test", rest.pop()
        config = "/".join([match["config"], *rest])
        shots = int(match["shots"])
        return place | {"phase": phase, "dataset": dataset, "shots": shots, "trainer": trainer, "config": config}
    return place


@functools.cache
def _dataset_names() -> dict[str, str]:
    names = {}
    for path in (configs() / "datasets").glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if name := content.get("DATASET", {}).get("NAME"):
            names[path.stem] = name
    return names


def dataset_name(stem: str) -> str:
    """``Caltech101`` of ``caltech101``: the registered name behind a configuration's; unknown ones stay as they are."""
    name, dash, target = stem.partition("-")
    return _dataset_names().get(name, name) + dash + target
