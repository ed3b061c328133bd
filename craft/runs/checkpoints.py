"""What a run leaves on disk to be used again: learned prompts, and the state that an interrupted run goes on from.

Prompts: ``prompt_learner/model.pth.tar-N`` as in CoOp, with the backbone's fingerprint beside the weights. State:
``state.pth.tar``, rewritten atomically after every epoch with prompts, optimiser, all random generators and results,
so that the resumed run equals the uninterrupted one. Everything loads with ``weights_only=True``: a file runs no code.
"""

from __future__ import annotations

import pickle
import random
import shutil
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch

from craft.common.errors import UserError
from craft.common.files import atomic_path, write_text

FOLDER = "prompt_learner"
TEMPLATE = "DATASET.TEMPLATE"
STATE = "state.pth.tar"


def _write(path: Path, state: dict) -> None:
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _read(path: Path) -> dict:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, pickle.UnpicklingError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"cannot read checkpoint {path} ({reason[:150]}): damaged or not a checkpoint; delete it and train again"
        ) from error
    if not isinstance(state, dict):
        raise UserError(f"{path} is not a checkpoint of this project; give the output folder of a training run")
    return state


# -- prompts ----------------------------------------------------------------------------------------------------------


def save_model(trainer, epoch: int, directory, is_best: bool = False, val_result=None, model_name: str = "") -> None:
    """Write the learned prompts after ``epoch`` (counted from 0), and the pointer file ``checkpoint``."""
    folder = Path(directory) / FOLDER
    path = folder / (model_name or f"model.pth.tar-{epoch + 1}")
    state = {
        "state_dict": {name: value.detach().cpu() for name, value in trainer.model.state_dict().items()},
        "epoch": epoch + 1,
        "val_result": val_result,
        "trainer": trainer.cfg.TRAINER.NAME,
        "backbone": {"name": trainer.cfg.MODEL.BACKBONE.NAME, "fingerprint": trainer.fingerprint},
        "classnames": list(trainer.model.classnames),
        "dataset": _dataset(trainer),
        "presumes": trainer.model.presumes(),
    }
    _write(path, state)
    write_text(folder / "checkpoint", f"{path.name}\n")
    if is_best:
        with atomic_path(folder / "model-best.pth.tar") as temporary:
            shutil.copyfile(path, temporary)
    print(f"Checkpoint saved to {path}")


def _dataset(trainer) -> list[str]:
    """What the data are called: name, and the folder's, which tells one's own image folders apart."""
    return [trainer.cfg.DATASET.NAME, Path(getattr(trainer.dm.dataset, "dataset_dir", "")).name]


def load_model(trainer, directory, epoch: int | None = None) -> int | None:
    """Put learned prompts from ``directory`` into the trainer's model; see `PromptTrainer.load_model`.

    Returns the epoch that they are of; None where nothing was loaded, or a file of elsewhere does not say.
    """
    if not directory:
        print("Note that load_model() is skipped as no pretrained model is given")
        return None
    if not trainer.structure.trainable:
        return None
    folder = Path(directory) / FOLDER
    path = folder / (f"model.pth.tar-{epoch}" if epoch else "model-best.pth.tar")
    if not path.is_file():
        have = sorted(file.name for file in folder.glob("model*")) if folder.is_dir() else []
        remedy = f"the folder has {', '.join(have)}: choose with --load-epoch" if have else "train first"
        raise UserError(f"no such checkpoint: {path}; {remedy}")
    checkpoint = _read(path)
    epoch = load_weights(trainer.model, path, trainer.fingerprint, trainer.cfg.MODEL.BACKBONE.NAME)
    _check_presumed(trainer.model, checkpoint, path, checkpoint.get("dataset") == _dataset(trainer))
    print(f'Loading weights to {FOLDER} from "{path}" (epoch = {epoch})')
    return epoch


def _check_presumed(model, checkpoint: dict, path: Path, same_data: bool) -> None:
    """UserError where prompts would be read with other settings than they were learned for, which fits but means
    another model. A file that does not say (of before, or of elsewhere) is believed.

    Another data set has a template of its own; on the same one another template is another model.
    """
    then, now = checkpoint.get("presumes") or {}, model.presumes()
    different = [
        f"{key} {then[key]!r} there, {now[key]!r} now"
        for key in then
        if key in now and then[key] != now[key] and (same_data or key != TEMPLATE)
    ]
    classnames = checkpoint.get("classnames")
    if model.class_specific and classnames is not None and list(classnames) != list(model.classnames):
        different.append("a context a class, learned for other classes")
    if different:
        raise UserError(
            f"{path} was learned with other settings: {'; '.join(different)}; evaluate it with those that it was "
            "learned with"
        )


def last_epoch(directory) -> int | None:
    """The largest N of ``model.pth.tar-N`` in a run's folder; None where there is none."""
    numbers = [
        int(file.name.rpartition("-")[2])
        for file in (Path(directory) / FOLDER).glob("model.pth.tar-*")
        if file.name.rpartition("-")[2].isdigit()
    ]
    return max(numbers, default=None)


def load_weights(model, path, fingerprint: str, backbone: str) -> int | None:
    """Load a checkpoint's prompts into ``model``; UserError if they belong elsewhere. Returns its epoch."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no such checkpoint: {path}")
    checkpoint = _read(path)
    state = checkpoint.get("state_dict", checkpoint)
    origin = checkpoint.get("backbone")
    if isinstance(origin, dict) and origin.get("fingerprint") != fingerprint:
        raise UserError(
            f"{path} was learned on another backbone ({origin.get('name')}, {origin.get('fingerprint')}) than this "
            f"run's ({backbone}, {fingerprint}); set MODEL.BACKBONE.NAME to the one it was learned on"
        )
    # Checkpoints of the published trainers also hold the frozen token vectors of their class names.
    state = {name: value for name, value in state.items() if not name.startswith(("token_prefix", "token_suffix"))}
    own = model.state_dict()
    wrong = [
        f"{name} {tuple(state[name].shape) if name in state else 'missing'} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name not in state or state[name].shape != value.shape
    ]
    wrong += [f"{name} unknown" for name in state if name not in own]
    if wrong:
        raise UserError(
            f"{path} does not fit this trainer and its settings: {'; '.join(wrong[:3])}; use the trainer, "
            "configuration and classes that it was learned with"
        )
    broken = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise UserError(
            f"{path}: {broken[0]} is not finite; that training went wrong: train again with a lower OPTIM.LR"
        )
    model.load_state_dict(state)
    return checkpoint.get("epoch")


# -- state ------------------------------------------------------------------------------------------------------------


def save_state(trainer) -> None:
    """Everything the next epoch depends on, after ``trainer.epoch``."""
    _write(
        Path(trainer.output_dir) / STATE,
        {
            "epoch": trainer.epoch + 1,
            "trainer": trainer.cfg.TRAINER.NAME,
            "fingerprint": trainer.fingerprint,
            "model": trainer.model.state_dict(),
            "optim": trainer.optim.state_dict(),
            "scaler": trainer.scaler.state_dict(),
            "best_result": float(trainer.best_result),
            **trainer.log.state(),
            "random": random_state(),
        },
    )


def restore(trainer, directory) -> int:
    """Put the state found in ``directory`` into the trainer; returns the number of epochs already trained.

    0 where the folder holds no state yet (the run was interrupted in its first epoch: it starts over).
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise UserError(f"nothing to resume: no such folder: {folder}")
    path = folder / STATE
    if not path.is_file():
        print(f"No finished epoch in {folder}; starting from the beginning")
        return 0
    state = _read(path)
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
    epoch = state["epoch"]
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
    print(f"Resuming from {path}: {epoch} of {trainer.max_epoch} epochs are done")
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
