"""What a training run has learned, as a function from images to class probabilities, without its data set.

Everything comes from the run's folder: ``run.json`` says which structure, settings and backbone, the checkpoint which
classes. Other class names may take their place, which is what learned prompts are for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from craft.clip import load_backbone
from craft.common.errors import UserError
from craft.prompts.learner import PromptLearner
from craft.runs import checkpoints, record


@dataclass
class Learned:
    """A trained structure that is ready to be asked.

    model: in eval mode on ``device``. transform: from a PIL image to (3, H, W), as in the run's own tests. autocast:
    the arguments of ``torch.autocast``. trainer, folder, epoch: where it comes from. own_classes: its names are
    those that it was trained on.
    """

    model: PromptLearner
    transform: Any
    device: torch.device
    autocast: dict[str, Any]
    trainer: str
    folder: Path
    epoch: int | None
    own_classes: bool = True

    @property
    def classnames(self) -> list[str]:
        """Names by label."""
        return self.model.classnames

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """(B, C) float32 logits, tau <u, t>, on the CPU, of transformed images (B, 3, H, W)."""
        with torch.autocast(**self.autocast):
            return self.model(images.to(self.device, non_blocking=True)).logits.float().cpu()

    @torch.no_grad()
    def logits_of_features(self, features: Tensor) -> Tensor:
        """(B, C) float32 logits of frozen image features (B, e). UserError where prompts change the image tower."""
        if self.model.learns_vision:
            raise UserError(f"{self.trainer} has prompts in its image tower: give images, not features")
        with torch.autocast(**self.autocast):
            unit = torch.nn.functional.normalize(features.to(self.device).float(), dim=-1)
            return self.model.from_image(unit).logits.float().cpu()

    def probabilities(self, images: Tensor) -> Tensor:
        """(B, C) float32, rows that sum to 1."""
        return self.logits(images).softmax(dim=-1)


def load(
    folder: str | Path,
    classnames: Sequence[str] | None = None,
    epoch: int | None = None,
    device: str | torch.device | None = None,
) -> Learned:
    """What the training run in ``folder`` has learned.

    classnames: others than those that it was trained on, in the order of labels. epoch: of the checkpoint; without it
    the one that the run's own number is of. device: CUDA where there is one.

    UserError for a folder without a finished training run, for a structure whose prompts belong to their classes, for
    fewer than two names or the same name twice, and for weights that are not there or not the run's.
    """
    from dassl.data.transforms import build_transform

    from craft.trainers import structures
    from craft.trainers.engine.precision import precision_on
    from craft.trainers.launch import epoch_to_load
    from craft.trainers.settings import cfg_of_record

    folder = Path(folder)
    found = record_of_training(folder)
    cfg = cfg_of_record(found["config"])
    structure = structures.known_structure(cfg.TRAINER.NAME)
    path = checkpoints.path_of(folder, epoch_to_load(folder, epoch, cfg.TEST)[0]) if structure.trainable else None
    learned = checkpoints.read(path) if path else {}
    own = learned.get("classnames")
    names = check_names(classnames, "the names given") if classnames is not None else own
    if not names:
        raise UserError(f"{path or folder} does not say its classes: name them with --classes or --classes-file")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() and cfg.USE_CUDA else "cpu"))
    backbone = load_backbone(cfg.MODEL.BACKBONE.NAME).to(place)
    node = cfg.TRAINER[structure.node]
    precision, autocast = precision_on(place, node.PREC)
    fingerprint = backbone.fingerprint
    if precision == "fp16":
        backbone.half()
    template = (learned.get("presumes") or {}).get(checkpoints.TEMPLATE) or template_of(cfg)
    model = structure.load()(backbone, names, node, template).to(place).float()
    if model.class_specific and own is not None and list(own) != list(names):
        raise UserError(
            f"{folder}: {cfg.TRAINER.NAME} learned a context for each of its own classes, which says nothing of "
            "others; leave --classes out, or train with CSC False"
        )
    at = checkpoints.fit(learned, path, model, fingerprint, cfg.MODEL.BACKBONE.NAME) if path else None
    model.eval()
    with contextlib.redirect_stdout(None):  # Dassl prints every step
        transform = build_transform(cfg, is_train=False)
    return Learned(model, transform, place, autocast, cfg.TRAINER.NAME, folder, at, own == names)


def record_of_training(folder: Path) -> dict[str, Any]:
    """The record of the training run in ``folder``; UserError where there is none, or it is one that evaluates."""
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}; give the output folder of a training run")
    found = record.read(folder)
    if found is None:
        below = sorted(path.parent.relative_to(folder).as_posix() for path in folder.glob("**/run.json"))
        hint = f"; there are runs below it: {', '.join(below[:3])}" if below else "; give the output folder of a run"
        raise UserError(f"{folder} holds no run.json{hint}")
    if "config" not in found:
        raise UserError(f"{folder} holds a run that did not get as far as its settings; run its command again")
    if found.get("mode") == "evaluate":
        model = ((found.get("identity") or {}).get("model") or {}).get("folder", "")
        raise UserError(f"{folder} is an evaluation; give the folder of the training run {model}".rstrip())
    return found


def template_of(cfg) -> str:
    """The run's hand-written text with ``{}`` for the class name."""
    from craft import datasets
    from craft.datasets import template_for

    datasets.enter_into_dassl()
    return template_for(cfg)


def check_names(names: Sequence[str], source: str) -> list[str]:
    """The class names without spaces around them. UserError for fewer than two, an empty one or the same one twice."""
    cleaned = [name.strip() for name in names]
    if len(cleaned) < 2:
        raise UserError(f"{source}: a classifier needs two classes or more, not {len(cleaned)}")
    if not all(cleaned):
        raise UserError(f"{source}: class {cleaned.index('') + 1} has an empty name")
    twice = sorted({name for name in cleaned if cleaned.count(name) > 1})
    if twice:
        raise UserError(f"{source}: {', '.join(map(repr, twice[:3]))} stands there more than once")
    return cleaned
