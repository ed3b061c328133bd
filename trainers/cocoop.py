"""CoCoOp (arXiv 2203.05557): a small network shifts the context vectors by the image's features, image by image."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from craft.clip import TextPrompts, TokenTable
from craft.prompts.context import context_init, context_length, prompt_rows
from craft.prompts.learner import PromptLearner

NODE = {"N_CTX": 16, "CTX_INIT": "", "PREC": "fp16"}


class CoCoOpLearner(PromptLearner):
    """ctx: (n_ctx, d); meta_net: e -> e/16 -> d, whose output is added to every context vector."""

    defaults = NODE

    text_per_image = True

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        n_ctx = context_length(node)
        vectors, words = context_init(backbone, node.CTX_INIT, n_ctx)
        embed, hidden = backbone.embed_dim, max(backbone.embed_dim // 16, 1)
        self.ctx = nn.Parameter(vectors)
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(embed, hidden),
                relu=nn.ReLU(inplace=True),
                linear2=nn.Linear(hidden, vectors.shape[1]),
            )
        )
        self.table = TokenTable(backbone, prompt_rows(backbone, classnames, words, n_ctx))

    def reads_template(self) -> bool:
        return False

    def text_prompts(self, image: Tensor | None = None) -> TextPrompts:
        """image: (B, e) normalised features; contexts are ctx + meta_net(image), (B, n_ctx, d)."""
        return self.table.prompts(self.ctx + self.meta_net(image)[:, None])
