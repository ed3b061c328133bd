"""Learned prompts on disk: ``prompt_learner/model.pth.tar-N`` as in CoOp, with the backbone's fingerprint beside the
weights, and the same as safetensors in ``prompts-N.safetensors``, from where they are read first.

Nothing that a file holds is run. A checkpoint of elsewhere is read for its tensors, whatever else it holds; what we
wrote carries digests (the archive's CRC-32, SHA-256 in safetensors), and where one of the two files is damaged the
other is read, and said. The state that an interrupted run goes on from is in `craft.runs.states`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from torch import Tensor

from craft.common import pickled, tensor_files
from craft.common.errors import UserError
from craft.common.files import atomic_path, digest_file, write_text
from craft.runs.finite import not_finite

FOLDER = "prompt_learner"
TEMPLATE = "DATASET.TEMPLATE"
PTH, BEST = "model.pth.tar-", "model-best.pth.tar"


# -- files ------------------------------------------------------------------------------------------------------------


def _copy_of(path: Path) -> Path | None:
    """Where the prompts in ``path`` lie as safetensors; None for a file that is not named as ours are."""
    number = path.name.removeprefix(PTH)
    if path.name == BEST:
        number = "best"
    elif number == path.name or not number.isdigit():
        return None
    return path.with_name(f"prompts-{number}.safetensors")


def _write(path: Path, checkpoint: dict) -> None:
    tensor_files.write_pickled(path, checkpoint)
    copy = _copy_of(path)
    if copy:
        about = {key: value for key, value in checkpoint.items() if key != "state_dict"}
        metadata = {"format": "pt", "checkpoint": json.dumps(about), "written_with": digest_file(path)}
        tensor_files.write(copy, checkpoint["state_dict"], metadata)


def read(path: Path) -> dict:
    """The checkpoint in ``path``, from its copy where that is whole and still the same."""
    copied, written_with = _read_copy(path)
    if copied and path.is_file() and digest_file(path) == written_with:
        return copied
    try:
        found, _ = tensor_files.load(path)
    except pickled.Unreadable as error:
        if copied is None:
            raise
        print(f"{path} {error.reason}; its copy {_copy_of(path)} is read instead")
        return copied
    if copied:
        print(f"{path} is another file than its copy was made of: it is read, {_copy_of(path)} is not")
    if not isinstance(found, dict):
        raise UserError(
            f"{path} holds {pickled.kind(found)}, not a checkpoint: give one that has the weights by name, "
            "torch.save(model.state_dict(), file)"
        )
    return found


def _read_copy(path: Path) -> tuple[dict | None, str | None]:
    """The checkpoint that lies beside ``path`` as safetensors, and the digest of the file that it was written with."""
    copy = _copy_of(path)
    if copy is None or not copy.is_file():
        return None, None
    try:
        tensors, metadata = tensor_files.read(copy)
        return {**json.loads(metadata["checkpoint"]), "state_dict": tensors}, metadata.get("written_with")
    except (pickled.Unreadable, ValueError, KeyError, TypeError) as error:
        print(f"{copy} {getattr(error, 'reason', 'is none of this project')}; {path.name} is read instead")
        return None, None


# -- prompts ----------------------------------------------------------------------------------------------------------


def save_model(trainer, epoch: int, directory, is_best: bool = False, val_result=None, model_name: str = "") -> None:
    """Write the learned prompts after ``epoch`` (counted from 0), and the pointer file ``checkpoint``.

    UserError where they are not finite, or cannot be written; what was there before stays.
    """
    folder = Path(directory) / FOLDER
    path = folder / (model_name or f"{PTH}{epoch + 1}")
    not_finite(trainer.model.state_dict(), epoch + 1)
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
        with atomic_path(folder / BEST) as temporary:
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
    path = path_of(directory, epoch)
    checkpoint = read(path)
    epoch = fit(checkpoint, path, trainer.model, trainer.fingerprint, trainer.cfg.MODEL.BACKBONE.NAME)
    _check_presumed(trainer.model, checkpoint, path, checkpoint.get("dataset") == _dataset(trainer))
    print(f'Loading weights to {FOLDER} from "{path}" (epoch = {epoch})')
    return epoch


def path_of(directory, epoch: int | None) -> Path:
    """The checkpoint of an epoch in a run's folder, or of the best on validation images where it is None; UserError
    where it is not there."""
    folder = Path(directory) / FOLDER
    path = folder / (f"{PTH}{epoch}" if epoch else BEST)
    if not path.is_file():
        have = sorted(file.name for file in folder.glob("model*")) if folder.is_dir() else []
        remedy = f"the folder has {', '.join(have)}: choose with --load-epoch" if have else "train first"
        raise UserError(f"no such checkpoint: {path}; {remedy}")
    return path


def _check_presumed(model, checkpoint: dict, path: Path, same_data: bool) -> None:
    """UserError where prompts would be read with other settings than they were learned for, which fits but means
    another model. A file that does not say (of before, or of elsewhere) is believed.

    Another data set has a template of its own; on the same one another template is another model.
    """
    then, now = checkpoint.get("presumes"), model.presumes()
    then = then if isinstance(then, dict) else {}
    different = [
        f"{key} {then[key]!r} there, {now[key]!r} now"
        for key in then
        if key in now and then[key] != now[key] and (same_data or key != TEMPLATE)
    ]
    classnames = checkpoint.get("classnames")
    if model.class_specific and isinstance(classnames, list) and classnames != list(model.classnames):
        different.append("a context a class, learned for other classes")
    if different:
        raise UserError(
            f"{path} was learned with other settings: {'; '.join(different)}; evaluate it with those that it was "
            "learned with"
        )


def last_epoch(directory) -> int | None:
    """N of the ``model.pth.tar-N`` that ``checkpoint`` names in a run's folder; the largest there is where it names
    none that is there, None where there is none."""
    folder = Path(directory) / FOLDER
    numbers = [
        int(file.name.removeprefix(PTH))
        for file in folder.glob(f"{PTH}*")
        if file.name.removeprefix(PTH).isdigit() and file.is_file()
    ]
    try:
        named = (folder / "checkpoint").read_text(encoding="utf-8").strip().removeprefix(PTH)
    except (OSError, ValueError):
        named = ""
    return int(named) if named.isdigit() and int(named) in numbers else max(numbers, default=None)


def load_weights(model, path, fingerprint: str, backbone: str) -> int | None:
    """Load a checkpoint's prompts into ``model``; UserError if they belong elsewhere. Returns its epoch."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"no such checkpoint: {path}")
    return fit(read(path), path, model, fingerprint, backbone)


def fit(checkpoint: dict, path: Path, model, fingerprint: str, backbone: str) -> int | None:
    own = model.state_dict()
    found = checkpoint.get("state_dict", checkpoint)
    found = tensor_files.below_prefix(found, own) if isinstance(found, dict) else {}
    state = {name: value for name, value in found.items() if isinstance(value, Tensor)}
    origin = checkpoint.get("backbone")
    if isinstance(origin, dict) and origin.get("fingerprint") != fingerprint:
        raise UserError(
            f"{path} was learned on another backbone ({origin.get('name')}, {origin.get('fingerprint')}) than this "
            f"run's ({backbone}, {fingerprint}); set MODEL.BACKBONE.NAME to the one it was learned on"
        )
    # Checkpoints of the published trainers also hold the frozen token vectors of their class names.
    state = {name: value for name, value in state.items() if not name.startswith(("token_prefix", "token_suffix"))}
    wrong = [
        f"{name} {tuple(state[name].shape) if name in state else 'missing'} instead of {tuple(value.shape)}"
        for name, value in own.items()
        if name not in state or state[name].shape != value.shape
    ]
    wrong += [f"{name} unknown" for name in state if name not in own]
    if wrong:
        raise UserError(
            f"{path} does not fit this trainer and its settings: {'; '.join(wrong[:3])}; use the trainer, "
            "configuration, backbone and classes that it was learned with"
        )
    broken = [name for name, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    epoch = checkpoint.get("epoch")
    epoch = epoch if isinstance(epoch, int) else None
    if broken:
        after = f" after epoch {epoch}" if epoch else ""
        raise UserError(
            f"{path}: {broken[0]} is not finite{after}; that training went wrong: train again with a lower OPTIM.LR"
        )
    model.load_state_dict(state)
    return epoch
