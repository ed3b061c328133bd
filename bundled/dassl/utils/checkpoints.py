"""Checkpoints: written whole or not at all, and read without running anything that they contain.

A checkpoint is what Dassl writes: ``{"state_dict", "epoch", "optimizer", "scheduler", "val_result"}`` in
``<output>/<model name>/model.pth.tar-<epoch>``, and beside it a text file ``checkpoint`` that names the latest.
"""

from __future__ import annotations

import collections
import contextlib
import os.path as osp
import pickle
import re
import shutil

import numpy as np
import torch

from .errors import UserError
from .files import atomic_path, write_text

try:
    from craft.common.pickled import load as read_tensors
except ImportError:  # without Craft: torch's own reader, which is safe from torch 2.10 on
    read_tensors = None


class MissingCheckpoint(UserError, FileNotFoundError):
    """No checkpoint where one was expected; Dassl raises FileNotFoundError there."""


def save_checkpoint(state, save_dir, is_best=False, remove_module_from_keys=True, model_name="") -> None:
    """Write ``state`` to ``save_dir`` as ``model_name`` (default ``model.pth.tar-<epoch>``), then point to it.

    Args:
        state: the checkpoint; ``state_dict`` and ``epoch`` are required.
        is_best: also keep a copy as ``model-best.pth.tar``.
        remove_module_from_keys: drop the ``module.`` that DataParallel puts in front of parameter names.
    """
    if remove_module_from_keys:
        state["state_dict"] = collections.OrderedDict(
            (key.removeprefix("module."), value) for key, value in state["state_dict"].items()
        )
    name = model_name or f"model.pth.tar-{state['epoch']}"
    path = osp.join(save_dir, name)
    with atomic_path(path) as temporary, _full_disk_is_an_oserror():
        torch.save(_plain(state), temporary)
    print(f"Checkpoint saved to {path}")
    # Only now that the new file is whole may `checkpoint` point to it.
    write_text(osp.join(save_dir, "checkpoint"), name + "\n")
    if is_best:
        best = osp.join(save_dir, "model-best.pth.tar")
        with atomic_path(best) as temporary:
            shutil.copyfile(path, temporary)
        print(f'Best checkpoint saved to "{best}"')


@contextlib.contextmanager
def _full_disk_is_an_oserror():
    """torch's zip writer reports a failed write as RuntimeError; atomic_path explains OSErrors."""
    try:
        yield
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error) and "unexpected pos" not in str(error):
            raise
        raise OSError(0, "the disk may be full") from error


def _plain(value):
    """``value`` with NumPy scalars as Python numbers: the only common guest that weights_only would refuse."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict) and type(value) in (dict, collections.OrderedDict):
        return type(value)((key, _plain(item)) for key, item in value.items())
    if type(value) in (list, tuple):
        return type(value)(_plain(item) for item in value)
    return value


def load_checkpoint(fpath):
    """The checkpoint in ``fpath``, on the CPU; nothing in it is run.

    Beside Craft its reader is used, which takes tensors and plain values and passes over everything else. Alone it is
    torch's, with ``weights_only=True``: files of upstream Dassl pickle a scheduler (and its optimizer) whole; those few
    classes are read into empty stand-ins that only keep their attributes, and what else is no tensor or plain value is
    refused.

    Raises:
        MissingCheckpoint: no such file.
        UserError: the file is truncated, damaged, or holds something that would have to be executed.
    """
    if fpath is None:
        raise ValueError("File path is None")
    if not osp.isfile(fpath):
        raise MissingCheckpoint(f"no checkpoint at {fpath}; check the folder and the epoch")
    if read_tensors is not None:
        return read_tensors(fpath)
    try:
        with _allowed([*STAND_INS, collections.Counter, dict]):
            return torch.load(fpath, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise UserError(f"cannot read {fpath}: {error.strerror}") from error
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL ([\w.]+)", str(error)) or re.search(r"unrecognized function (.+)", str(error))
        what = f"it would run {refused[1]}" if refused else "it is not a checkpoint or was damaged"
        raise UserError(f"refusing to load {fpath}: {what}; use a checkpoint that you trust") from error
    except Exception as error:  # damaged bytes can raise anything in the zip reader and the unpickler
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{fpath} is truncated or damaged ({reason[0][:120]}); go on from an earlier one") from error


def fit(model, state_dict, fpath, strict=True) -> None:
    """``model.load_state_dict(state_dict)``; a misfit is a UserError that names the file and the first difference."""
    try:
        model.load_state_dict(state_dict, strict=strict)
    except (RuntimeError, AttributeError, TypeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"{fpath} does not fit this model: {' '.join(lines[1:2] or lines[:1])[:200]} "
            "Was it trained with another backbone, data set or configuration?"
        ) from error


def resume_from_checkpoint(fdir, model, optimizer=None, scheduler=None) -> int:
    """Load the latest checkpoint in ``fdir`` into model, optimizer and scheduler; return the next epoch (from 0).

    Raises:
        UserError: nothing to resume from, a damaged file, or one of another model.
    """
    pointer = osp.join(fdir, "checkpoint")
    try:
        with open(pointer, encoding="utf-8") as stream:
            name = osp.basename(stream.readline().strip())
    except FileNotFoundError:
        raise MissingCheckpoint(f"no file {pointer}, so nothing to resume; remove {fdir} to start afresh") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {pointer} ({error}); delete it to start afresh") from error
    if not name:
        raise UserError(f"{pointer} is empty; delete it to start afresh")
    fpath = osp.join(fdir, name)
    print(f'Loading checkpoint from "{fpath}"')
    checkpoint = load_checkpoint(fpath)
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint or "epoch" not in checkpoint:
        raise UserError(f"{fpath} is not a training checkpoint: it lacks state_dict or epoch")
    fit(model, checkpoint["state_dict"], fpath)
    print("Loaded model weights")
    for kind, target in (("optimizer", optimizer), ("scheduler", scheduler)):
        if target is not None and checkpoint.get(kind) is not None:
            fit_training_state(target, checkpoint[kind], fpath, kind)
            print(f"Loaded {kind}")
    print(f"Previous epoch: {checkpoint['epoch']}")
    return checkpoint["epoch"]


def fit_training_state(target, state, fpath, kind) -> None:
    """``target.load_state_dict(state)`` for an optimizer or scheduler; a misfit is a UserError."""
    try:
        target.load_state_dict(state)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{fpath} was written with another {kind} ({error}); resume with the same OPTIM") from error


# ---------------------------------------------------------------- warm-up schedulers in a checkpoint


def warmup_state_dict(self) -> dict:
    """State of a warm-up scheduler as plain values, its successor's nested under ``successor``.

    Upstream keeps the successor itself, and with it a second optimizer: weights_only refuses the file, and a
    resumed run steps the copy, so that its learning rate no longer moves.
    """
    state = {key: value for key, value in vars(self).items() if key not in ("optimizer", "successor")}
    state["successor"] = self.successor.state_dict()
    return state


def load_warmup_state_dict(self, state: dict) -> None:
    """Inverse of :func:`warmup_state_dict`; also takes upstream's, whose successor was read into a stand-in."""
    state = dict(state)
    inner = state.pop("successor")
    inner = dict(inner if isinstance(inner, dict) else vars(inner))
    inner.pop("optimizer", None)
    vars(self).update(state)
    self.successor.load_state_dict(inner)


def _stand_in(path: str) -> type:
    module, _, name = path.rpartition(".")
    return type(name, (), {"__module__": module, "__qualname__": name, "__doc__": "Attributes only; runs nothing."})


STAND_INS = [
    _stand_in(path)
    for path in (
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "torch.optim.lr_scheduler.StepLR",
        "torch.optim.lr_scheduler.MultiStepLR",
        "torch.optim.sgd.SGD",
        "torch.optim.adam.Adam",
        "torch.optim.adamw.AdamW",
        "torch.optim.rmsprop.RMSprop",
        "dassl.optim.radam.RAdam",
    )
]


def _plain_dict(factory=None):
    """Stands in for ``collections.defaultdict``, which pickled optimizers hold and weights_only cannot fill."""
    return {}


_plain_dict.__module__, _plain_dict.__name__, _plain_dict.__qualname__ = "collections", "defaultdict", "defaultdict"
STAND_INS.append(_plain_dict)


def _allowed(classes):
    """A context in which weights_only accepts ``classes``; torch 2.4 can only allow them for good."""
    if hasattr(torch.serialization, "safe_globals"):
        return torch.serialization.safe_globals(classes)
    torch.serialization.add_safe_globals(classes)
    return contextlib.nullcontext()
