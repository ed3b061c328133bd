"""The text tower with prompts from outside, at the cost of the tokens that differ between classes.

Two exact savings, both from the causal mask. Nothing after a text's end-of-text token can influence it, so every text
stops there. And tokens that all texts have in common at the start (start-of-text, shared context) have the same states
at every layer whatever follows, deep prompts included, so they are computed once (the *prefix*), and only the remaining
tokens (the *rest*) are computed for each text. The rest of all texts lies packed in one (T, d) matrix without padding;
only attention, which is cheap here, pads it to the longest text.

Notation of shapes: C texts, T rest tokens in all, S the longest rest, P prefix tokens, B images (where prompts depend
on the image), d width, e embedding dimension, n deep prompt tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from clip import clip as openai
from clip.model import CLIP
from torch import Tensor, nn

from common.errors import UserError

END_OF_TEXT = 49407


class Packing(nn.Module):
    """Where the rest tokens of C texts lie in a packed (T, d) matrix: index tensors that move with the module.

    lengths: number of rest tokens of each text, each at least 1; the last one is the end-of-text token.
    """

    def __init__(self, lengths: Sequence[int], prefix: int):
        super().__init__()
        lengths_C = torch.as_tensor(lengths, dtype=torch.long)
        self.prefix, self.longest, self.texts = prefix, int(lengths_C.max()), len(lengths_C)
        starts_C = lengths_C.cumsum(0) - lengths_C
        within = torch.arange(self.longest)
        real_CS = within[None] < lengths_C[:, None]
        # A padded slot reads token 0; the causal mask keeps real queries from seeing it.
        self.register_buffer("pad_CS", torch.where(real_CS, starts_C[:, None] + within, 0), persistent=False)
        self.register_buffer("unpad_T", real_CS.flatten().nonzero().squeeze(1), persistent=False)
        self.register_buffer("last_C", starts_C + lengths_C - 1, persistent=False)
        self.register_buffer("position_T", (prefix + within.expand_as(real_CS))[real_CS], persistent=False)
        causal = torch.ones(self.longest, self.longest, dtype=torch.bool).tril()
        mask = torch.cat([torch.ones(self.longest, prefix, dtype=torch.bool), causal], dim=1)
        self.register_buffer("mask_SK", mask, persistent=False)
        self.register_buffer("mask_last_CK", mask[lengths_C - 1][:, None, None], persistent=False)
        self.uniform = bool(real_CS.all())  # then packed and padded are one reshape apart


@dataclass
class TextPrompts:
    """What the text tower reads for C texts.

    prefix: (P, d), or (B, P, d) where prompts depend on the image; embeddings of the tokens all texts share.
    rest:   (T, d) embeddings of the remaining tokens, packed as ``packing`` says.
    deep:   for blocks 1, 2, …: (n, d) states that replace those at positions 1…n before the block.
    Positional embeddings are added by the encoder.
    """

    prefix: Tensor
    rest: Tensor
    packing: Packing
    deep: Sequence[Tensor] = field(default_factory=tuple)


def tokenize(texts: Sequence[str], context_length: int = 77) -> list[list[int]]:
    """Token ids of each text from start-of-text to end-of-text; UserError names a text that is too long."""
    ids = []
    for text in texts:
        try:
            row = openai.tokenize([text], context_length=context_length)[0]
        except RuntimeError as error:
            raise UserError(
                f"text is longer than CLIP's {context_length} tokens: {text!r}; shorten the class name "
                "or use fewer context tokens"
            ) from error
        ids.append(row[: int(row.argmax()) + 1].tolist())
    return ids


def common_prefix(rows: Sequence[Sequence]) -> int:
    """Number of leading entries that all rows share, leaving at least one to each row."""
    shortest = min(len(row) for row in rows) - 1
    for position in range(shortest):
        if any(row[position] != rows[0][position] for row in rows):
            return position
    return shortest


class TokenTable(nn.Module):
    """Texts with learnable slots, tokenised once; `prompts` fills the slots and returns TextPrompts.

    Each text is a sequence of frozen tokens and slots; slot k stands for row k of the context given to `prompts`.
    rows: for each text a list whose entries are token ids (>= 0) or slots, written ``-1 - k``.

    The leading entries common to all texts become the prefix (a class-specific context has different slots in
    different texts, and shares the start-of-text token only).
    """

    def __init__(self, clip: CLIP, rows: Sequence[Sequence[int]]):
        super().__init__()
        if max(len(row) for row in rows) > clip.context_length:
            worst = max(range(len(rows)), key=lambda i: len(rows[i]))
            raise UserError(
                f"class number {worst}: its prompt has {len(rows[worst])} tokens, CLIP reads "
                f"{clip.context_length}; shorten the class name or use fewer context tokens"
            )
        shared = common_prefix(rows)
        tail = [entry for row in rows for entry in row[shared:]]
        ids = sorted({entry for row in rows for entry in row if entry >= 0})
        place = {token: index for index, token in enumerate(ids)}
        table = clip.token_embedding.weight.detach()[ids]
        self.register_buffer("embedding", table, persistent=False)  # (V, d): only the tokens in use
        self.packing = Packing([len(row) - shared for row in rows], shared)

        def index(entries: Sequence[int]) -> Tensor:  # rows of cat(embedding, context)
            return torch.tensor([place[e] if e >= 0 else len(ids) - 1 - e for e in entries], dtype=torch.long)

        self.register_buffer("prefix_index", index(rows[0][:shared]), persistent=False)
        self.register_buffer("rest_index", index(tail), persistent=False)
        self.rest_learns = any(entry < 0 for entry in tail)

    def prompts(self, context: Tensor | None = None, deep: Sequence[Tensor] = ()) -> TextPrompts:
        """context: (slots, d), or (B, slots, d) for prompts that depend on the image (slots in the prefix only)."""
        if context is None:
            return TextPrompts(self.embedding[self.prefix_index], self.embedding[self.rest_index], self.packing, deep)
        if context.dim() == 3:
            if self.rest_learns:
                raise ValueError("context per image needs all its slots before the first token that differs")
            frozen = self.embedding.expand(context.shape[0], -1, -1)
            prefix = torch.cat([frozen, context], dim=1)[:, self.prefix_index]
            return TextPrompts(prefix, self.embedding[self.rest_index], self.packing, deep)
        table = torch.cat([self.embedding, context])
        rest = table[self.rest_index] if self.rest_learns else self.embedding[self.rest_index]
        return TextPrompts(table[self.prefix_index], rest, self.packing, deep)


def encode_text(clip: CLIP, prompts: TextPrompts) -> Tensor:
    """Features, not normalised: (C, e), or (B, C, e) where the prefix depends on the image.

    Equals ``clip.encode_text`` on the same tokens padded to 77 (with deep prompts: CLIP's blocks with the states at
    positions 1…n replaced before each prompted block), within rounding.
    """
    packing, dtype = prompts.packing, clip.dtype
    batched = prompts.prefix.dim() == 3
    prefix = prompts.prefix if batched else prompts.prefix[None]
    position = clip.positional_embedding.to(dtype)
    prefix = prefix.to(dtype) + position[: packing.prefix]  # (B, P, d)
    rest = prompts.rest.to(dtype) + position[packing.position_T]  # (T, d)
    rest = rest.expand(prefix.shape[0], -1, -1)  # (B, T, d)
    blocks = list(clip.transformer.resblocks)
    if len(prompts.deep) >= len(blocks):
        raise UserError(
            f"{len(prompts.deep)} deep text prompts do not fit a text tower of {len(blocks)} layers; "
            "lower the prompt depth"
        )
    for number, block in enumerate(blocks):
        if 1 <= number <= len(prompts.deep):
            prefix, rest = _overwrite(prefix, rest, packing, prompts.deep[number - 1].to(dtype))
        prefix, rest = _block(block, prefix, rest, packing, last=number == len(blocks) - 1)
    features = clip.ln_final(rest).to(dtype) @ clip.text_projection
    return features if batched else features[0]


@torch.no_grad()
def encode_texts(clip: CLIP, texts: Sequence[str], batch: int = 256) -> Tensor:
    """(len(texts), e) frozen features of plain texts, not normalised, on the model's device."""
    device = clip.positional_embedding.device
    parts = []
    for start in range(0, len(texts), batch):
        rows = tokenize(texts[start : start + batch], clip.context_length)
        parts.append(encode_text(clip, TokenTable(clip, rows).to(device).prompts()))
    return torch.cat(parts)


def _overwrite(prefix: Tensor, rest: Tensor, packing: Packing, deep: Tensor) -> tuple[Tensor, Tensor]:
    """Put ``deep`` (n, d) at positions 1…n, which lie in the prefix unless texts differ before that."""
    count, end = deep.shape[0], 1 + deep.shape[0]
    head = prefix[:, :1]
    inside = deep[: max(packing.prefix - 1, 0)].expand(prefix.shape[0], -1, -1)
    prefix = torch.cat([head, inside, prefix[:, end:]], dim=1)
    if packing.prefix < end:
        place = packing.position_T
        rest = torch.where((place < end)[:, None], deep[(place - 1).clamp(0, count - 1)], rest)
    return prefix, rest


def _block(block: nn.Module, prefix: Tensor, rest: Tensor, packing: Packing, last: bool) -> tuple[Tensor, Tensor]:
    """One residual attention block. In the last one only the end-of-text tokens go on: (B, C, d)."""
    heads, width = block.attn.num_heads, rest.shape[-1]
    batch = rest.shape[0]
    weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias

    def split(x: Tensor) -> Tensor:  # (…, L, d) -> (…, heads, L, d / heads)
        return x.unflatten(-1, (heads, width // heads)).transpose(-3, -2)

    def pad(x: Tensor) -> Tensor:  # (B, T, d) -> (B, C, heads, S, d / heads)
        if packing.uniform:
            return split(x.unflatten(1, (packing.texts, packing.longest)))
        return split(x[:, packing.pad_CS])

    def keys(x: Tensor, own: Tensor) -> Tensor:  # prefix's keys (or values) in front of every text's own
        shared = split(x)[:, None].expand(-1, packing.texts, -1, -1, -1)
        return torch.cat([shared, pad(own)], dim=-2)

    normed = block.ln_1(rest)
    prefix_normed = block.ln_1(prefix)
    if last:
        rest = rest[:, packing.last_C]
        query = F.linear(normed[:, packing.last_C], weight[:width], bias[:width])
        key, value = F.linear(normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        prefix_key, prefix_value = F.linear(prefix_normed, weight[width:], bias[width:]).chunk(2, dim=-1)
        query, mask = split(query[:, :, None]), packing.mask_last_CK
    else:
        query, key, value = F.linear(normed, weight, bias).chunk(3, dim=-1)
        prefix_query, prefix_key, prefix_value = F.linear(prefix_normed, weight, bias).chunk(3, dim=-1)
        query, mask = pad(query), packing.mask_SK
    mixed = F.scaled_dot_product_attention(query, keys(prefix_key, key), keys(prefix_value, value), attn_mask=mask)
    mixed = mixed.transpose(-3, -2).flatten(-2)  # (B, C, S, d)
    mixed = mixed[:, :, 0] if last else mixed.flatten(1, 2)
    if not last and not packing.uniform:
        mixed = mixed[:, packing.unpad_T]
    rest = rest + block.attn.out_proj(mixed)
    rest = rest + block.mlp(block.ln_2(rest))
    if not last:
        queries, keys_, values = split(prefix_query), split(prefix_key), split(prefix_value)
        own = F.scaled_dot_product_attention(queries, keys_, values, is_causal=True)
        prefix = prefix + block.attn.out_proj(own.transpose(-3, -2).reshape(batch, -1, width))
        prefix = prefix + block.mlp(block.ln_2(prefix))
    return prefix, rest
