"""Craft's loss terms for one run: which apply, with which weights and anchors. Knows features, not trainers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from craft import losses
from craft.common.errors import UserError
from craft.mmd import MULTIPLES, grouped_mmd
from craft.prompts.context import text_table
from craft.prompts.learner import Features, PromptLearner

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
    "GROUP_MMD": False,  # *Craft on data with groups: MMD between the groups of a class within the batch
}

CHOICES = {
    "BATCH_TEXT": ("learned", "template"),
    "TARGETS": ("class", "index"),
    "MMD_NORMALIZE": ("none", "minmax"),
    "MMD_ANCHORS": ("text", "image", "both"),
}


def check(node: CfgNode) -> None:
    """UserError for a value of ``cfg.TRAINER.CRAFT`` that means nothing."""
    for key, values in CHOICES.items():
        if node[key] not in values:
            raise UserError(f"TRAINER.CRAFT.{key} is {node[key]!r}; it must be one of {', '.join(values)}")
    for key in ("STATIC_WEIGHT", "STOCHASTIC_WEIGHT", "MMD_WEIGHT"):
        if not 0 <= node[key] < float("inf"):
            raise UserError(f"TRAINER.CRAFT.{key} is {node[key]}; a weight is a number from 0 up")
    if node.ANCHORS_PER_CLASS < 1:
        raise UserError(f"TRAINER.CRAFT.ANCHORS_PER_CLASS is {node.ANCHORS_PER_CLASS}; it must be at least 1")
    bandwidths = node.MMD_VARIANCES or node.MMD_MULTIPLES
    if not bandwidths or not all(_positive(number) for number in bandwidths):
        raise UserError(
            f"TRAINER.CRAFT.MMD_VARIANCES {tuple(node.MMD_VARIANCES)} and MMD_MULTIPLES {tuple(node.MMD_MULTIPLES)} "
            "give no bandwidths; set either to numbers above 0"
        )
    if node.GROUP_MMD and node.MMD_NORMALIZE != "none":
        raise UserError("TRAINER.CRAFT.MMD_NORMALIZE minmax is for two domains; with GROUP_MMD it must be none")


def _positive(value) -> bool:
    return isinstance(value, int | float) and 0 < value < float("inf")


def needs_anchors(node: CfgNode, mmd: bool) -> bool:
    """Whether any term reads static image anchors; ``mmd``: whether the run has an MMD term."""
    return node.STATIC_WEIGHT > 0 or (mmd and node.MMD_WEIGHT > 0 and node.MMD_ANCHORS != "text")


class CraftTerms:
    """The terms ``static``, ``stochastic`` and ``mmd`` over a learner's features.

    node: ``cfg.TRAINER.CRAFT``. anchors: (A, e) static image anchors, any norm, and their (A,) labels, on the
    learner's device; None where `needs_anchors` says so. mmd: whether there are two samples to compare.
    left_out: the terms that are asked for but have no gradient here, with the reason.
    """

    def __init__(
        self,
        node: CfgNode,
        learner: PromptLearner,
        anchors: Tensor | None = None,
        anchor_labels: Tensor | None = None,
        mmd: bool = False,
    ):
        self.node, self.learner = node, learner
        self.anchors = None if anchors is None else F.normalize(anchors, dim=-1)
        self.anchor_labels = anchor_labels
        self.weights = {"static": node.STATIC_WEIGHT, "stochastic": node.STOCHASTIC_WEIGHT}
        if mmd:
            self.weights["mmd"] = node.MMD_WEIGHT
        self.left_out: dict[str, str] = {}
        self.template_table = None
        moves_text = learner.learns_text
        if node.BATCH_TEXT == "template":
            moves_text = bool(self._deep_text())
            # As the release writes it: underscores stay.
            texts = [learner.template.replace("{}", name) for name in learner.classnames]
            self.template_table = text_table(learner.backbone, texts).to(learner.backbone.device)
        if self.weights["static"] and not moves_text:
            self.weights["static"] = 0.0
            self.left_out["static"] = "nothing is learned in the texts that it moves, so it has no gradient"
        if self.weights.get("mmd") and node.MMD_ANCHORS == "image" and not learner.learns_vision:
            self.weights["mmd"] = 0.0
            self.left_out["mmd"] = "images and image anchors are both frozen, so it has no gradient"

    def _deep_text(self) -> tuple[Tensor, ...]:
        prompts = None if self.learner.text_per_image else self.learner.text_prompts()
        return () if prompts is None else tuple(prompts.deep)

    def batch_text(self, out: Features, labels: Tensor) -> Tensor:
        """(B, e): v_i of every sample, see BATCH_TEXT."""
        if self.template_table is None:
            return out.text_of(labels)
        table, deep = self.template_table, self._deep_text()
        few = len(labels) < out.logits.shape[1]
        prompts = table.pick(labels, deep) if few else table.prompts(deep=deep)
        text = F.normalize(self.learner.backbone.encode_text(prompts).float(), dim=-1)
        return text if few else text[labels]

    def alignment(self, out: Features, labels: Tensor) -> dict[str, Tensor]:
        """The weighted terms ``static`` and ``stochastic`` of a labelled batch, those with a weight."""
        terms: dict[str, Tensor] = {}
        if not (self.weights["static"] or self.weights["stochastic"]):
            return terms
        node, text = self.node, self.batch_text(out, labels)
        if self.weights["static"]:
            classes = out.logits.shape[1]
            loss = losses.static_loss(text, labels, self.anchors, self.anchor_labels, classes, out.scale)
            terms["static"] = self.weights["static"] * loss
        if self.weights["stochastic"]:
            loss = losses.stochastic_loss(out.image, text, labels, out.scale, node.TARGETS == "class", node.SYMMETRIC)
            terms["stochastic"] = self.weights["stochastic"] * loss
        return terms

    def relative(self, out: Features) -> Tensor:
        """r(u) of a batch, over the anchors that MMD_ANCHORS names."""
        which = self.node.MMD_ANCHORS
        return losses.relative(
            out.image, None if which == "image" else out.text, None if which == "text" else self.anchors
        )

    def mmd(self, source: Features, target: Features) -> Tensor:
        """w_mmd MMD²(r(u), r(u')) between two samples."""
        node = self.node
        loss = losses.mmd_loss(
            self.relative(source),
            self.relative(target),
            node.MMD_VARIANCES,
            node.MMD_MULTIPLES,
            node.MMD_UNBIASED,
            node.MMD_NORMALIZE,
        )
        return self.weights["mmd"] * loss

    def group_mmd(self, out: Features, groups: Tensor, pairs: Tensor) -> Tensor:
        """w_mmd times the mean MMD² over those pairs of groups that the batch has both of; see `grouped_mmd`.

        groups: (B,). pairs: (P, 2) groups to compare, of one class each. Both on the learner's device.
        """
        node = self.node
        loss = grouped_mmd(self.relative(out), groups, pairs, node.MMD_VARIANCES, node.MMD_MULTIPLES, node.MMD_UNBIASED)
        return self.weights["mmd"] * loss
