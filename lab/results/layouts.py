"""What a run's folder says of it: the layouts of this project's sweeps, and of CoOp's, MaPLe's, PromptSRC's."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import yaml

from craft.common.places import configs
from craft.lab.sweeps.catalogue import PROTOCOLS, SINGLE_RUNS

SHOTS = re.compile(r"^(?P<config>.+)_(?P<shots>\d+)shots?$")


def place(folder: Path) -> dict[str, Any]:
    """What a run's path says: phase, dataset, shots, trainer, config, seed; empty for an unknown layout.

    ``foreign`` is True for the layouts of CoOp's scripts that no sweep of this project writes.
    """
    parts = folder.resolve().parts
    seed = re.fullmatch(r"seed(\d+)", parts[-1])
    if not seed:
        return {}
    found: dict[str, Any] = {"seed": int(seed[1])}
    parts = parts[:-1]
    # …/<phase>/<data set>/shots_<K>/<trainer>/<config>: base-to-new everywhere, and all of ours
    if len(parts) >= 5 and (shots := re.fullmatch(r"shots_(\d+)", parts[-3])):
        above = "/".join(parts[:-4])
        phase = next((phase for phase in phases() if above == phase or above.endswith("/" + phase)), "")
        trainer, config = parts[-2:]
        return found | {
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
        return found | {
            "phase": phase,
            "dataset": dataset,
            "shots": int(match["shots"]),
            "trainer": trainer,
            "config": "/".join([match["config"], *rest]),
            "foreign": True,
        }
    return found


def phases() -> list[str]:
    """The folders of all phases that are declared now, the longest first."""
    return sorted({p.folder for protocol in PROTOCOLS.values() for p in protocol.phases}, key=len, reverse=True)


def guess_phase(subsample: str) -> str:
    """The phase of a run in an unknown layout: the first that is on this half of the classes, or single runs."""
    half = ("DATASET.SUBSAMPLE_CLASSES", subsample)
    every = (phase for protocol in PROTOCOLS.values() for phase in protocol.phases)
    return next((phase.folder for phase in every if half in phase.options), SINGLE_RUNS.phases[0].folder)


@functools.cache
def _stock() -> dict[str, str]:
    names = {}
    for path in (configs() / "datasets").glob("*.yaml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        if name := content.get("DATASET", {}).get("NAME"):
            names[path.stem] = name
    return names


def stock_name(stem: str) -> str:
    """The registered name in this project's own ``configs/datasets/<stem>.yaml``; empty where there is none."""
    return _stock().get(stem, "")


def dataset_name(stem: str) -> str:
    """``Caltech101`` of ``caltech101``: the registered name behind a configuration's; unknown ones stay as they are."""
    name, dash, target = stem.partition("-")
    return stock_name(name) + dash + target if stock_name(name) else stem
