"""One run, its folder, and what the folder says about it: ``run.json``.

A run is not started, running, interrupted at some epoch, done, or failed. `session` guards a run of ``train.py``: a
done run is not done again, an interrupted one goes on, and other settings in the same folder are refused. `state_of`
reads the state of any folder without loading anything else. A folder that exists proves nothing; only ``run.json``
does, which is written atomically, and a lock that goes with its process tells a running run from a killed one.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import shlex
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import read_sealed, write_sealed
from craft.common.memory import peak
from craft.common.switches import switched_off
from craft.runs import identity, shape
from craft.runs.explained import explained
from craft.runs.leftovers import clear, put_aside
from craft.runs.locks import lock, locked
from craft.runs.matching import differences, listed, parts_that_count

RECORD, METRICS = "run.json", "metrics.json"
STATES = ("state.pth.tar", "state-before.pth.tar")  # the newest, and the one before; see `craft.runs.states`


# -- reading a folder -------------------------------------------------------------------------------------------------


ANEW = "run anew in place of what is there with --force"


class DamagedRecord(UserError):
    """``run.json`` is there and says nothing that could be read."""


@dataclass(frozen=True)
class State:
    """name: not started, running, interrupted, done or failed. error: the last line of a failure."""

    name: str
    epoch: int = 0
    epochs: int = 0
    error: str = ""

    def __str__(self) -> str:
        if self.name in ("interrupted", "running") and self.epochs:
            return f"{self.name} at epoch {self.epoch}/{self.epochs}"
        return f"{self.name}: {self.error}" if self.error else self.name


def read(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The content of ``run.json``; None where there is none. DamagedRecord where it is damaged."""
    path = Path(folder) / RECORD
    if not path.is_file():
        return None
    try:
        found = read_sealed(path)
    except UserError as error:
        raise DamagedRecord(f"{path} is damaged ({error.__cause__ or error}); restore it, or {ANEW}") from error
    if wrong := shape.wrong(found):
        raise DamagedRecord(f"{path} {wrong}; restore it, or {ANEW}")
    return found


def state_of(folder: str | os.PathLike) -> State:
    """The state of the run in ``folder``; failed where its record is damaged."""
    try:
        found = read(folder)
    except UserError as error:
        return State("failed", error=str(error))
    if found is None:
        return State("running" if locked(folder) else "not started")
    name = found["state"]
    if name == "started":
        name = "running" if locked(folder) else "interrupted"
    return State(name, found.get("epoch", 0), found.get("epochs", 0), found.get("error") or "")


def log_of(folder: str | os.PathLike) -> Path | None:
    """The newest log in a run's folder: Dassl gives a second log of one folder the time as its ending."""
    logs = [path for path in Path(folder).glob("log.txt*") if path.is_file()]
    return max(logs, key=lambda path: (path.stat().st_mtime, path.name), default=None)


def mark_failed(folder: str | os.PathLike, error: str, command: list[str]) -> None:
    """Record a run that ended before it could say so itself (it did not get as far as its first line)."""
    write_sealed(Path(folder) / RECORD, {"state": "failed", "error": error, "command": shlex.join(command)})


# -- running ----------------------------------------------------------------------------------------------------------


#: what a command line can do about a folder that holds another run
REMEDY = "Choose another --output-dir, or replace that run with --force"


class OtherRun(UserError):
    """A folder holds a run that is not the one asked for."""


def what_to_do(
    folder: Path,
    config: dict,
    defaults: dict,
    mode: str = "train",
    model: dict | None = None,
    force: bool = False,
    absent: dict[str, Any] | None = None,
    data: Callable[[], dict[str, Any]] | None = None,
    remedy: str = REMEDY,
) -> str:
    """``new``, ``resume`` or ``done`` for a run with this nested ``config`` in ``folder``.

    defaults, absent: what keys count as that the folder's record does not know, see `identity.differences`. data: gives
    `identity.split_record` of the data as they are now; only asked where the folder holds a done run, which is done
    for these data or not at all. OtherRun where the folder holds the results or finished epochs of a run with other
    settings, weights or data; its message ends with ``remedy``.
    """
    if force:
        return "new"
    found = read(folder)
    if found is None or "config" not in found:
        return "new"
    done = found["state"] == "done"
    if not done and not has_state(folder):
        return "new"  # nothing there that could be lost
    different = differences(found, config, defaults, mode, absent)
    if different:
        raise OtherRun(f"{folder} holds a run with other settings: {listed(different)}. {remedy}")
    if not done:
        return "resume" if mode == "train" else "new"
    if mode == "evaluate" and (found["identity"].get("model") or {}).get("digest") != (model or {}).get("digest"):
        return "new"
    known = found.get("split")
    if known and data is not None:
        different = identity.data_differences(known, data(), parts_that_count(config, mode))
        if different:
            name = config["DATASET"]["NAME"]
            raise OtherRun(f"{folder} holds a run on other data than {name} is now: {listed(different)}. {remedy}")
    return "done"


def begun_in(source: str | os.PathLike, config: dict, defaults: dict, absent: dict | None = None) -> dict | None:
    """The data (`identity.split_record`) of the run in ``source``, whose state a run with this ``config`` goes on from.

    None where no state is there. UserError where that run has other settings, or no record.
    """
    source = Path(source)
    found = read(source)
    if found is None or "config" not in found:
        if has_state(source):
            raise UserError(
                f"--resume {source}: it has {STATES[0]} but no {RECORD} that says with which settings it was trained; "
                "put its record beside it, or train anew without --resume"
            )
        return None
    different = differences(found, config, defaults, "train", absent)
    if different:
        raise UserError(
            f"--resume {source}: that run has other settings: {listed(different)}. Resume it with its own settings, "
            "or train anew without --resume"
        )
    return found.get("split")


def has_state(folder: str | os.PathLike) -> bool:
    """Whether a run could go on from what is in ``folder``."""
    return any((Path(folder) / name).is_file() for name in STATES)


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


class Session:
    """A run while it lasts. todo: ``new``, ``resume`` or ``done``."""

    def __init__(self, folder: Path, todo: str, record: dict[str, Any], force: bool):
        self.folder, self.todo, self.record, self.force = folder, todo, record, force
        self.clock = time.monotonic()
        self.before = record["timing"]["seconds"]
        #: the data of the epochs that were trained before, where the run goes on from such
        self.begun_with: dict[str, Any] | None = record.get("split")

    @property
    def done(self) -> bool:
        return self.todo == "done"

    def update(self, **values: Any) -> None:
        """Put values into ``run.json``, with the time and memory used so far."""
        self.record.update(values)
        self.record["timing"]["seconds"] = round(self.before + time.monotonic() - self.clock, 2)
        self.record["peak_memory_mb"] = _peak_memory()
        write_sealed(self.folder / RECORD, self.record)

    def note(
        self,
        split: dict[str, Any],
        device,
        epochs: int,
        anchors: str | None = None,
        backbone: dict[str, str] | None = None,
        texts: dict[str, Any] | None = None,
    ) -> None:
        """Take note of what was built: `identity.split_record` of the data, the device, how many epochs there will be,
        the cache key of the static anchors, the backbone's name and fingerprint, and which texts classes get.

        UserError where the run goes on with other images or class names than it began with.
        """
        config = self.record["config"]
        if self.begun_with and split:
            # A test image that was restored meanwhile has no part in what was learned so far.
            learned_from = tuple(part for part in identity.PARTS if part != "test")
            parts = parts_that_count(config, "train")
            changed = identity.data_differences(self.begun_with, split, parts, learned_from)
            if changed:
                raise UserError(
                    f"the data of {config['DATASET']['NAME']} are not those that {self.folder} was begun with: "
                    f"{listed(changed)}; restore them, or begin anew with --force"
                )
        self.record["identity"] |= {"data": split.get("digest"), "classnames": split.get("classnames")}
        self.update(
            backbone=backbone,
            split=split,
            device=_device(device),
            anchors=anchors,
            texts=texts,
            epochs=epochs if self.record["mode"] == "train" else 0,
        )

    def epoch_done(self, epoch: int) -> None:
        """Take note of a finished epoch, counted from 1."""
        self.update(epoch=epoch)


def _device(device) -> dict[str, Any]:
    import torch

    if device.type == "cuda":
        return {"type": "cuda", "name": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    from craft.clip.products import onednn_is_faster

    return {"type": device.type, "threads": torch.get_num_threads(), "onednn": onednn_is_faster()}


def _peak_memory() -> dict[str, float]:
    """Largest resident memory of the process, and of the GPU where one was used, in MiB."""
    found = {"host": round(peak() / 2**20, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


@contextlib.contextmanager
def session(
    config: dict,
    defaults: dict,
    command: list[str],
    mode: str = "train",
    model: dict | None = None,
    force: bool = False,
    versions: dict[str, str] | None = None,
    absent: dict[str, Any] | None = None,
    data: Callable[[], dict[str, Any]] | None = None,
) -> Iterator[Session]:
    """Guard one run in ``config["OUTPUT_DIR"]``.

    Args:
        config: the resolved configuration, nested. defaults: that of an empty command line, for keys unknown then.
        command: for the record. mode: ``train`` or ``evaluate``. model: `identity.model_record` of an evaluation.
        force: replace whatever run the folder holds. versions: of what is used beside `identity.versions`.
        absent: flat, in place of defaults for keys that were not without effect before they existed.
        data: `identity.split_record` of the data as they are now, when it is asked for; see `what_to_do`.

    The run is ``started`` before the block, ``done`` after it, ``failed`` with its error's last line where the block
    raises; an interrupt leaves it ``started``, as a kill does. Busy where another process works in the folder,
    OtherRun where it holds a run with other settings.
    """
    folder = Path(config["OUTPUT_DIR"])
    without = switched_off()
    if without:
        print(f"Switched off: {', '.join(without)}")
    with lock(folder):
        todo = what_to_do(folder, config, defaults, mode, model, force, absent, data)
        try:
            previous = read(folder) or {}
        except DamagedRecord:  # replaced by force
            previous = {}
        code = identity.code_digest()
        if todo == "done":
            yield Session(folder, todo, previous, force)
            return
        record: dict[str, Any] = {
            "state": "started",
            "mode": mode,
            "epoch": 0,
            "epochs": 0,
            "error": None,
            "command": shlex.join(command),
            "identity": {
                "config": identity.config_digest(config),
                "code": code,
                "data": None,
                "classnames": None,
                "weights": identity.weight_files(config),
                "model": model,
            },
            "versions": identity.versions() | (versions or {}),
            "without": without,
            "timing": {"started": _now(), "finished": None, "seconds": 0.0, "sessions": []},
            "config": config,
        }
        if todo == "resume":
            record["epoch"], record["timing"], record["split"] = (
                previous.get("epoch", 0),
                {"seconds": 0.0, "sessions": [], **(previous.get("timing") or record["timing"])},
                previous.get("split"),
            )
            earlier = (previous.get("identity") or {}).get("code", code)
            if earlier != code:
                # Not refused: a fixed typo must not cost a week of training. But never hidden.
                print(f"Note: this run was begun by another version of the code ({earlier}, now {code})")
                record["identity"]["code"] = f"{earlier}+{code}" if code not in earlier.split("+") else earlier
        elif "config" in previous or force:
            clear(folder)
        elif mode == "train":  # no record says whose it is
            goes_on_from = config["RESUME"] and Path(config["RESUME"]).resolve() == folder.resolve()
            put_aside(folder, but=STATES if goes_on_from else ())
        record["timing"]["sessions"].append({"started": _now(), "host": socket.gethostname(), "pid": os.getpid()})
        run = Session(folder, todo, record, force)
        run.update()
        try:
            yield run
        except Exception as raised:
            error = explained(raised, config, mode)
            message = str(error).strip().splitlines() or [type(error).__name__]
            last = message[-1] if isinstance(error, UserError) else f"{type(error).__name__}: {message[-1]}"
            try:
                run.update(state="failed", error=last, traceback=traceback.format_exc())
            except UserError as unwritten:  # a full disk takes the record, too: what came first is what is told
                print(f"Note: {unwritten}", file=sys.stderr)
            if error is raised:
                raise
            raise error from raised
        record["timing"]["finished"] = _now()
        run.update(state="done")
