"""CoOp (arXiv 2109.01134): the words around the class name become learnable vectors, shared or one set a class."""

from __future__ import annotations

from torch import nn

from craft.clip import TextPrompts, TokenTable
from craft.prompts.context import INIT_STD, context_init, context_length, prompt_rows
from craft.prompts.learner import PromptLearner

NODE = {
    "N_CTX": 16,  # number of context tokens; CTX_INIT, where given, decides instead
    "CSC": False,  # class-specific context
    "CTX_INIT": "",  # words to start from
    "PREC": "fp16",  # fp16, fp32, amp, amp_bf16
    "CLASS_TOKEN_POSITION": "end",  # middle, end or front
}


class CoOpLearner(PromptLearner):
    """ctx: (n_ctx, d), or (C, n_ctx, d) with class-specific context (``CSC``)."""

    defaults = NODE

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        n_ctx = context_length(node)
        specific = bool(node.get("CSC", False))
        # A context given in words is one context; class-specific copies of it have nothing to tell them apart
        # at first, and CoOp ignores CSC then.
        specific = specific and not node.CTX_INIT
        vectors, words = context_init(backbone, node.CTX_INIT, n_ctx)
        self.class_specific = specific
        if specific:
            vectors = vectors.new_empty(len(classnames), *vectors.shape).normal_(std=INIT_STD)
        self.ctx = nn.Parameter(vectors)
        position = node.get("CLASS_TOKEN_POSITION", "end")
        self.table = TokenTable(backbone, prompt_rows(backbone, classnames, words, n_ctx, position, specific))

    def reads_template(self) -> bool:
        return False

    def text_prompts(self, image=None) -> TextPrompts:
        return self.table.prompts(self.ctx.flatten(0, -2))
