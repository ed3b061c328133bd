"""How a learnable context and class names become rows of tokens and slots for the text tower.

The published trainers tokenise ``"<context> <class name>."``, keep the start-of-text token, put learnable vectors in
place of the first ``n_ctx`` tokens after it, and keep whatever tokens follow. That is done here, once, for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from craft.clip import Backbone, TokenTable
from craft.common import tensor_cache
from craft.common.errors import UserError

INIT_STD = 0.02  # of randomly initialised context vectors, as in CoOp
POSITIONS = ("end", "middle", "front")


def clean(name: str) -> str:
    """Underscores in class names become spaces."""
    return name.replace("_", " ")


def fill(template: str, name: str) -> str:
    """The hand-written text of a class; braces in the class name are kept as they are."""
    return template.replace("{}", clean(name))


def context_length(node) -> int:
    """Number of context tokens of CoOp and its kin: the words of CTX_INIT where given, else N_CTX."""
    return len(clean(node.CTX_INIT).split(" ")) if node.CTX_INIT else node.N_CTX


def context_init(backbone: Backbone, ctx_init: str, n_ctx: int) -> tuple[Tensor, str]:
    """(n_ctx, d) initial context vectors, and the words that stand for them when prompts are tokenised.

    ``ctx_init``: words whose first ``n_ctx`` tokens give the vectors; the tokens beyond them stay in the prompt,
    frozen. Empty: vectors ~ N(0, 0.02²), with placeholder words.
    """
    if n_ctx < 1:
        raise UserError(f"a learnable context needs at least one token, N_CTX is {n_ctx}")
    if not ctx_init:
        return torch.empty(n_ctx, backbone.text_width).normal_(std=INIT_STD), " ".join(["X"] * n_ctx)
    words = clean(ctx_init)
    ids = backbone.tokenize([words])[0][1:-1]
    if len(ids) < n_ctx:
        raise UserError(
            f"CTX_INIT {ctx_init!r} has {len(ids)} tokens but {n_ctx} context tokens are asked for; "
            "lower N_CTX or empty CTX_INIT"
        )
    return backbone.embed(ids[:n_ctx]).float().cpu(), words


def prompt_rows(
    backbone: Backbone,
    classnames: Sequence[str],
    words: str,
    n_ctx: int,
    position: str = "end",
    class_specific: bool = False,
) -> list[list[int]]:
    """For each class the token ids and slots (see `craft.clip.TokenTable`) of its prompt.

    ``position``: where the class name stands relative to the context: behind it (``end``), between its halves
    (``middle``), before it (``front``). With ``class_specific`` class c owns slots c·n_ctx … c·n_ctx + n_ctx − 1.
    """
    if position not in POSITIONS:
        raise UserError(f"CLASS_TOKEN_POSITION is {position!r}; it must be one of {', '.join(POSITIONS)}")
    names = [clean(name) for name in classnames]
    rows = []
    tokens = backbone.tokenize([f"{words} {name}." for name in names])
    for number, (name, row) in enumerate(zip(names, tokens)):
        offset = number * n_ctx if class_specific else 0
        slots = [-1 - offset - k for k in range(n_ctx)]
        tail = row[1 + n_ctx :]
        length = backbone.count_tokens(name)
        if position == "end":
            body = slots + tail
        elif position == "middle":
            body = slots[: n_ctx // 2] + tail[:length] + slots[n_ctx // 2 :] + tail[length:]
        else:
            body = tail[:length] + slots + tail[length:]
        rows.append([row[0], *body])
    return rows


def text_table(backbone: Backbone, texts: Sequence[str]) -> TokenTable:
    """A table without slots: plain texts."""
    return TokenTable(backbone, backbone.tokenize(texts))


def frozen_text_features(backbone: Backbone, texts: Sequence[str]) -> Tensor:
    """(len(texts), e) float32 features of plain texts, not normalised; cached on disk by weights and texts.

    The cache holds float32 features whatever the precision of the model that made them, so that precision is part
    of its key.
    """
    key = {"format": 1, "backbone": backbone.fingerprint, "dtype": str(backbone.dtype), "texts": list(texts)}
    about = {"texts": len(texts), "first": texts[0]}
    found = tensor_cache.remember("texts", key, lambda: {"features": backbone.encode_texts(texts).float()}, about)
    return found["features"].to(backbone.device)
