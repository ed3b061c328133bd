"""VPT (arXiv 2203.12119): learnable tokens in the image tower, shallow (depth 1) or deep; texts are hand-written."""

from __future__ import annotations

import torch
from torch import nn

from craft.clip import VisionPrompts
from craft.prompts.context import INIT_STD, clean
from craft.prompts.deep import deep_prompts, vision_depth, vision_width
from craft.prompts.learner import PromptLearner

NODE = {
    "N_CTX_VISION": 8,
    "CTX_INIT": "a photo of a",  # the frozen text; empty: the data set's template
    "PREC": "fp16",
    "PROMPT_DEPTH_VISION": 9,  # 1: shallow
}


class VPTLearner(PromptLearner):
    """vision_ctx: (n, w); vision_deep: (n, w) for each block from 1 on."""

    defaults = NODE

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        depth = vision_depth(backbone, node.PROMPT_DEPTH_VISION, "TRAINER.VPT.PROMPT_DEPTH_VISION")
        width = vision_width(backbone)
        self.vision_ctx = nn.Parameter(torch.empty(node.N_CTX_VISION, width).normal_(std=INIT_STD))
        self.vision_deep = deep_prompts(depth - 1, node.N_CTX_VISION, width)

    def vision_prompts(self) -> VisionPrompts:
        return VisionPrompts(self.vision_ctx, tuple(self.vision_deep))

    def reads_template(self) -> bool:
        return not self.node.CTX_INIT

    def hand_written_texts(self) -> list[str]:
        if not self.node.CTX_INIT:
            return super().hand_written_texts()
        return [f"{clean(self.node.CTX_INIT)} {clean(name)}." for name in self.classnames]
