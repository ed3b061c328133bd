"""How a trained structure is tested: batches to logits to an evaluator, with work shared where prompts allow it.

Where the image tower has no prompts, the image features of a split do not depend on the run: they are computed once
and kept in the cache for all runs on the same images.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from craft.clip.features import digest_images, frozen_features
from craft.common import tensor_cache
from craft.common.errors import UserError
from craft.common.switches import without
from craft.datasets.images import READING, images_of
from craft.datasets.loading import batch_size_of
from craft.prompts.learner import PromptLearner
from craft.runs.predictions import Predictions, wanted
from craft.trainers.engine.group_evaluator import GroupClassification, groups_of


@dataclass
class Evaluation:
    """Tests one learner on the splits of one data set.

    evaluator: Dassl's. loaders: by split, ``val`` and ``test``; None where there is no such split. device, autocast
    (the arguments of ``torch.autocast``) and precision (a word, for the cache): as the learner is trained.
    keep_features: whether frozen image features are kept on disk. dataset: its name, for who looks into the cache.
    """

    model: PromptLearner
    evaluator: Any
    loaders: dict[str, DataLoader | None]
    device: torch.device
    autocast: dict[str, Any]
    precision: str
    keep_features: bool
    dataset: str
    keep_predictions: str = "none"  # TEST.PREDICTIONS
    kept: dict[str, Predictions] = field(default_factory=dict, repr=False)  # by split, of the last `run`
    _frozen: dict[str, Tensor] = field(default_factory=dict, repr=False)  # by split

    def split(self, asked: str) -> str:
        """The split that is tested: ``val`` where it is asked for and there is one, else ``test``."""
        return "val" if asked == "val" and self.loaders["val"] is not None else "test"

    @torch.no_grad()
    def run(self, split: str, keep: bool = False) -> dict[str, Any]:
        """The evaluator's results on ``val`` or ``test``. The learner must be in eval mode.

        keep: leave what was said of every image in ``kept``, as ``keep_predictions`` asks; not for a test that only
        selects an epoch.
        """
        loader = self.loaders[split]
        assert loader is not None, split
        self.evaluator.reset()
        by_group = isinstance(self.evaluator, GroupClassification)
        groups = groups_of(images_of(loader).data_source) if by_group else None
        sound = torch.ones((), dtype=torch.bool, device=self.device)
        self.kept.pop(split, None)
        keeping = keep and wanted(self.keep_predictions, len(images_of(loader)), len(self.model.classnames))
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for logits, labels, index in self.predictions(split):
            if keeping:
                parts.append((logits.float().cpu(), labels.cpu(), index.cpu()))
            sound &= logits.isfinite().all()
            self.evaluator.process(logits, labels, *((groups[index],) if groups is not None else ()))
        if not sound:
            raise UserError(
                f"logits of the {split} images are not finite: no accuracy can be told; set PREC to fp32, or train "
                "again with a lower OPTIM.LR"
            )
        results = dict(self.evaluator.evaluate())
        if parts:
            found = self.kept[split] = self._together(parts, split)
            print(f"* top-5: {found.top(5):.1f}%\n* mean per class: {found.mean_per_class():.1f}%")
        return results

    def _together(self, parts: list[tuple[Tensor, Tensor, Tensor]], split: str) -> Predictions:
        logits, labels, index = (torch.cat(part) for part in zip(*parts))
        loader = self.loaders[split]
        assert loader is not None, split
        paths = [images_of(loader).data_source[i].impath for i in index.tolist()]
        root = os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
        images = [os.path.relpath(path, root) for path in paths]
        return Predictions(logits, labels, images, root, list(self.model.classnames), split)

    def logits(self, images: Tensor) -> Tensor:
        """(B, C) logits of images (B, 3, H, W) on the device."""
        with torch.autocast(**self.autocast):
            return self.model(images).logits

    def predictions(self, split: str) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(logits, labels, indices) of every batch of a split, with progress on a terminal."""
        loader = self.loaders[split]
        assert loader is not None, split
        if not self.keep_features or self.model.learns_vision or without("feature_cache"):
            for batch in tqdm(loader, split, leave=False, disable=not sys.stderr.isatty()):
                images, labels = batch["img"].to(self.device), batch["label"].to(self.device)
                yield self.logits(images), labels, batch["index"]
            return
        features = self._frozen_images(loader, split)
        labels = torch.tensor([item.label for item in images_of(loader).data_source])
        for index in torch.arange(len(features)).split(batch_size_of(loader)):
            with torch.autocast(**self.autocast):
                out = self.model.from_image(features[index].to(self.device))
            yield out.logits, labels[index].to(self.device), index

    def _frozen_images(self, loader: DataLoader, split: str) -> Tensor:
        """(N, e) features of a split that no prompt changes: computed once, shared between runs through the cache."""
        if split not in self._frozen:
            images = images_of(loader)
            key = {
                "format": 1,
                "backbone": self.model.backbone.fingerprint,
                "precision": self.precision,
                "images": digest_images(images.data_source),
                "transform": str(images.transform),
                "reading": READING,
            }

            def compute() -> dict[str, Tensor]:
                with torch.autocast(**self.autocast):
                    features = frozen_features(
                        self.model.backbone, images, batch_size_of(loader), loader.num_workers, f"{split} features"
                    )
                return {"features": features}

            about = {"dataset": self.dataset, "split": split, "images": len(images)}
            self._frozen[split] = tensor_cache.remember("images", key, compute, about)["features"]
        return self._frozen[split]
