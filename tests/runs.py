"""Runs of train.py inside the test process, small enough to be many."""

import contextlib
import json
from unittest import mock

from craft.trainers import launch as train

QUICK = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]


def run(folder, trainer, *options, settings=QUICK, overrides=()):
    """Exit status of ``train.py --trainer TRAINER --output-dir FOLDER …``."""
    return train.main(["--trainer", trainer, "--output-dir", str(folder), *options, *map(str, (*settings, *overrides))])


def metrics(folder):
    """The run's metrics.json."""
    return json.loads((folder / "metrics.json").read_text())


@contextlib.contextmanager
def interrupted_after(epochs):
    """Within the block a run is interrupted after so many epochs, as by a key."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    original = PromptTrainer.run_epoch

    def run_epoch(self):
        if self.epoch == epochs:
            raise KeyboardInterrupt
        original(self)

    with mock.patch.object(PromptTrainer, "run_epoch", run_epoch):
        yield
