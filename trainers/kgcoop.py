"""KgCoOp (arXiv 2303.13283): CoOp whose text features are held near those of the hand-written texts."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from craft.prompts.context import frozen_text_features
from craft.prompts.learner import Features
from craft.trainers import coop

NODE = {**coop.NODE, "N_CTX": 4, "CTX_INIT": "a photo of a", "W": 8.0}


class KgCoOpLearner(coop.CoOpLearner):
    """W: weight of the distance to the hand-written texts."""

    defaults = NODE

    target: Tensor  # (C, e) frozen, normalised text features

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        target = F.normalize(frozen_text_features(backbone, self.hand_written_texts()), dim=-1)
        self.register_buffer("target", target, persistent=False)

    def reads_template(self) -> bool:
        return True  # texts are held near it

    def extra_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """W (1 − mean_c <t_c, w_c>), w_c the frozen hand-written text of class c (eq. 5)."""
        similarity = (out.text * self.target).sum(dim=-1)
        return {"knowledge": self.node.W * (1 - similarity.mean())}
