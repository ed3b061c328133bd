"""TrainerBase: named models with their optimizers and schedulers, and the skeleton of a training run."""

import os.path as osp
from collections import OrderedDict

import torch

from ..utils import save_checkpoint, tolist_if_not, trained_models


class TrainerBase:
    """Holds what is trained and saved, and calls the hooks of a run in order."""

    def __init__(self):
        self._models = OrderedDict()
        self._optims = OrderedDict()
        self._scheds = OrderedDict()
        self._writer = None

    # ---------------------------------------------------------------- models

    def register_model(self, name="model", model=None, optim=None, sched=None):
        """Let the trainer save, load, switch and step ``model`` under ``name``, which is also its folder's name."""
        if "_models" not in self.__dict__:
            raise AttributeError("call super().__init__() before register_model()")
        if name in self._models:
            raise ValueError(f"a model named {name!r} is already registered")
        self._models[name] = model
        self._optims[name] = optim
        self._scheds[name] = sched

    def get_model_names(self, names=None):
        """All names, or ``names`` (one or a list) after checking that they are registered."""
        if names is None:
            return list(self._models)
        names = tolist_if_not(names)
        for name in names:
            if name not in self._models:
                raise KeyError(f"no model named {name!r}; registered: {', '.join(self._models)}")
        return names

    def set_model_mode(self, mode="train", names=None):
        """Switch models to "train", or "test" or "eval"."""
        if mode not in ("train", "test", "eval"):
            raise KeyError(f"mode must be 'train', 'test' or 'eval', but got {mode!r}")
        for name in self.get_model_names(names):
            self._models[name].train(mode == "train")

    # ---------------------------------------------------------------- checkpoints

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name=""):
        """Save every model to ``directory/<name>/`` as ``model_name`` or ``model.pth.tar-<epoch + 1>``."""
        for name, model in self._models.items():
            optim, sched = self._optims[name], self._scheds[name]
            save_checkpoint(
                {
                    "state_dict": model.state_dict(),
                    "epoch": epoch + 1,
                    "optimizer": None if optim is None else optim.state_dict(),
                    "scheduler": None if sched is None else sched.state_dict(),
                    "val_result": val_result,
                },
                osp.join(directory, name),
                is_best=is_best,
                model_name=model_name,
            )

    resume_model_if_exist = trained_models.resume_model_if_exist
    load_model = trained_models.load_model

    # ---------------------------------------------------------------- one step

    def model_zero_grad(self, names=None):
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].zero_grad()

    def model_backward(self, loss):
        self.detect_anomaly(loss)
        loss.backward()

    def model_update(self, names=None):
        for name in self.get_model_names(names):
            if self._optims[name] is not None:
                self._optims[name].step()

    def model_backward_and_update(self, loss, names=None):
        """Zero the gradients, backpropagate ``loss`` and step the optimizers of ``names`` (default all)."""
        self.model_zero_grad(names)
        self.model_backward(loss)
        self.model_update(names)

    def detect_anomaly(self, loss):
        if not torch.isfinite(loss).all():
            raise FloatingPointError("Loss is infinite or NaN!")

    def update_lr(self, names=None):
        """Step the schedulers; trainers call this after the last batch of an epoch."""
        for name in self.get_model_names(names):
            if self._scheds[name] is not None:
                self._scheds[name].step()

    # ---------------------------------------------------------------- TensorBoard

    def init_writer(self, log_dir):
        if self.__dict__.get("_writer") is not None:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            print("tensorboard is not installed: scalars are not written (pip install tensorboard)")
            return
        print(f"Initialize tensorboard (log_dir={log_dir})")
        self._writer = SummaryWriter(log_dir=log_dir)

    def close_writer(self):
        if self._writer is not None:
            self._writer.close()

    def write_scalar(self, tag, scalar_value, global_step=None):
        """Record a number; without a writer (evaluation only) nothing happens."""
        if self._writer is not None:
            self._writer.add_scalar(tag, scalar_value, global_step)

    # ---------------------------------------------------------------- a run

    def train(self, start_epoch, max_epoch):
        """before_train; before_epoch, run_epoch, after_epoch for each epoch; after_train."""
        self.start_epoch = start_epoch
        self.max_epoch = max_epoch
        self.before_train()
        # Read again: before_train may have found a checkpoint to go on from.
        for epoch in range(self.start_epoch, self.max_epoch):
            self.epoch = epoch
            self.before_epoch()
            self.run_epoch()
            self.after_epoch()
        self.after_train()

    def before_train(self):
        pass

    def after_train(self):
        pass

    def before_epoch(self):
        pass

    def after_epoch(self):
        pass

    def run_epoch(self):
        raise NotImplementedError

    def test(self):
        raise NotImplementedError

    def parse_batch_train(self, batch):
        raise NotImplementedError

    def parse_batch_test(self, batch):
        raise NotImplementedError

    def forward_backward(self, batch):
        raise NotImplementedError

    def model_inference(self, input):
        raise NotImplementedError
