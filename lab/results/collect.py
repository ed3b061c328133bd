"""Finds runs below a folder: this project's (``run.json``, ``metrics.json``), and any repository's ``log.txt`` files.

Where a run belongs is read from its folder (`layouts`) and from what it says itself. What cannot be read is a run too,
with its reason: it takes no other's place, and blocks no table.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import read_sealed
from craft.lab.results import logs, sets
from craft.lab.results.layouts import dataset_name, guess_phase, place
from craft.lab.results.sets import DataSet
from craft.runs import identity, record
from craft.trainers.structures import host_name, structure_of

SKIP = {"prompt_learner", "tensorboard", ".git", "figures"}
#: settings of a run that no number depends on, beside those that `identity.settled` leaves out
COSMETIC = {"DATALOADER.NUM_WORKERS", "TEST.CACHE_FEATURES", "DATASET.ALLOW_SUBSET", "USE_CUDA"}
#: what a table names by itself: seed, shots, class half, method, data set
NAMED = {"SEED", "TRAINER.NAME", "DATASET.NAME", "DATASET.NUM_SHOTS", "DATASET.SUBSAMPLE_CLASSES", *sets.KEYS}
EPOCH_RULES = {"last_step": "last", "best_val": "best on validation images"}
CRAFT = ".CRAFT."  # in the keys that only training with Craft reads
SOURCE = "learned on"  # the setting that says whose prompts are tested


@dataclass(frozen=True)
class Result:
    """One run. phase: folder of a protocol's phase, or ``runs`` for a single run. dataset: what tables call its data
    set, unique among all runs that were collected. metrics: of the test images, empty unless state is done.

    state: done, interrupted, running, failed, or unreadable. data: which data set that is. settings: the resolved
    configuration as text, without what a table names and what no number depends on. backbone, source (whose prompts
    are tested: the label of a data set), classes, tested (images), epoch (its rule), split and shots (digests):
    empty or None where nothing says it. on_test: its numbers are of test images. remarks: what a table must say of it.
    """

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
    data: DataSet = field(default=DataSet(""), repr=False)
    settings: dict[str, str] = field(default_factory=dict, repr=False)
    backbone: str = ""
    source: str = ""
    classes: int | None = None
    tested: int | None = None
    epoch: str = ""
    split: str = ""
    few_shot: str = ""
    on_test: bool = True
    remarks: tuple[str, ...] = ()

    @property
    def told(self) -> dict[str, Any]:
        """Its record; empty for a run that left a log only."""
        return self.record or {}


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
    shown = sets.names(result.data for result in found if result.data.name)
    found = [replace(result, dataset=shown.get(result.data, result.dataset)) for result in found]
    trained = {result.folder.resolve(): result for result in found if result.record}
    return [_with_training(result, trained) for result in found]


def _with_training(result: Result, trained: dict[Path, Result]) -> Result:
    """An evaluation with Craft's settings of the run whose prompts it tested, which alone depended on them.

    Where that run was made anew since, the numbers are of prompts that are gone: they are left out.
    """
    model = ((result.record or {}).get("identity") or {}).get("model") or {}
    behind = trained.get(Path(model["path"]).parent.parent.resolve()) if model.get("path") else None
    if behind is None or behind.folder == result.folder or not result.metrics:
        return result
    begun = ((behind.record or {}).get("timing") or {}).get("started") or ""
    ended = ((result.record or {}).get("timing") or {}).get("finished") or ""
    if begun and ended and begun > ended:
        why = f"it tested prompts of {behind.folder}, which were trained anew since"
        return replace(result, state="failed", detail=why, metrics={})
    craft = {key: value for key, value in behind.settings.items() if CRAFT in key}
    return replace(result, settings=result.settings | craft)


def _read(folder: Path) -> Result:
    where = place(folder)
    try:
        own = record.read(folder)
        if own is None or "config" not in own:
            return _from_log(folder, where, own)
        return _from_record(folder, where, own)
    except UserError as error:
        return _unreadable(folder, where, str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:  # valid JSON, but not what a run writes
        return _unreadable(folder, where, f"{record.RECORD} or {record.METRICS} is not what a run writes: {error!r}")


def _unreadable(folder: Path, where: dict[str, Any], why: str) -> Result:
    label = where.get("dataset", "")
    name = dataset_name(label).partition("-")[0]
    return Result(
        phase=where.get("phase") or guess_phase("all"),
        dataset=dataset_name(label) or folder.parent.name,
        trainer=where.get("trainer", "unknown"),
        config=where.get("config", ""),
        shots=where.get("shots", 0),
        seed=where.get("seed", 0),
        folder=folder,
        state="unreadable",
        detail=why,
        data=sets.data_set(name, label, {}) if label else DataSet(""),
    )


# -- this project's runs ----------------------------------------------------------------------------------------------


def _from_record(folder: Path, where: dict[str, Any], own: dict[str, Any]) -> Result:
    config = own["config"]
    node, flat = config["DATASET"], identity.flatten(config)
    half = node.get("SUBSAMPLE_CLASSES", "all")
    state = record.state_of(folder)
    name, detail, remarks, facts = state.name, state.error, [], {}
    metrics: dict[str, float] = {}
    history: list = []
    on_test = True
    split = own.get("split") or {}
    tested = split.get("test")
    if name == "done":
        path, log = folder / record.METRICS, record.log_of(folder)
        if path.is_file():
            facts = read_sealed(path)
            metrics, on_test = _test_results(facts.get("results", {}))
            history = facts.get("history", [])
            tested = tested if on_test else split.get("val")
        elif log:
            metrics = logs.parse(log).metrics
            remarks.append(f"{folder} has no {record.METRICS}: its numbers are its log's, rounded")
        name, detail = ("done", "") if metrics else ("failed", "it is done but left no results")
        if metrics and (why := _nothing_learned(own, flat)):
            name, detail, metrics = "failed", why, {}
        if wrong := [metric for metric, value in metrics.items() if not math.isfinite(value)]:
            name, detail, metrics = "failed", f"{', '.join(wrong)} is no number", {}
    if metrics and not on_test:
        remarks.append(f"{folder} was tested on validation images only")
    classes = facts.get("classes") or split.get("classes")
    model = (own.get("identity") or {}).get("model") or {}
    source = place(Path(model["path"]).parent.parent).get("dataset", "") if model.get("path") else ""
    label = where.get("dataset", "")
    crafted = host_name(config["TRAINER"]["NAME"]) != config["TRAINER"]["NAME"] and own.get("mode") != "evaluate"
    read = {key: value for key, value in identity.settled(config).items() if crafted or CRAFT not in key}
    subset = (
        sets.found_part(split["subset"])
        if split.get("subset") is not None
        else sets.part_of(
            node["NAME"], half, classes, tested if on_test else None, bool(node.get("ALLOW_SUBSET")) and not classes
        )
    )
    return Result(
        phase=where.get("phase") or guess_phase(half),
        dataset=node["NAME"],
        trainer=config["TRAINER"]["NAME"],
        config=where.get("config", ""),
        shots=node["NUM_SHOTS"],
        seed=config["SEED"],
        folder=folder,
        state=name,
        detail=detail,
        metrics=metrics,
        record=own,
        history=history,
        data=sets.data_set(node["NAME"], label if where.get("phase") else "", flat, subset),
        settings=_settings(read, source if source != label else "", on_test),
        backbone=str(flat.get("MODEL.BACKBONE.NAME", "")),
        source=source,
        classes=classes,
        tested=tested,
        epoch=_epoch_rule(flat, model, metrics),
        split=str(split.get("digest") or ""),
        few_shot=str((split.get("parts") or {}).get("train") or "") if half != "new" else "",
        on_test=on_test,
        remarks=tuple(remarks),
    )


def _test_results(results: dict[str, dict[str, Any]]) -> tuple[dict[str, float], bool]:
    """The numbers of the test images; of the validation images, and False, where a run tested on them only."""
    chosen = results.get("test") or results.get("val") or {}
    numbers = {
        name: float(value)
        for name, value in chosen.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    return numbers, bool(results.get("test")) or not numbers


def _nothing_learned(own: dict[str, Any], flat: dict[str, Any]) -> str:
    """Why the numbers of a run that learns are those of prompts that never learned; empty where they are not."""
    structure = structure_of(flat["TRAINER.NAME"])
    if structure is None or not structure.trainable:
        return ""
    if own.get("mode") == "evaluate" and "model" in (own.get("identity") or {}) and not own["identity"]["model"]:
        return "it evaluated prompts that nobody had trained (no --model-dir)"
    if own.get("mode") == "train" and flat.get("OPTIM.MAX_EPOCH") == 0:
        return "it trained for no epoch"
    return ""


def _settings(settled: dict[str, Any], source: str, on_test: bool) -> dict[str, str]:
    found = {key: _plain(value) for key, value in settled.items() if key not in NAMED | COSMETIC}
    if source:
        found[SOURCE] = source
    found["tested on"] = "test images" if on_test else "validation images"
    return found


def _plain(value: Any) -> str:
    """One text for a value of a record and for the same in a log."""
    text = str(list(value) if isinstance(value, tuple) else value)
    if text[:1] == "(" and text[-1:] == ")":
        text = f"[{text[1:-1].rstrip(', ')}]"
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def _epoch_rule(flat: dict[str, Any], model: dict[str, Any], metrics: dict[str, float]) -> str:
    structure = structure_of(str(flat.get("TRAINER.NAME", "")))
    if not metrics or (structure is not None and not structure.trainable):
        return ""
    if model.get("path"):  # what was loaded says more than the configuration
        return "best on validation images" if Path(model["path"]).name.startswith("model-best") else "last"
    return EPOCH_RULES.get(str(flat.get("TEST.FINAL_MODEL", "")), "")


# -- anybody's logs ---------------------------------------------------------------------------------------------------


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
    half = said.get("DATASET.SUBSAMPLE_CLASSES", "all")
    label = where.get("dataset", "")
    phase = where.get("phase") or guess_phase(half)
    name = said.get("DATASET.NAME") or dataset_name(label).partition("-")[0] or folder.parent.name
    source = place(Path(log.arguments["model_dir"])).get("dataset", "") if log.arguments.get("model_dir") else ""
    if not source and where.get("foreign") and phase == "cross_dataset/test":
        source = "imagenet"  # whose prompts CoOp's scripts test in this layout
    subset = sets.part_of(name, half, log.classes, None, False)
    done = state == "done" and bool(log.metrics)
    return Result(
        phase=phase,
        dataset=name,
        trainer=where.get("trainer") or said.get("TRAINER.NAME") or "unknown",
        config=where.get("config", ""),
        shots=where.get("shots") or int(said.get("DATASET.NUM_SHOTS", 0)),
        seed=where["seed"] if "seed" in where else int(said.get("SEED", 0)),
        folder=folder,
        state="failed" if state == "done" and not done else state,
        detail=detail if done or detail else "it left no result",
        metrics=log.metrics if done else {},
        record=own,
        data=sets.data_set(name, label, said, subset),
        settings=_settings(
            identity.settled(said),
            source if source != label else "",
            True,
        ),
        backbone=said.get("MODEL.BACKBONE.NAME") or _backbone_of(where.get("config", "")),
        source=source,
        classes=log.classes,
        tested=log.tested,
        epoch=_epoch_rule(said | {"TRAINER.NAME": where.get("trainer", "")}, {}, log.metrics),
    )


def _backbone_of(config: str) -> str:
    """The backbone that CoOp's scripts have in a configuration's name: ``vit_b16_ep50`` is of ViT-B/16."""
    for start, name in (("vit_b16", "ViT-B/16"), ("vit_b32", "ViT-B/32"), ("rn101", "RN101"), ("rn50", "RN50")):
        if re.match(rf"{start}(_|/|$)", config):
            return name
    return ""
