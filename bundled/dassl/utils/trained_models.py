"""A trainer's registered models from and to its output folder: the two methods of TrainerBase that read files."""

import os.path as osp

from . import checkpoints
from .errors import UserError


def resume_model_if_exist(self, directory):
    """Load the latest checkpoint of every model from ``directory``.

    Returns the epoch to go on with: 0 where a model has no checkpoint (a folder alone proves nothing). Raises
    UserError where a file is damaged or the models' checkpoints are of different epochs.
    """
    names = self.get_model_names()
    if not names or not all(osp.isfile(osp.join(directory, name, "checkpoint")) for name in names):
        print("No checkpoint found, train from scratch")
        return 0
    print(f"Found checkpoint at {directory} (will resume training)")
    epochs = {
        name: checkpoints.resume_from_checkpoint(
            osp.join(directory, name), self._models[name], self._optims[name], self._scheds[name]
        )
        for name in names
    }
    if len(set(epochs.values())) > 1:
        raise UserError(f"the models in {directory} are of different epochs: {epochs}; remove the newer files")
    return epochs[names[0]]


def load_model(self, directory, epoch=None):
    """Load ``model.pth.tar-<epoch>`` of every model, or ``model-best.pth.tar`` where ``epoch`` is None."""
    if not directory:
        print("Note that load_model() is skipped as no pretrained model is given (ignore this if it's intended)")
        return
    file = "model-best.pth.tar" if epoch is None else f"model.pth.tar-{epoch}"
    for name in self.get_model_names():
        path = osp.join(directory, name, file)
        checkpoint = checkpoints.load_checkpoint(path)
        if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
            raise UserError(f"{path} is not a training checkpoint: it lacks state_dict")
        checkpoints.fit(self._models[name], checkpoint["state_dict"], path)
        result = checkpoint.get("val_result")
        result = "none" if result is None else f"{result:.1f}"
        print(f"Load {path} to {name} (epoch={checkpoint.get('epoch')}, val_result={result})")
