"""Craft's terms over one learner's features: which apply, with which weights and anchors. Knows no trainer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from yacs.config import CfgNode

from craft import losses
from craft.prompts.context import text_table
from craft.prompts.learner import Features, PromptLearner
from craft.terms import TERMS, Step


class CraftTerms:
    """The terms of `craft.terms.TERMS` over a learner's features; call it with a `Step`.

    node: ``cfg.TRAINER.CRAFT``. anchors: (A, e) static image anchors, any norm, and their (A,) labels, on the
    learner's device; None where no term needs them. compares: whether steps have two samples to compare.

    weights: by name, of the terms that apply; 0 for those without gradient here, which are in left_out with the reason.
    """

    def __init__(
        self,
        node: CfgNode,
        learner: PromptLearner,
        anchors: Tensor | None = None,
        anchor_labels: Tensor | None = None,
        compares: bool = False,
    ):
        self.node, self.learner = node, learner
        self.anchors = None if anchors is None else F.normalize(anchors, dim=-1)
        self.anchor_labels = anchor_labels
        self.template_table = None
        #: whether gradients reach v_i, the texts of a batch
        self.moves_text = learner.learns_text
        if node.BATCH_TEXT == "template":
            self.moves_text = bool(self._deep_text())
            # As the release writes it: underscores stay.
            texts = [learner.template.replace("{}", name) for name in learner.classnames]
            self.template_table = text_table(learner.backbone, texts).to(learner.backbone.device)
        self.weights: dict[str, float] = {}
        self.left_out: dict[str, str] = {}
        for name, term in TERMS.items():
            if compares or not term.compares:
                self.weights[name] = node[term.key]
                if node[term.key] and (reason := term.no_gradient(self)):
                    self.weights[name], self.left_out[name] = 0.0, reason

    def __call__(self, step: Step) -> dict[str, Tensor]:
        """The weighted terms of a step by name, those that have a weight."""
        return {name: weight * TERMS[name].compute(self, step) for name, weight in self.weights.items() if weight}

    # -- what terms are computed from ---------------------------------------------------------------------------------

    def static_anchors(self) -> tuple[Tensor, Tensor]:
        """(A, e) normalised static image anchors and their (A,) labels."""
        assert self.anchors is not None and self.anchor_labels is not None, "built without anchors"
        return self.anchors, self.anchor_labels

    def _deep_text(self) -> tuple[Tensor, ...]:
        prompts = None if self.learner.text_per_image else self.learner.text_prompts()
        return () if prompts is None else tuple(prompts.deep)

    def batch_text(self, step: Step) -> Tensor:
        """(B, e): v_i of every sample, see BATCH_TEXT."""
        if "batch_text" not in step.kept:
            step.kept["batch_text"] = self._batch_text(step.out, step.labels)
        return step.kept["batch_text"]

    def _batch_text(self, out: Features, labels: Tensor) -> Tensor:
        if self.template_table is None:
            return out.text_of(labels)
        table, deep = self.template_table, self._deep_text()
        few = len(labels) < out.logits.shape[1]
        prompts = table.pick(labels, deep) if few else table.prompts(deep=deep)
        text = F.normalize(self.learner.backbone.encode_text(prompts).float(), dim=-1)
        return text if few else text[labels]

    def relative(self, out: Features) -> Tensor:
        """r(u) of a batch, over the anchors that MMD_ANCHORS names."""
        which = self.node.MMD_ANCHORS
        return losses.relative(
            out.image, None if which == "image" else out.text, None if which == "text" else self.anchors
        )
