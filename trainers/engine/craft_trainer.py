"""Craft as a layer over any prompt structure: it sees features, labels and anchors, never the structure.

`CraftTrainer` adds Craft's terms to a structure's loss; `CraftOODTrainer` also reads an unlabelled batch of the target
domain, and so has the terms that compare two samples. The terms are in `craft.terms`.
"""

from __future__ import annotations

from itertools import combinations

import torch
from dassl.engine import TrainerXU
from torch import Tensor

from craft import terms
from craft.common.errors import UserError
from craft.datasets.images import images_of
from craft.datasets.loading import batch_size_of
from craft.objective import CraftTerms, Step
from craft.trainers.engine.prompt_trainer import PromptTrainer


class CraftTrainer(PromptTrainer):
    """A structure with Craft's terms that read a labelled batch; with GROUP_MMD also those that compare its groups."""

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)  # settings that do not go together; single ones are checked by `craft.config.keys`
        terms.check(cfg.TRAINER.CRAFT)

    @property
    def _compares(self) -> bool:
        return self.uses_unlabelled or self.cfg.TRAINER.CRAFT.GROUP_MMD

    def prepare(self, backbone) -> None:
        """Static image anchors from the frozen backbone, before it is rounded: cached, or computed now."""
        super().prepare(backbone)
        self.anchors = self.anchor_labels = None
        if terms.needs_anchors(self.cfg.TRAINER.CRAFT, self._compares):
            from craft.anchors.static import static_anchors  # plain hosts need no scikit-learn

            found = static_anchors(self.cfg, self.dm.dataset, backbone)
            self.anchors, self.anchor_labels = found.features.to(self.device), found.labels.to(self.device)
            self.log.about["anchors"] = found.key

    def reads_template(self) -> bool:
        return super().reads_template() or self.cfg.TRAINER.CRAFT.BATCH_TEXT == "template"

    def build_model(self) -> None:
        super().build_model()
        node = self.cfg.TRAINER.CRAFT
        self.craft = CraftTerms(node, self.model, self.anchors, self.anchor_labels, self._compares)
        for name, reason in self.craft.left_out.items():
            print(f"Craft: the term {name!r} is left out: {reason}")
        self.log.about["craft"] = dict(self.craft.weights)
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

    def batch_terms(self, *batches) -> dict[str, Tensor]:
        (batch,) = batches
        images, labels = self.parse_batch_train(batch)
        step = Step(self.model(images), labels)
        if self._compares:
            step.groups = self.groups[batch["index"].to(self.device, non_blocking=True)]
            step.pairs = self.group_pairs
        return self.model.loss_terms(step.out, images, labels) | self.craft(step)


class CraftOODTrainer(CraftTrainer, TrainerXU):
    """A structure with Craft, and its terms that compare source and target (unlabelled, Dassl's ``train_u``).

    TrainerXU is a base because whoever looks for trainers with unlabelled data asks for it, and because it is where
    Dassl says that a batch is two: ``parse_batch_train(batch_x, batch_u)``. The loop over both loaders, which TrainerXU
    has too, is `PromptTrainer`'s.
    """

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
        loaders = self.train_loader_x, self.train_loader_u
        sizes = [min(batch_size_of(loader), len(images_of(loader).data_source)) for loader in loaders]
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
        return self.model.loss_terms(source, images, labels) | self.craft(Step(source, labels, target=target))
