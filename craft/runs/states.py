"""The state that an interrupted run goes on from: ``state.pth.tar``, with prompts, optimiser, all random generators and
results, so that the resumed run equals the uninterrupted one.

It is rewritten atomically after every epoch, and within one where TRAIN.CHECKPOINT_STEPS asks for it; the one before
stays as ``state-before.pth.tar``. A state that is damaged (its archive's CRC-32 is checked) or holds a number that is
not finite is put aside, and the run goes on from the one before, as it does from any. Nothing in it is run.
"""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from craft.common import pickled, tensor_files
from craft.common.errors import UserError
from craft.runs.finite import broken, not_finite
from craft.runs.record import STATES

STATE, BEFORE = STATES
DAMAGED = "state-damaged.pth.tar"
PARTS = {"epoch", "trainer", "fingerprint", "model", "optim", "scaler", "best_result", "random", "history", "results"}


def save_state(trainer, epochs: int, within: dict[str, Any] | None = None) -> None:
    """Everything that the rest of a run depends on, after so many whole ``epochs`` and, where the next one has begun,
    ``within`` it (the trainer says where).

    UserError where a number is not finite, or the file cannot be written; the state of before stays.
    """
    folder = Path(trainer.output_dir)
    check_state(trainer)
    state = {
        "epoch": epochs,
        "trainer": trainer.cfg.TRAINER.NAME,
        "fingerprint": trainer.fingerprint,
        "model": trainer.model.state_dict(),
        "optim": trainer.optim.state_dict(),
        "scaler": trainer.scaler.state_dict(),
        "best_result": float(trainer.best_result),
        **trainer.log.state(),
        "random": random_state(),
        "within": within,
    }
    tensor_files.write_pickled(folder / STATE, state, before=folder / BEFORE)


def check_state(trainer) -> None:
    """UserError where something that a state would hold is not finite: prompts, their average, the optimiser's."""
    not_finite({**trainer.model.state_dict(), **_of_optimiser(trainer.optim.state_dict())}, trainer.epoch + 1)


def _of_optimiser(state: dict) -> dict[str, torch.Tensor]:
    """Tensors of an optimiser's state dict, by a name for people."""
    return {
        f"{name} of the optimiser": value
        for values in state["state"].values()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }


def _read(path: Path) -> dict:
    """The state in ``path``; Unreadable where it is not whole or holds what is not finite."""
    state = pickled.load(path)
    if not isinstance(state, dict) or not set(state) >= PARTS:
        raise pickled.Unreadable(path, "is no state of a run")
    wrong = broken({**state["model"], **_of_optimiser(state["optim"])})
    if wrong:
        raise pickled.Unreadable(path, f"is of no use: {wrong} is not finite in it")
    return state


def _newest(folder: Path, own: bool) -> tuple[Path, dict] | None:
    """The newest state in ``folder`` that is whole; damaged ones are put aside where the folder is the run's own."""
    last = None
    for path in (folder / STATE, folder / BEFORE):
        if not path.is_file():
            continue
        try:
            return path, _read(path)
        except pickled.Unreadable as error:
            last = error
            print(f"{path} {error.reason}; going on from the state before it")
            if own:  # or it would become the state before
                with contextlib.suppress(OSError):
                    os.replace(path, folder / DAMAGED)
    if last and not own:
        raise UserError(f"{last.path} {last.reason}; no other state is there: train anew without --resume") from last
    return None


def restore(trainer, directory) -> int:
    """Put the state found in ``directory`` into the trainer; returns the number of epochs already trained.

    0 where the folder holds no state yet (the run was interrupted in its first epoch: it starts over). Where the state
    is of within an epoch, ``trainer.within`` says where.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise UserError(f"nothing to resume: no such folder: {folder}")
    found = _newest(folder, own=folder.resolve() == Path(trainer.output_dir).resolve())
    if found is None:
        print(f"No finished epoch in {folder}; starting from the beginning")
        return 0
    path, state = found
    for key, ours in (("trainer", trainer.cfg.TRAINER.NAME), ("fingerprint", trainer.fingerprint)):
        if state.get(key) != ours:
            raise UserError(f"{path} belongs to another run: its {key} is {state.get(key)}, this run's is {ours}")
    try:
        trainer.model.load_state_dict(state["model"])
        trainer.optim.load_state_dict(state["optim"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} does not fit these settings ({str(error).splitlines()[0]}); resume with the "
            "configuration the run was started with"
        ) from error
    trainer.scaler.load_state_dict(state["scaler"])
    epoch, trainer.within = state["epoch"], state.get("within")
    if epoch > trainer.max_epoch:
        raise UserError(
            f"{path} has {epoch} epochs behind it, OPTIM.MAX_EPOCH is {trainer.max_epoch}; resume it with its own "
            "settings, or train anew without --resume"
        )
    # A warm-up scheduler's own state is not plain data in upstream Dassl; stepping it again gives the same.
    rates = [group["lr"] for group in trainer.optim.param_groups]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(epoch):
            trainer.sched.step()
    for group, rate in zip(trainer.optim.param_groups, rates):
        group["lr"] = rate
    trainer.best_result = state["best_result"]
    trainer.log.restore(state)
    set_random_state(state["random"])
    steps = f", and {trainer.within['steps']} steps of the next" if trainer.within else ""
    print(f"Resuming from {path}: {epoch} of {trainer.max_epoch} epochs are done{steps}")
    return epoch


def random_state() -> dict:
    """State of Python's, NumPy's and torch's generators, as plain data and tensors."""
    numpy_state = np.random.get_state()
    assert isinstance(numpy_state, tuple)  # the default; a dictionary comes on request
    name, keys, *rest = numpy_state
    state = {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_random_state(state: dict) -> None:
    """The inverse of `random_state`; CUDA's generators only where the same number of devices is there."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
