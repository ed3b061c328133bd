"""IVLP (the independent vision-language prompts of arXiv 2210.03117 and 2307.06948): both towers, learned apart.

A depth of 0 leaves that tower unprompted: vision depth 0 is deep language-only prompting.
"""

from __future__ import annotations

import torch
from torch import nn

from craft.clip import TextPrompts, TokenTable, VisionPrompts
from craft.common.errors import UserError
from craft.prompts.context import INIT_STD, context_init, prompt_rows
from craft.prompts.deep import deep_prompts, text_depth, vision_depth, vision_width
from craft.prompts.learner import PromptLearner

NODE = {
    "N_CTX_VISION": 2,
    "N_CTX_TEXT": 2,
    "CTX_INIT": "a photo of a",  # used where N_CTX_TEXT is at most 4
    "PREC": "fp16",
    "PROMPT_DEPTH_VISION": 9,  # 0: none, 1: shallow
    "PROMPT_DEPTH_TEXT": 9,
}

WORDS_UP_TO = 4  # MaPLe and its kin take CTX_INIT only for so many context tokens; longer contexts start at random


class IVLPLearner(PromptLearner):
    """ctx, text_deep: (n_t, d); vision_ctx, vision_deep: (n_v, w)."""

    defaults = NODE

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        key = f"TRAINER.{type(self).config_node}."
        vision, text, n_v, n_t = node.PROMPT_DEPTH_VISION, node.PROMPT_DEPTH_TEXT, node.N_CTX_VISION, node.N_CTX_TEXT
        if not vision and not text:
            raise UserError(f"{key}PROMPT_DEPTH_VISION and {key}PROMPT_DEPTH_TEXT are both 0: nothing would be learned")
        self.prompts_text, self.prompts_vision = bool(text), bool(vision)
        if text:
            text_depth(backbone, text, key + "PROMPT_DEPTH_TEXT")
            vectors, words = context_init(backbone, node.CTX_INIT if n_t <= WORDS_UP_TO else "", n_t)
            self.ctx = nn.Parameter(vectors)
            self.text_deep = deep_prompts(text - 1, n_t, vectors.shape[1])
            self.table = TokenTable(backbone, prompt_rows(backbone, classnames, words, n_t))
        if vision:
            vision_depth(backbone, vision, key + "PROMPT_DEPTH_VISION")
            width = vision_width(backbone)
            self.vision_ctx = nn.Parameter(torch.empty(n_v, width).normal_(std=INIT_STD))
            self.vision_deep = deep_prompts(vision - 1, n_v, width)

    def reads_template(self) -> bool:
        return not self.prompts_text

    def text_prompts(self, image=None) -> TextPrompts | None:
        return self.table.prompts(self.ctx, tuple(self.text_deep)) if self.prompts_text else None

    def vision_prompts(self) -> VisionPrompts | None:
        return VisionPrompts(self.vision_ctx, tuple(self.vision_deep)) if self.prompts_vision else None
