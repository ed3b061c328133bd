"""What a run said of every image that it was tested on: ``predictions_<split>.safetensors`` in its folder.

Logits of all classes, the label and the path of each image, so that whatever is asked later (which were wrong, how sure
it was, other measures) needs no model and no images.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from craft.common import tensor_files
from craft.common.errors import UserError

SMALL = 2**22  # logits: what TEST.PREDICTIONS small keeps at most (16 MiB)
FILE = "predictions_{}.safetensors"


@dataclass
class Predictions:
    """logits: (N, C) float32. labels: (N,) int64. images: N paths below ``root``. classnames: C names, by label."""

    logits: Tensor
    labels: Tensor
    images: list[str]
    root: str
    classnames: list[str]
    split: str = "test"

    @property
    def predicted(self) -> Tensor:
        """(N,) int64, the likeliest class of each image."""
        return self.logits.argmax(dim=1)

    def top(self, k: int) -> float:
        """Percentage of images whose class is among the ``k`` likeliest."""
        best = self.logits.topk(min(k, self.logits.shape[1])).indices
        return 100.0 * (best == self.labels[:, None]).any(dim=1).double().mean().item()

    def mean_per_class(self) -> float:
        """Mean over the classes that have images of the percentage of each that is right."""
        right = (self.predicted == self.labels).double()
        counts = torch.bincount(self.labels, minlength=self.logits.shape[1])
        hits = torch.bincount(self.labels, weights=right, minlength=self.logits.shape[1])
        return 100.0 * (hits[counts > 0] / counts[counts > 0]).mean().item()


def wanted(choice: str, images: int, classes: int) -> bool:
    """Whether TEST.PREDICTIONS (``small``, ``all`` or ``none``) keeps so many logits."""
    return choice == "all" or (choice == "small" and images * classes <= SMALL)


def write(folder: str | os.PathLike, found: Predictions) -> Path:
    """The file in a run's folder, whole or not there."""
    path = Path(folder) / FILE.format(found.split)
    about = {"images": found.images, "root": found.root, "classes": found.classnames, "split": found.split}
    metadata = {name: json.dumps(value) for name, value in about.items()}
    tensor_files.write(path, {"logits": found.logits, "labels": found.labels}, metadata)
    return path


def read(folder: str | os.PathLike, split: str = "test") -> Predictions:
    """UserError where a run's folder holds none, or a damaged file."""
    path = Path(folder) / FILE.format(split)
    if not path.is_file():
        raise UserError(
            f"{folder} holds no predictions of its {split} images; evaluate it again with TEST.PREDICTIONS all"
        )
    try:
        tensors, metadata = tensor_files.read(path)
        about = {name: json.loads(metadata[name]) for name in ("images", "root", "classes", "split")}
        logits, labels = tensors["logits"], tensors["labels"]
    except (UserError, KeyError, ValueError) as error:
        raise UserError(
            f"{path} is damaged or not a run's predictions; move it away and evaluate the run again"
        ) from error
    return Predictions(logits, labels, about["images"], about["root"], about["classes"], about["split"])
