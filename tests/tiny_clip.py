"""A CLIP small enough to train in a test, as a weight file, and whole runs of train.py in this process.

OpenAI's architecture and names at toy size with random weights: 16x16 images, patches of 8, two layers a tower. It
knows nothing; it shows that code runs and that numbers agree.
"""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from craft.clip.original import CLIP
from craft.common.files import read_json

SIZE, WIDTH, LAYERS, PATCH = 16, 64, 2, 8


def write_tiny_clip(path: Path, seed: int = 0) -> Path:
    """Save the state dict under OpenAI's names; the same seed gives the same weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        # One head a tower: OpenAI reckons with 64 dimensions each when a state dict is read back.
        model = CLIP(WIDTH, SIZE, LAYERS, WIDTH, PATCH, 77, 49408, WIDTH, 1, LAYERS)
        # As it is drawn, a tower this narrow sees hardly any difference between two texts.
        model.token_embedding.weight.data.mul_(10)
        model.logit_scale.data.fill_(3.0)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    return path


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory) -> str:
    """Path of a tiny CLIP's weights, for MODEL.BACKBONE.NAME. Import it into a test module to use it."""
    return str(write_tiny_clip(tmp_path_factory.mktemp("backbone") / "tiny.safetensors"))


@dataclass
class Run:
    """What a run of train.py left: exit status, what it printed, and its metrics.json (None if there is none)."""

    status: int
    out: str
    err: str
    metrics: dict | None

    @property
    def test(self) -> dict:
        """The results on the test split."""
        return self.metrics["results"]["test"]


def argv(folder: Path, arguments: tuple, options: tuple) -> list[str]:
    """A command line for train.py, small unless ``options`` say otherwise: two epochs, no worker processes."""
    small = ("OPTIM.MAX_EPOCH", 2, "OPTIM.WARMUP_EPOCH", 0, "DATALOADER.NUM_WORKERS", 0, "TRAIN.PRINT_FREQ", 1)
    small += ("OPTIM.NAME", "sgd", "OPTIM.LR", 0.01, "DATALOADER.TRAIN_X.BATCH_SIZE", 8)
    return [str(part) for part in (*arguments, "--output-dir", folder, *small, *options)]


def train(folder: Path, *arguments: str, options: tuple = ()) -> Run:
    """``train.py`` with ``arguments`` and trailing KEY VALUE ``options``, writing to ``folder``."""
    from craft.trainers import launch as script

    out, err, console = io.StringIO(), io.StringIO(), sys.stdout
    try:
        with contextlib.redirect_stderr(err):
            sys.stdout = out
            status = script.main(argv(folder, arguments, options))
    finally:
        log, sys.stdout = sys.stdout, console  # a run leaves its tee behind
        if hasattr(log, "file"):
            log.close()
    metrics = folder / "metrics.json"
    found = read_json(metrics) if metrics.is_file() else None
    return Run(status, out.getvalue(), err.getvalue(), found)


def build(folder: Path, *arguments: str, options: tuple = ()):
    """The trainer that such a run builds, before its first step."""
    from dassl.utils import set_random_seed

    from craft.config.commandline import parser
    from craft.trainers.engine.variants import build as build_trainer
    from craft.trainers.settings import setup_cfg

    cfg = setup_cfg(parser("").parse_args(argv(folder, arguments, options)))
    set_random_seed(cfg.SEED)
    return build_trainer(cfg)
