"""``PromptClassifier``: prompts learned from a folder or a list of images, with scikit-learn's conventions."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from craft.common.errors import UserError
from craft.common.files import write_text

KEPT = ("run.json", "metrics.json", "log.txt", "config.yaml", "images.csv")  # of a run, beside its prompts


class PromptClassifier(ClassifierMixin, BaseEstimator):
    """Prompts of a frozen CLIP, learned from a few images a class.

    trainer: a trainer's name (``craft train --trainer Help``). shots: images a class that are drawn for training
    (-1: all). backbone: as in ``--backbone``. config: yaml of the trainer (default: few_shot; on the demonstration's
    backbone its own). settings: further configuration keys, ``{"OPTIM.MAX_EPOCH": 20}``. template: the hand-written
    text with ``{}`` for the class name. seed: of everything random. output_dir: where the run is kept (default: a
    folder that goes with this object). device: ``cpu`` or ``cuda`` for prediction (default: CUDA where there is one).
    verbose: print what training prints.

    After `fit`: ``classes_`` (names, sorted, in the order of the columns of `predict_proba`), ``run_`` (the run's
    folder, for every ``craft`` command).

        model = PromptClassifier("CoOpCraft", shots=16, backbone="ViT-B/16").fit("my_images")
        model.predict(["photo.jpg"])
    """

    def __init__(
        self,
        trainer: str = "CoOpCraft",
        *,
        shots: int = 16,
        backbone: str = "ViT-B/16",
        config: str | None = None,
        settings: Mapping[str, Any] | None = None,
        template: str = "",
        seed: int = 1,
        output_dir: str | os.PathLike | None = None,
        device: str | None = None,
        batch_size: int = 64,
        verbose: bool = False,
    ):
        self.trainer, self.shots, self.backbone, self.config = trainer, shots, backbone, config
        self.settings, self.template, self.seed, self.output_dir = settings, template, seed, output_dir
        self.device, self.batch_size, self.verbose = device, batch_size, verbose

    # -- learning -------------------------------------------------------------------------------------------------

    def fit(self, X: str | os.PathLike | Sequence[str | os.PathLike], y: Sequence[str] | None = None):
        """Learn from the images of a folder of class folders (of its train/ where there is one), or from the paths X
        with the class names y. Returns itself.

        UserError for whatever ``craft train`` would refuse; ValueError where X and y do not go together.
        """
        from craft.trainers import launch

        paths, names = _labelled(X, y)
        place = self._folder()
        _write_table(place / "images.csv", paths, names)
        keys = {
            "DATASET.PATH": str((place / "images.csv").resolve()),
            "DATASET.NUM_SHOTS": self.shots,
            "DATASET.TEMPLATE": self.template,
            "TEST.NO_TEST": True,
            **(self.settings or {}),
        }
        config = self.config or ("few_shot" if self.backbone != "demo" else "")
        command = ["--trainer", self.trainer, "--root", "/", "--dataset-config-file", "image_folder"]
        command += ["--backbone", self.backbone, "--seed", str(self.seed), "--output-dir", str(place), "--force"]
        command += ["--config-file", config] if config else []
        for key, value in keys.items():
            if value != "":
                command += [key, str(value)]
        said = contextlib.nullcontext() if self.verbose else contextlib.redirect_stdout(io.StringIO())
        with said:
            launch.call(command)
        self.run_ = place
        self._read()
        return self

    def _folder(self) -> Path:
        if self.output_dir is not None:
            place = Path(self.output_dir)
            place.mkdir(parents=True, exist_ok=True)
            return place
        self._temporary = tempfile.TemporaryDirectory(prefix="prompt_classifier_")
        return Path(self._temporary.name)

    def _read(self) -> None:
        from craft.inference import learned

        self._learned = learned.load(self.run_, device=self.device)
        self.classes_ = np.array(self._learned.classnames)

    # -- asking ---------------------------------------------------------------------------------------------------

    def decision_function(self, X) -> np.ndarray:
        """(N, C) float32 logits of paths, of the images of a folder (sorted by path), or of a float array (N, e) of
        frozen image features where the image tower has no prompts. UserError names an image that cannot be read."""
        import torch

        from craft.inference.reading import Batches, find_images

        if not hasattr(self, "_learned"):
            raise NotFittedError(f"this {type(self).__name__} has learned nothing yet: call fit, or load")
        if isinstance(X, (np.ndarray, torch.Tensor)) and X.ndim == 2:
            return self._learned.logits_of_features(torch.as_tensor(X)).numpy()
        paths = find_images([X]) if isinstance(X, (str, os.PathLike)) else [Path(path) for path in X]
        batches = Batches(paths, self._learned.transform, self.batch_size)
        parts = [self._learned.logits(images) for _, images in batches]
        if batches.bad:
            raise UserError(batches.bad[min(batches.bad)])
        return torch.cat(parts).numpy() if parts else np.empty((0, len(self.classes_)), dtype=np.float32)

    def predict_proba(self, X) -> np.ndarray:
        """(N, C) float32 probabilities; rows sum to 1. X as for `decision_function`."""
        logits = self.decision_function(X)
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    def predict(self, X) -> np.ndarray:
        """(N,) class names. X as for `decision_function`."""
        labels = self.decision_function(X).argmax(axis=1)
        return self.classes_[labels]

    def score(self, X, y=None, sample_weight=None) -> float:
        """Accuracy in [0, 1] on paths and their class names, or on a folder of class folders."""
        if y is None:
            X, y = _labelled(X, None)
        return super().score(X, y, sample_weight)

    def with_classes(self, names: Sequence[str]) -> PromptClassifier:
        """A classifier with the same prompts for other class names. UserError where prompts belong to their classes."""
        from craft.inference import learned

        if not hasattr(self, "run_"):
            raise NotFittedError(f"this {type(self).__name__} has learned nothing yet: call fit, or load")
        other = type(self)(**self.get_params())
        other.run_, other._temporary = self.run_, getattr(self, "_temporary", None)
        other._learned = learned.load(self.run_, names, device=self.device)
        other.classes_ = np.array(other._learned.classnames)
        return other

    # -- keeping --------------------------------------------------------------------------------------------------

    def save(self, folder: str | os.PathLike) -> None:
        """Copy what was learned, with the run's record and log, to ``folder``; `load` and ``craft predict`` read it.

        UserError where the folder holds another run.
        """
        if not hasattr(self, "run_"):
            raise NotFittedError(f"this {type(self).__name__} has learned nothing yet: call fit, or load")
        folder = Path(folder)
        if folder.resolve() == self.run_.resolve():
            return
        if folder.exists() and any(folder.iterdir()):
            raise UserError(f"{folder} is not empty; save to a new folder")
        for path in [self.run_ / name for name in KEPT] + sorted((self.run_ / "prompt_learner").iterdir()):
            if path.is_file():
                target = folder / path.relative_to(self.run_)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

    @classmethod
    def load(cls, folder: str | os.PathLike, device: str | None = None) -> PromptClassifier:
        """What `save` or a training run of ``craft train`` left in ``folder``."""
        from craft.inference import learned

        config = learned.record_of_training(Path(folder))["config"]
        found = cls(
            config["TRAINER"]["NAME"],
            shots=config["DATASET"]["NUM_SHOTS"],
            backbone=config["MODEL"]["BACKBONE"]["NAME"],
            template=config["DATASET"].get("TEMPLATE", ""),
            seed=config["SEED"],
            device=device,
        )
        found.run_ = Path(folder)
        found._read()
        return found


def _labelled(X, y) -> tuple[list[Path], list[str]]:
    """Paths and class names of what `fit` is given."""
    from craft.datasets.readers.image_folder import from_folders

    if isinstance(X, (str, os.PathLike)):
        if y is not None:
            raise ValueError("a folder's class folders are the classes: give no y, or give paths")
        folder = Path(X)
        if not folder.is_dir():
            raise UserError(f"no such folder: {folder}; give a folder with a folder of images for each class")
        found = [one for one in from_folders(folder) if one.part in ("", "train")]
        return [folder / one.path for one in found], [one.key for one in found]
    paths = [Path(path) for path in X]
    if y is None:
        raise ValueError("paths need class names: fit(paths, names)")
    names = [str(name) for name in y]
    if len(paths) != len(names):
        raise ValueError(f"{len(paths)} paths and {len(names)} class names do not go together")
    return paths, names


def _write_table(path: Path, paths: Sequence[Path], names: Sequence[str]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("path", "class", "split"))
    for image, name in zip(paths, names):
        writer.writerow((os.path.abspath(image).lstrip("/"), name, "train"))
    write_text(path, out.getvalue())
