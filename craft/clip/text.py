"""The text tower with prompts from outside, at the cost of the tokens that differ between classes.

Two exact savings, both from the causal mask. Nothing after a text's end-of-text token can influence it, so every text
stops there. And tokens that all texts have in common at the start (start-of-text, shared context) have the same states
at every layer whatever follows, deep prompts included, so they are computed once (the *prefix*), and only the remaining
tokens (the *rest*) are computed for each text. The rest of all texts lies packed in one (T, d) matrix without padding
(`craft.clip.packing`); only attention, which is cheap here, pads it to the longest text.

Notation of shapes: C texts, T rest tokens in all, S the longest rest, P prefix tokens, B images (where prompts depend
on the image), d width, e embedding dimension, n deep prompt tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
import torch.nn.functional as F
from clip import clip as openai
from clip.model import CLIP
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from craft.clip.blocks import feed_forward, heads, merge, project
from craft.clip.compiled import compiled
from craft.clip.packing import Packing
from craft.common.errors import UserError

END_OF_TEXT = 49407


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
        self.register_buffer("length_C", torch.tensor([len(row) - shared for row in rows]), persistent=False)
        self.rest_learns = any(entry < 0 for entry in tail)
        self._padded: dict[int, Packing] = {}  # by number of texts, see `pick`

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

    def pick(self, which: Tensor, deep: Sequence[Tensor] = ()) -> TextPrompts:
        """The texts numbered ``which`` (B,), from a table without slots.

        Each is padded to the longest of the table rather than packed: how long they are stays on the device, which a
        step must not wait for.
        """
        count, longest = len(which), self.packing.longest
        if count not in self._padded:
            self._padded[count] = Packing([longest] * count, self.packing.prefix).to(which.device)
        packing = self._padded[count]
        starts = torch.arange(0, count * longest, longest, device=which.device)
        packing.last_C = starts + self.length_C[which] - 1
        packing.mask_last_CK = self.packing.mask_last_CK[which]
        rest = self.embedding[self.rest_index[self.packing.pad_CS[which].flatten()]]
        return TextPrompts(self.embedding[self.prefix_index], rest, packing, deep)


def encode_text(clip: CLIP, prompts: TextPrompts, chunk: int = 0, compile_blocks: bool = False) -> Tensor:
    """Features, not normalised: (C, e), or (B, C, e) where the prefix depends on the image.

    Equals ``clip.encode_text`` on the same tokens padded to 77 (with deep prompts: CLIP's blocks with the states at
    positions 1…n replaced before each prompted block), within rounding.

    chunk: with a graph, at most this many texts are held at a time; their states are computed again on the way back
    (0: all are kept). Memory then no longer grows with the number of classes, for about a third more time.

    compile_blocks: run the blocks through `craft.clip.compiled`, except on chunks, whose shapes differ, so that each
    would be compiled.
    """
    packing, dtype = prompts.packing, clip.dtype
    deep = [states.to(dtype) for states in prompts.deep]
    if len(deep) >= len(clip.transformer.resblocks):
        raise UserError(
            f"{len(deep)} deep text prompts do not fit a text tower of {len(clip.transformer.resblocks)} "
            "layers; lower the prompt depth"
        )
    position = clip.positional_embedding.to(dtype)
    batched = prompts.prefix.dim() == 3
    prefix = prompts.prefix if batched else prompts.prefix[None]
    shared = _encode_prefix(clip, prefix.to(dtype) + position[: packing.prefix], deep, compile_blocks)
    rest = prompts.rest.to(dtype) + position[packing.position_T]  # (T, d)
    if chunk and torch.is_grad_enabled() and packing.texts > chunk:
        parts = []
        for piece, where in packing.split(chunk):
            parts.append(checkpoint(_encode_rest, clip, rest[where], piece, deep, shared, use_reentrant=False))
        features = torch.cat(parts, dim=1)
    else:
        features = _encode_rest(clip, rest, packing, deep, shared, compile_blocks)
    return features if batched else features[0]


@torch.no_grad()
def encode_texts(clip: CLIP, texts: Sequence[str], batch: int = 256) -> Tensor:
    """(len(texts), e) frozen features of plain texts, not normalised, on the model's device.

    Texts that begin alike are encoded together, so that what they share is computed once; at most ``batch`` at a time.
    """
    device = clip.positional_embedding.device
    rows = tokenize(texts, clip.context_length)
    features = torch.empty(len(texts), clip.text_projection.shape[1], dtype=clip.dtype, device=device)
    for group in prefix_groups(rows):
        for start in range(0, len(group), batch):
            part = group[start : start + batch]
            table = TokenTable(clip, [rows[index] for index in part]).to(device)
            features[part] = encode_text(clip, table.prompts()).to(features.dtype)
    return features


#: tokens that one more pass of the text tower must save to be worth its launch
PASS = 32


def prefix_groups(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """All indices of ``rows`` once, grouped so that computing each group's common prefix once costs few tokens.

    Along the tree of prefixes, rows that go on alike leave their group where that saves more than `PASS` tokens.
    """

    def split(order: list[int]) -> list[list[int]]:  # of indices in the order of their rows
        shared = common_prefix([rows[order[0]], rows[order[-1]]])
        groups, together = [], []
        for _, branch in groupby(order, key=lambda index: rows[index][shared]):
            branch = list(branch)
            longer = common_prefix([rows[branch[0]], rows[branch[-1]]])
            saved = (len(branch) - 1) * (longer - shared) - shared
            if saved > PASS and len(branch) < len(order):
                groups += split(branch)
            else:
                together += branch
        return [*groups, together] if together else groups

    return split(sorted(range(len(rows)), key=rows.__getitem__)) if rows else []


def _encode_prefix(
    clip: CLIP, prefix: Tensor, deep: Sequence[Tensor], compile_blocks: bool = False
) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of the shared tokens in every block, each (B, heads, P, d / heads). prefix: (B, P, d)."""
    shared = []
    run = compiled(_prefix_block) if compile_blocks else _prefix_block
    blocks = clip.transformer.resblocks
    for number, block in enumerate(blocks):
        if 1 <= number <= len(deep):  # the part of the deep prompt that lies in the prefix
            states = deep[number - 1][: prefix.shape[1] - 1]
            states = states.expand(prefix.shape[0], -1, -1)
            prefix = torch.cat([prefix[:, :1], states, prefix[:, 1 + states.shape[1] :]], dim=1)
        prefix, key, value = run(block, prefix, number == len(blocks) - 1)
        shared.append((key, value))
    return shared


def _prefix_block(block: nn.Module, prefix: Tensor, last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """One block on the shared tokens: (B, P, d) states behind it (before it, in the last), and keys and values."""
    normed = block.ln_1(prefix)
    if last:  # nothing reads the states
        return prefix, *heads(block, project(block, normed, 1, 3), 2)
    query, key, value = heads(block, project(block, normed, 0, 3), 3)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    return feed_forward(block, prefix + merge(block, mixed)), key, value


def _encode_rest(
    clip: CLIP,
    rest: Tensor,
    packing: Packing,
    deep: Sequence[Tensor],
    shared: Sequence[tuple[Tensor, Tensor]],
    compile_blocks: bool = False,
) -> Tensor:
    """(B, C, e) features from packed rest tokens (T, d) and the prefix's keys and values in every block."""
    rest = rest.expand(shared[0][0].shape[0], -1, -1)  # (B, T, d)
    run = compiled(_rest_block) if compile_blocks else _rest_block
    blocks = clip.transformer.resblocks
    for number, block in enumerate(blocks):
        if 1 <= number <= len(deep) and packing.prefix <= len(deep[number - 1]):
            # Texts differ before the deep prompt ends: it also replaces states of the rest.
            states, place = deep[number - 1], packing.position_T
            inside = states[(place - 1).clamp(max=len(states) - 1)]
            rest = torch.where((place <= len(states))[:, None], inside, rest)
        rest = run(block, rest, packing, *shared[number], number == len(blocks) - 1)
    return clip.ln_final(rest).to(clip.dtype) @ clip.text_projection


def _rest_block(
    block: nn.Module, rest: Tensor, packing: Packing, before_key: Tensor, before_value: Tensor, last: bool
) -> Tensor:
    """One block on the packed rest tokens (B, T, d) behind the prefix's keys and values (B, heads, P, d / heads).

    Returns (B, T, d), in the last block the end-of-text tokens only, (B, C, d).
    """
    batch, texts = rest.shape[0], packing.texts
    normed = block.ln_1(rest)
    # One text a row for attention: (B·C, heads, S, d / heads), the prefix's keys in front of each text's own.
    before_key, before_value = (
        x[:, None].expand(-1, texts, -1, -1, -1).flatten(0, 1) for x in (before_key, before_value)
    )
    if not last:
        padded = packing.pad(project(block, normed, 0, 3)).flatten(0, 1)
        query, key, value = heads(block, padded, 3)
        mask = packing.mask_SK
    else:  # only the end-of-text tokens go on
        key, value = heads(block, packing.pad(project(block, normed, 1, 3)).flatten(0, 1), 2)
        (query,) = heads(block, project(block, normed[:, packing.last_C], 0, 1).flatten(0, 1)[:, None], 1)
        mask = packing.mask_last_CK.repeat(batch, 1, 1, 1)
    key, value = torch.cat([before_key, key], dim=-2), torch.cat([before_value, value], dim=-2)
    mixed = merge(block, F.scaled_dot_product_attention(query, key, value, attn_mask=mask))
    mixed = mixed.unflatten(0, (batch, texts))  # (B, C, S or 1, d)
    if not last:
        return feed_forward(block, rest + packing.unpad(mixed))
    return feed_forward(block, rest[:, packing.last_C] + mixed[:, :, 0])
