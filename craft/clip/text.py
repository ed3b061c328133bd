"""OpenAI's text tower with prompts from outside, at the cost of the tokens that differ between classes.

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

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from craft.clip.blocks import Block, feed_forward, heads, merge, project
from craft.clip.compiled import compiled
from craft.clip.original import CLIP
from craft.clip.packing import Packing
from craft.clip.tokens import TextPrompts
from craft.common.errors import UserError
from craft.common.switches import without


def encode_text(clip: CLIP, prompts: TextPrompts, chunk: int = 0, compile_blocks: bool = False) -> Tensor:
    """Features, not normalised: (C, e), or (B, C, e) where the prefix depends on the image.

    Equals ``clip.encode_text`` on the same tokens padded to 77 (with deep prompts: CLIP's blocks with the states at
    positions 1…n replaced before each prompted block), within rounding.

    chunk: with a graph, at most this many texts are held at a time; their states are computed again on the way back
    (0: all are kept). Memory then no longer grows with the number of classes, for about a third more time.

    compile_blocks: run the blocks through `craft.clip.compiled`, except on chunks, whose shapes differ, so that each
    would be compiled.
    """
    if without("prefix"):
        prompts = _each_whole(prompts)
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
    rest = prompts.rest.to(dtype) + position[packing.position_T]  # (T, d), or (B, T, d) without a shared prefix
    if without("packing") and not packing.uniform:
        rest = packing.pad(rest if rest.dim() == 3 else rest[None]).flatten(1, 2)
        packing = packing.padded()
    if chunk and torch.is_grad_enabled() and packing.texts > chunk:
        parts = []
        for piece, where in packing.split(chunk):
            parts.append(checkpoint(_encode_rest, clip, rest[..., where, :], piece, deep, shared, use_reentrant=False))
        features = torch.cat(parts, dim=1)
    else:
        features = _encode_rest(clip, rest, packing, deep, shared, compile_blocks)
    return features if batched else features[0]


def _each_whole(prompts: TextPrompts) -> TextPrompts:
    """The same texts with an empty prefix: what they share is part of each one's rest."""
    whole, ends_C = prompts.whole()  # (B, C, L, d)
    lengths_C = ends_C + 1
    packing = Packing(lengths_C.tolist(), 0).to(whole.device)
    real_CL = torch.arange(whole.shape[2], device=whole.device) < lengths_C[:, None]
    rest = whole.flatten(1, 2)[:, real_CL.flatten()]
    per_image = prompts.prefix.dim() == 3
    return TextPrompts(prompts.prefix[..., :0, :], rest if per_image else rest[0], packing, prompts.deep)


def _encode_prefix(
    clip: CLIP, prefix: Tensor, deep: Sequence[Tensor], compile_blocks: bool = False
) -> list[tuple[Tensor, Tensor]]:
    """Keys and values of the shared tokens in every block, each (B, heads, P, d / heads). prefix: (B, P, d)."""
    shared: list[tuple[Tensor, Tensor]] = []
    run = compiled(_prefix_block) if compile_blocks else _prefix_block
    blocks = clip.transformer.resblocks
    for number, block in enumerate(blocks):
        if 1 <= number <= len(deep):  # the part of the deep prompt that lies in the prefix
            states = deep[number - 1][: max(prefix.shape[1] - 1, 0)]
            states = states.expand(prefix.shape[0], -1, -1)
            prefix = torch.cat([prefix[:, :1], states, prefix[:, 1 + states.shape[1] :]], dim=1)
        prefix, key, value = run(block, prefix, number == len(blocks) - 1)
        shared.append((key, value))
    return shared


def _prefix_block(block: Block, prefix: Tensor, last: bool) -> tuple[Tensor, Tensor, Tensor]:
    """One block on the shared tokens: (B, P, d) states behind it (before it, in the last), and keys and values."""
    normed = block.ln_1(prefix)
    if last:  # nothing reads the states
        key, value = heads(block, project(block, normed, 1, 3), 2)
        return prefix, key, value
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
            inside = states[(place - 1).clamp(min=0, max=len(states) - 1)]
            rest = torch.where(((place >= 1) & (place <= len(states)))[:, None], inside, rest)
        rest = run(block, rest, packing, *shared[number], number == len(blocks) - 1)
    return clip.ln_final(rest).to(clip.dtype) @ clip.text_projection


def _rest_block(
    block: Block, rest: Tensor, packing: Packing, before_key: Tensor, before_value: Tensor, last: bool
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
