"""How a trained structure is tested: batches to logits to an evaluator, with work shared where prompts allow it.

Where the image tower has no prompts, the image features of a split do not depend on the run: they are computed once
and kept in the cache for all runs on the same images.
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from tqdm import tqdm

from craft.clip.features import digest_images, frozen_features
from craft.common import tensor_cache
from craft.common.errors import UserError
from craft.trainers.engine.group_evaluator import GroupClassification, groups_of


class Testing:
    """The testing half of `PromptTrainer`, which sets everything that is read here."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    def model_inference(self, images: Tensor) -> Tensor:
        """(B, C) logits."""
        with torch.autocast(**self.autocast):
            return self.model(images).logits

    @torch.no_grad()
    def test(self, split: str | None = None) -> float:
        """Evaluate on ``val`` or ``test`` (default TEST.SPLIT; ``test`` where there is no ``val``).

        Returns the metric that selects models: TEST.METRIC of the evaluator's results.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = split or self.cfg.TEST.SPLIT
        if split != "val" or self.val_loader is None:
            split = "test"
        loader = self.val_loader if split == "val" else self.test_loader
        print(f"Evaluate on the *{split}* set")
        by_group = isinstance(self.evaluator, GroupClassification)
        groups = groups_of(loader.dataset.data_source) if by_group else None
        for logits, labels, index in self._predictions(loader, split):
            self.evaluator.process(logits, labels, *((groups[index],) if by_group else ()))
        self.results[split] = dict(self.evaluator.evaluate())
        for name, value in self.results[split].items():
            if isinstance(value, float | int):
                self.write_scalar(f"{split}/{name}", value, self.epoch)
        metric = self.cfg.TEST.METRIC
        if metric not in self.results[split]:
            raise UserError(
                f"TEST.METRIC is {metric!r}, which this evaluator does not give; it gives "
                + ", ".join(self.results[split])
            )
        return self.results[split][metric]

    def _predictions(self, loader, split: str):
        """(logits, labels, indices) of every batch of ``loader``, with progress on a terminal."""
        if not self.cfg.TEST.CACHE_FEATURES or self.model.learns_vision or self.cfg.DATASET.BAD_IMAGES != "error":
            for batch in tqdm(loader, split, leave=False, disable=not sys.stderr.isatty()):
                images, labels = self.parse_batch_test(batch)
                yield self.model_inference(images), labels, batch["index"]
            return
        features = self._frozen_images(loader, split)
        labels = torch.tensor([item.label for item in loader.dataset.data_source])
        for index in torch.arange(len(features)).split(loader.batch_size):
            with torch.autocast(**self.autocast):
                out = self.model.from_image(features[index].to(self.device))
            yield out.logits, labels[index].to(self.device), index

    def _frozen_images(self, loader, split: str) -> Tensor:
        """(N, e) features of a split that no prompt changes: computed once, shared between runs through the cache."""
        if split not in self._frozen:
            images = loader.dataset
            key = {
                "format": 1,
                "backbone": self.fingerprint,
                "precision": self.precision,
                "images": digest_images(images.data_source),
                "transform": str(images.transform),
            }

            def compute() -> dict[str, Tensor]:
                with torch.autocast(**self.autocast):
                    features = frozen_features(
                        self.backbone, images, loader.batch_size, loader.num_workers, f"{split} features"
                    )
                return {"features": features}

            about = {"dataset": self.cfg.DATASET.NAME, "split": split, "images": len(images)}
            self._frozen[split] = tensor_cache.remember("images", key, compute, about)["features"]
        return self._frozen[split]
