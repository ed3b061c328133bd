"""CoCoOp (arXiv 2203.05557): a small network shifts the context vectors by the image's features, image by image."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from backbones import TextPrompts, TokenTable
from trainers.context import context_init, context_length, prompt_rows
from trainers.learner import PromptLearner
from trainers.registry import register_host

NODE = {"N_CTX": 16, "CTX_INIT": "", "PREC": "fp16"}


@register_host(
    "CoCoOp",
    node="COCOOP",
    defaults=NODE,
    paper="arXiv 2203.05557",
    summary="context vectors plus a network that shifts them by each image's features",
)
class CoCoOpLearner(PromptLearner):
    """ctx: (n_ctx, d); meta_net: e -> e/16 -> d, whose output is added to every context vector."""

    text_per_image = True

    def __init__(self, clip, classnames, node, template, fingerprint):
        super().__init__(clip, classnames, node, template, fingerprint)
        n_ctx = context_length(node)
        vectors, words = context_init(clip, node.CTX_INIT, n_ctx)
        embed, hidden = clip.visual.output_dim, max(clip.visual.output_dim // 16, 1)
        self.ctx = nn.Parameter(vectors)
        self.meta_net = nn.Sequential(
            OrderedDict(
                linear1=nn.Linear(embed, hidden),
                relu=nn.ReLU(inplace=True),
                linear2=nn.Linear(hidden, vectors.shape[1]),
            )
        )
        self.table = TokenTable(clip, prompt_rows(clip, classnames, words, n_ctx))

    def text_prompts(self, image: Tensor | None = None) -> TextPrompts:
        """image: (B, e) normalised features; contexts are ctx + meta_net(image), (B, n_ctx, d)."""
        return self.table.prompts(self.ctx + self.meta_net(image)[:, None])
