"""Craft as a layer over any prompt structure: it sees features, labels and anchors, never the structure.

`CraftTrainer` adds the alignment terms to a host's loss; `CraftOODTrainer` also reads an unlabelled batch and adds the
MMD between both domains in anchor space. The terms and their settings are in `craft.terms`.
"""

from __future__ import annotations

from itertools import combinations

import torch
from dassl.engine import TrainerXU
from torch import Tensor

from craft import terms as craft_terms
from craft.common.errors import UserError
from craft.prompts.learner import Features
from craft.trainers.engine.prompt_trainer import PromptTrainer


class CraftTrainer(PromptTrainer):
    """A host with Craft's alignment terms ``static`` and ``stochastic``; on data with groups also GROUP_MMD."""

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        craft_terms.check(cfg.TRAINER.CRAFT)

    @property
    def _compares(self) -> bool:
        return self.uses_unlabelled or self.cfg.TRAINER.CRAFT.GROUP_MMD

    def prepare(self, backbone) -> None:
        """Static image anchors from the frozen backbone, before it is rounded: cached, or computed now."""
        super().prepare(backbone)
        self.anchors = self.anchor_labels = None
        if craft_terms.needs_anchors(self.cfg.TRAINER.CRAFT, self._compares):
            from craft.anchors.static import static_anchors  # plain hosts need no scikit-learn

            found = static_anchors(self.cfg, self.dm.dataset, backbone)
            self.anchors, self.anchor_labels = found.features.to(self.device), found.labels.to(self.device)
            self.about["anchors"] = found.key

    def build_model(self) -> None:
        super().build_model()
        node = self.cfg.TRAINER.CRAFT
        self.craft = craft_terms.CraftTerms(node, self.model, self.anchors, self.anchor_labels, self._compares)
        for name, reason in self.craft.left_out.items():
            print(f"Craft: the term {name!r} is left out: {reason}")
        self.about["craft"] = dict(self.craft.weights)
        print("Craft: " + ", ".join(f"{name} x {weight:g}" for name, weight in self.craft.weights.items()))
        if node.GROUP_MMD:
            self.groups, self.group_pairs = self._groups()

    def _groups(self) -> tuple[Tensor, Tensor]:
        """(N,) the cell (class and group) of each training image, and (P, 2) the pairs of cells that share a class."""
        items, name = self.dm.dataset.train_x, self.cfg.DATASET.NAME
        if any(getattr(item, "group", None) is None for item in items):
            raise UserError(
                f"TRAINER.CRAFT.GROUP_MMD needs training images with groups; {name} has none: use Waterbirds, CelebA, "
                "DigitsGroups, or an ImageFolder CSV with groups"
            )
        cells = sorted({(item.label, item.group) for item in items})
        pairs = [pair for pair in combinations(range(len(cells)), 2) if cells[pair[0]][0] == cells[pair[1]][0]]
        if not pairs:
            raise UserError(
                f"TRAINER.CRAFT.GROUP_MMD compares groups of one class, but no class of {name} has training images of "
                "two groups; set DATASET.SHOTS_PER group, or GROUP_MMD False"
            )
        number = {cell: position for position, cell in enumerate(cells)}
        of_item = [number[item.label, item.group] for item in items]
        return torch.tensor(of_item, device=self.device), torch.tensor(pairs, device=self.device)

    def loss_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return super().loss_terms(out, images, labels) | self.craft.alignment(out, labels)

    def batch_terms(self, *batches) -> dict[str, Tensor]:
        (batch,) = batches
        images, labels = self.parse_batch_train(batch)
        out = self.model(images)
        terms = self.loss_terms(out, images, labels)
        if self.craft.weights.get("mmd"):
            index = batch["index"].to(self.device, non_blocking=True)
            terms["mmd"] = self.craft.group_mmd(out, self.groups[index], self.group_pairs)
        return terms


class CraftOODTrainer(CraftTrainer, TrainerXU):
    """A host with Craft and the MMD to unlabelled images of the target domain (Dassl's ``train_u``)."""

    uses_unlabelled = True

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        if cfg.TRAINER.CRAFT.GROUP_MMD:
            raise UserError("TRAINER.CRAFT.GROUP_MMD is for the *Craft trainers; *CraftOOD compares source and target")

    def build_data_loader(self) -> None:
        super().build_data_loader()
        if self.train_loader_u is None or not len(self.dm.dataset.train_u):
            raise UserError(
                f"{type(self).__name__} needs unlabelled target images, and {self.cfg.DATASET.NAME} has none here: set "
                "DATASET.TARGET_DOMAINS on a data set with domains, or use DigitsShift or ImageNetOOD"
            )
        sizes = [min(loader.batch_size, len(loader.dataset)) for loader in (self.train_loader_x, self.train_loader_u)]
        if self.cfg.TRAINER.CRAFT.MMD_UNBIASED and min(sizes) < 2:
            raise UserError(
                f"TRAINER.CRAFT.MMD_UNBIASED needs two images of each domain in a batch, here are {sizes[0]} and "
                f"{sizes[1]}; raise DATALOADER.TRAIN_X.BATCH_SIZE, or set it to False"
            )

    def parse_batch_train(self, batch_x, batch_u=None):
        """(images, labels, unlabelled images) on the device; without ``batch_u`` only the first two."""
        images, labels = PromptTrainer.parse_batch_train(self, batch_x)
        if batch_u is None:
            return images, labels
        return images, labels, batch_u["img"].to(self.device, non_blocking=True)

    def batch_terms(self, *batches) -> dict[str, Tensor]:
        images, labels, target_images = self.parse_batch_train(*batches)
        # Both domains through the towers at once: class texts are encoded once a step.
        source, target = self.model(torch.cat([images, target_images])).split(len(images))
        terms = self.loss_terms(source, images, labels)
        if self.craft.weights["mmd"]:
            terms["mmd"] = self.craft.mmd(source, target)
        return terms
