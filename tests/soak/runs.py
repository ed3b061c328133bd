"""Short runs of every trainer on the embedded digits and backbone, and the numbers that they leave in their folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.soak.children import Child, Ended

EPOCHS = 3
SETTINGS = [
    *("DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", str(EPOCHS), "DATALOADER.NUM_WORKERS", "0"),
    *("DATALOADER.TRAIN_X.BATCH_SIZE", "5", "DATALOADER.TRAIN_U.BATCH_SIZE", "5", "TRAIN.CHECKPOINT_FREQ", "1"),
]


def trainers() -> list[str]:
    from craft.trainers.structures import trainer_names

    return trainer_names()


def arguments(folder: Path, trainer: str, *options: str, epochs: int = EPOCHS) -> list[str]:
    """Of ``craft``: a run of ``trainer`` in ``folder``."""
    shifted = ["--dataset-config-file", "digits_shift"] if trainer.endswith("OOD") else []
    draws = ["DATASET.CACHE_DIR", str(folder.parent / "draws")]
    more = ["OPTIM.MAX_EPOCH", str(epochs)]
    return ["train", "--trainer", trainer, "--output-dir", str(folder), *shifted, *options, *SETTINGS, *draws, *more]


def train(folder: Path, trainer: str, *options: str, epochs: int = EPOCHS, **how) -> Ended:
    return Child(arguments(folder, trainer, *options, epochs=epochs), **how).wait()


def numbers(folder: Path) -> dict[str, Any]:
    """All that a finished run has to say, but times: ``metrics.json``, and a digest of the learned tensors."""
    return {**json_of(folder / "metrics.json"), "learned": learned(folder)}


def json_of(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def learned(folder: Path, files: str = "model*") -> dict[str, str]:
    """Learned prompts by file: digest of the tensors' bytes."""
    found = {}
    for path in sorted((folder / "prompt_learner").glob(files)):
        state = hashlib.sha256()
        for name, value in sorted(_tensors(path).items()):
            state.update(f"{name} {value.dtype} {value.shape}".encode())
            state.update(np.ascontiguousarray(value).tobytes())
        found[path.name] = state.hexdigest()
    return found


def _tensors(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        return load_file(path)
    import torch

    found = torch.load(path, map_location="cpu", weights_only=True)
    return {name: value.numpy() for name, value in found.get("state_dict", found).items()}


def same(folder: Path, expected: dict[str, Any]) -> bool:
    """Whether a folder holds exactly these `numbers`."""
    try:
        return numbers(folder) == expected
    except (OSError, ValueError):
        return False
