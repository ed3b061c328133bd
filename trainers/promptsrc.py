"""PromptSRC (arXiv 2307.06948): IVLP's prompts, held near the frozen CLIP, and averaged over the epochs.

The frozen image features come from the one CLIP in memory without its prompts; the frozen text target is the mean
feature of 60 hand-written texts a class, computed once and cached on disk.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from craft.prompts.context import fill, frozen_text_features
from craft.prompts.learner import Features
from craft.trainers import ivlp
from craft.trainers.promptsrc_templates import TEACHER_TEMPLATES

NODE = {
    **ivlp.NODE,
    "N_CTX_VISION": 4,
    "N_CTX_TEXT": 4,
    "TEXT_LOSS_WEIGHT": 25.0,
    "IMAGE_LOSS_WEIGHT": 10.0,
    "GPA_MEAN": 15.0,  # epoch with the largest weight in the average
    "GPA_STD": 1.0,
}


class PromptSRCLearner(ivlp.IVLPLearner):
    """Adds scl_text, scl_image, scl_logits (eq. 3-5) and Gaussian-weighted prompt aggregation (eq. 6)."""

    defaults = NODE

    target: Tensor  # (C, e) frozen, normalised text features

    teacher_templates = TEACHER_TEMPLATES

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        texts = [fill(form, name) for name in classnames for form in self.teacher_templates]
        features = frozen_text_features(backbone, texts)
        mean = features.unflatten(0, (len(classnames), len(self.teacher_templates))).mean(dim=1)
        self.register_buffer("target", F.normalize(mean, dim=-1), persistent=False)
        for name, parameter in list(self.named_parameters()):
            self.register_buffer(self._average_of(name), torch.zeros_like(parameter))

    @staticmethod
    def _average_of(name: str) -> str:
        return "gpa_" + name.replace(".", "_")

    def extra_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """L1 distances to the frozen text and image features; KL(frozen ‖ prompted) of the predictions over all
        B·C entries, as published."""
        frozen = self.frozen_image(images)
        with torch.autocast(images.device.type, enabled=False):  # as exact as the prompted logits
            frozen_logits = out.scale * frozen @ self.target.t()
            divergence = F.kl_div(
                out.logits.log_softmax(dim=1), frozen_logits.log_softmax(dim=1), reduction="sum", log_target=True
            )
        return {
            "scl_text": self.node.TEXT_LOSS_WEIGHT * F.l1_loss(out.text, self.target),
            "scl_image": self.node.IMAGE_LOSS_WEIGHT * F.l1_loss(out.image, frozen),
            "scl_logits": divergence / out.logits.numel(),
        }

    @torch.no_grad()
    def end_epoch(self, epoch: int, epochs: int) -> None:
        """Add this epoch's prompts to the average with weight N(epoch; GPA_MEAN, GPA_STD²), weights summing to 1;
        after the last epoch the average takes the prompts' place."""

        def gauss(e: int) -> float:
            return math.exp(-0.5 * ((e - self.node.GPA_MEAN) / self.node.GPA_STD) ** 2)

        total = sum(gauss(e) for e in range(1, epochs + 1))
        # A mean far beyond the last epoch underflows to 0 everywhere: the nearest epoch then has all the weight.
        weight = gauss(epoch) / total if total else float(epoch == epochs)
        for name, parameter in self.named_parameters():
            average = self.get_buffer(self._average_of(name))
            average.add_(parameter, alpha=weight)
            if epoch == epochs:
                parameter.copy_(average)
