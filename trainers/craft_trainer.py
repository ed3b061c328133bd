"""Craft as a layer over any prompt structure: it sees features, labels and anchors, never the structure.

`CraftTrainer` adds the alignment terms to a host's loss; `CraftOODTrainer` also reads an unlabelled batch and adds the
MMD between both domains in anchor space. Settings: ``cfg.TRAINER.CRAFT``, see `DEFAULTS`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from dassl.engine import TrainerXU
from torch import Tensor

from backbones import encode_text
from common.errors import UserError
from trainers import craft
from trainers.base import PromptTrainer
from trainers.context import text_table
from trainers.learner import Features
from trainers.mmd import MULTIPLES

DEFAULTS = {
    "STATIC_WEIGHT": 1.0,  # texts to static image anchors
    "STOCHASTIC_WEIGHT": 1.0,  # images to the batch's texts and back
    "MMD_WEIGHT": 1.0,  # source to target, in the OOD trainers; between groups, see GROUP_MMD
    "ANCHORS_PER_CLASS": 1,  # K of k-means
    "BATCH_TEXT": "learned",  # v_i: learned (the class prompt), or template (hand-written, under deep prompts: release)
    "TARGETS": "class",  # positives of the stochastic term: class, or index (release)
    "SYMMETRIC": True,  # the stochastic term both ways
    "MMD_VARIANCES": (),  # fixed h² of the Gaussians; empty: multiples of the median distance
    "MMD_MULTIPLES": MULTIPLES,
    "MMD_UNBIASED": False,
    "MMD_NORMALIZE": "none",  # none, or minmax (release)
    "MMD_ANCHORS": "text",  # text, image or both
    "GROUP_MMD": False,  # *Craft on data with groups: MMD between two groups of the batch
}

CHOICES = {
    "BATCH_TEXT": ("learned", "template"),
    "TARGETS": ("class", "index"),
    "MMD_NORMALIZE": ("none", "minmax"),
    "MMD_ANCHORS": ("text", "image", "both"),
}


class CraftTrainer(PromptTrainer):
    """A host with Craft's alignment terms ``static`` and ``stochastic``."""

    uses_mmd = False

    def check_cfg(self, cfg) -> None:
        super().check_cfg(cfg)
        node = cfg.TRAINER.CRAFT
        for key, values in CHOICES.items():
            if node[key] not in values:
                raise UserError(f"TRAINER.CRAFT.{key} is {node[key]!r}; it must be one of {', '.join(values)}")
        for key in ("STATIC_WEIGHT", "STOCHASTIC_WEIGHT", "MMD_WEIGHT"):
            if node[key] < 0:
                raise UserError(f"TRAINER.CRAFT.{key} is {node[key]}; a weight cannot be negative")
        if node.ANCHORS_PER_CLASS < 1:
            raise UserError(f"TRAINER.CRAFT.ANCHORS_PER_CLASS is {node.ANCHORS_PER_CLASS}; it must be at least 1")

    def build_model(self) -> None:
        super().build_model()
        node, learner = self.cfg.TRAINER.CRAFT, self.model
        self.weights = {"static": node.STATIC_WEIGHT, "stochastic": node.STOCHASTIC_WEIGHT}
        if self.uses_mmd or node.GROUP_MMD:
            self.weights["mmd"] = node.MMD_WEIGHT
        moves_text = learner.learns_text or (node.BATCH_TEXT == "template" and bool(self._deep_text()))
        if self.weights["static"] and not moves_text:
            print(f"Craft: the term 'static' is left out: {self.host.name} learns no text, so it has no gradient")
            self.weights["static"] = 0
        print("Craft: " + ", ".join(f"{name} x {weight:g}" for name, weight in self.weights.items()))
        if node.GROUP_MMD:
            groups = [getattr(item, "group", None) for item in self.dm.dataset.train_x]
            if None in groups:
                raise UserError(
                    f"TRAINER.CRAFT.GROUP_MMD needs training images with groups; {self.cfg.DATASET.NAME} "
                    "has none: use Waterbirds, CelebA, DigitsGroups, or an ImageFolder CSV with groups"
                )
            self.groups = torch.tensor(groups, device=self.device)
        if node.BATCH_TEXT == "template":
            # As the release writes it: underscores stay.
            texts = [learner.template.replace("{}", name) for name in learner.classnames]
            self.template_table = text_table(self.clip, texts).to(self.device)

    def prepare(self, clip) -> None:
        """Static image anchors from the frozen CLIP, before it is rounded: cached, or computed now."""
        super().prepare(clip)
        from anchors import static_anchors  # anchors builds on trainers.learner's features; not needed by plain hosts

        node = self.cfg.TRAINER.CRAFT
        needs_images = (self.uses_mmd or node.GROUP_MMD) and node.MMD_ANCHORS != "text"
        self.anchors = self.anchor_labels = None
        if node.STATIC_WEIGHT or needs_images:
            found = static_anchors(self.cfg, self.dm.dataset, clip, self.fingerprint, self.device)
            self.anchors = F.normalize(found.features.to(self.device), dim=-1)
            self.anchor_labels = found.labels.to(self.device)
            self.about["anchors"] = found.key

    def batch_text(self, out: Features, labels: Tensor) -> Tensor:
        """(B, e): v_i of every sample, see BATCH_TEXT."""
        if self.cfg.TRAINER.CRAFT.BATCH_TEXT == "learned":
            return out.text_of(labels)
        prompts = self.template_table.prompts(deep=self._deep_text())
        return F.normalize(encode_text(self.clip, prompts).float(), dim=-1)[labels]

    def _deep_text(self) -> tuple[Tensor, ...]:
        if self.model.text_per_image:
            return ()
        prompts = self.model.text_prompts()
        return tuple(prompts.deep) if prompts is not None else ()

    def loss_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        terms = super().loss_terms(out, images, labels)
        node = self.cfg.TRAINER.CRAFT
        if not (self.weights["static"] or self.weights["stochastic"]):
            return terms
        text = self.batch_text(out, labels)
        if self.weights["static"]:
            classes = out.logits.shape[1]
            loss = craft.static_loss(text, labels, self.anchors, self.anchor_labels, classes, out.scale)
            terms["static"] = self.weights["static"] * loss
        if self.weights["stochastic"]:
            loss = craft.stochastic_loss(out.image, text, labels, out.scale, node.TARGETS == "class", node.SYMMETRIC)
            terms["stochastic"] = self.weights["stochastic"] * loss
        return terms

    def batch_terms(self, *batches) -> dict[str, Tensor]:
        if not self.cfg.TRAINER.CRAFT.GROUP_MMD:
            return super().batch_terms(*batches)
        (batch,) = batches
        images, labels = self.parse_batch_train(batch)
        out = self.model(images)
        terms = self.loss_terms(out, images, labels)
        if self.weights["mmd"]:
            terms["mmd"] = self.group_term(out, self.groups[batch["index"].to(self.device)])
        return terms

    def group_term(self, out: Features, groups: Tensor) -> Tensor:
        """w_mmd times the mean MMD² between the two groups 2y and 2y + 1 of each class y that the batch has both of;
        0 where it has both of none. groups: (B,)."""
        losses = []
        for label in torch.unique(groups // 2).tolist():
            first, second = (torch.nonzero(groups == 2 * label + a).squeeze(1) for a in (0, 1))
            if min(len(first), len(second)) >= (2 if self.cfg.TRAINER.CRAFT.MMD_UNBIASED else 1):
                losses.append(self.mmd_term(out.take(first), out.take(second)))
        return torch.stack(losses).mean() if losses else out.logits.sum() * 0

    def relative(self, out: Features) -> Tensor:
        """r(u) of a batch, over the anchors that MMD_ANCHORS names."""
        which = self.cfg.TRAINER.CRAFT.MMD_ANCHORS
        if which == "image":
            return out.image @ self.anchors.t()
        return craft.relative(out.image, out.text, self.anchors if which == "both" else None)

    def mmd_term(self, source: Features, target: Features) -> Tensor:
        """w_mmd MMD²(r(u), r(u'))."""
        node = self.cfg.TRAINER.CRAFT
        loss = craft.mmd_loss(
            self.relative(source),
            self.relative(target),
            node.MMD_VARIANCES,
            node.MMD_MULTIPLES,
            node.MMD_UNBIASED,
            node.MMD_NORMALIZE,
        )
        return self.weights["mmd"] * loss


class CraftOODTrainer(CraftTrainer, TrainerXU):
    """A host with Craft and the MMD to unlabelled images of the target domain (Dassl's ``train_u``)."""

    uses_mmd = True

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

    def parse_batch_train(self, batch_x, batch_u):
        images, labels = PromptTrainer.parse_batch_train(self, batch_x)
        return images, labels, batch_u["img"].to(self.device, non_blocking=True)

    def batch_terms(self, batch_x, batch_u) -> dict[str, Tensor]:
        images, labels, target_images = self.parse_batch_train(batch_x, batch_u)
        # Both domains through the towers at once: class texts are encoded once a step.
        source, target = self.model(torch.cat([images, target_images])).split(len(images))
        terms = self.loss_terms(source, images, labels)
        if self.weights["mmd"]:
            terms["mmd"] = self.mmd_term(source, target)
        return terms
