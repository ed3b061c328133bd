"""MaPLe (arXiv 2210.03117): deep text prompts, and vision prompts that are linear projections of them."""

from __future__ import annotations

import copy

from torch import nn

from craft.clip import TextPrompts, TokenTable, VisionPrompts
from craft.prompts.context import context_init, prompt_rows
from craft.prompts.deep import deep_prompts, text_depth, vision_depth, vision_width
from craft.prompts.learner import PromptLearner
from craft.trainers.ivlp import WORDS_UP_TO

NODE = {
    "N_CTX": 2,
    "CTX_INIT": "a photo of a",  # used where N_CTX is at most 4
    "PREC": "fp16",
    "PROMPT_DEPTH": 9,  # layers of both towers with prompts; 1: shallow
}


class MaPLeLearner(PromptLearner):
    """ctx: (n, d), proj: d -> w; compound_prompts_text: (n, d) a block, each with its own projection to w."""

    defaults = NODE

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        depth = text_depth(backbone, node.PROMPT_DEPTH, "TRAINER.MAPLE.PROMPT_DEPTH")
        vision_depth(backbone, depth, "TRAINER.MAPLE.PROMPT_DEPTH")
        words = node.CTX_INIT if node.N_CTX <= WORDS_UP_TO else ""
        vectors, words = context_init(backbone, words, node.N_CTX)
        text_width, width = vectors.shape[1], vision_width(backbone)
        self.proj = nn.Linear(text_width, width)
        self.ctx = nn.Parameter(vectors)
        self.compound_prompts_text = deep_prompts(depth - 1, node.N_CTX, text_width)
        projection = nn.Linear(text_width, width)  # all start alike, as published
        self.compound_prompt_projections = nn.ModuleList(copy.deepcopy(projection) for _ in range(depth - 1))
        self.table = TokenTable(backbone, prompt_rows(backbone, classnames, words, node.N_CTX))

    def reads_template(self) -> bool:
        return False

    def text_prompts(self, image=None) -> TextPrompts:
        return self.table.prompts(self.ctx, tuple(self.compound_prompts_text))

    def vision_prompts(self) -> VisionPrompts:
        deep = [project(p) for project, p in zip(self.compound_prompt_projections, self.compound_prompts_text)]
        return VisionPrompts(self.proj(self.ctx), deep)
