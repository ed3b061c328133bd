"""What the towers of any backbone read beside frozen weights: prompts of texts and of images, and texts with slots.

Tokens that all texts have in common at their start are the *prefix*, the remaining ones the *rest*, which lies packed
in one matrix without padding (`craft.clip.packing`). A causal tower computes the prefix once (`craft.clip.text`); any
other puts whole texts together again (`TextPrompts.whole`).

Notation of shapes: C texts, T rest tokens in all, S the longest rest, P prefix tokens, B images (where prompts depend
on the image), d width of the text tower, w of the image tower, n deep prompt tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

import torch
from torch import Tensor, nn

from craft.clip.packing import Packing
from craft.common.errors import UserError


class Embeds(Protocol):
    """What is read of a backbone here: how many tokens it takes, and the embeddings (len(ids), d) of token ids."""

    @property
    def context_length(self) -> int: ...

    def embed(self, ids: Sequence[int]) -> Tensor: ...


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

    def whole(self) -> tuple[Tensor, Tensor]:
        """Texts one by one, for a tower that shares nothing between them: embeddings (B, C, P + S, d), B = 1 where
        prompts do not depend on the image, and (C,) the position of each text's last token.

        What stands behind that position is arbitrary and must be masked.
        """
        packing = self.packing
        prefix = self.prefix if self.prefix.dim() == 3 else self.prefix[None]
        prefix = prefix[:, None].expand(-1, packing.texts, -1, -1)
        rest = packing.pad(self.rest[None]).expand(len(prefix), -1, -1, -1)
        ends_C = packing.prefix + packing.last_C - packing.pad_CS[:, 0]
        return torch.cat([prefix, rest.to(prefix.dtype)], dim=2), ends_C


@dataclass
class VisionPrompts:
    """shallow: (n, w) tokens appended to the patch tokens. deep: for blocks 1, 2, …: (n, w) replacements."""

    shallow: Tensor
    deep: Sequence[Tensor] = field(default_factory=tuple)


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

    embedding: Tensor
    prefix_index: Tensor
    rest_index: Tensor
    length_C: Tensor

    def __init__(self, backbone: Embeds, rows: Sequence[Sequence[int]]):
        super().__init__()
        if max(len(row) for row in rows) > backbone.context_length:
            worst = max(range(len(rows)), key=lambda i: len(rows[i]))
            raise UserError(
                f"class number {worst}: its prompt has {len(rows[worst])} tokens, the backbone reads "
                f"{backbone.context_length}; shorten the class name or use fewer context tokens"
            )
        shared = common_prefix(rows)
        tail = [entry for row in rows for entry in row[shared:]]
        ids = sorted({entry for row in rows for entry in row if entry >= 0})
        place = {token: index for index, token in enumerate(ids)}
        table = backbone.embed(ids)
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


#: tokens that one more pass of the text tower must save to be worth its launch
PASS = 32


def prefix_groups(rows: Sequence[list[int]]) -> list[list[int]]:
    """All indices of ``rows`` once, grouped so that computing each group's common prefix once costs few tokens.

    Along the tree of prefixes, rows that go on alike leave their group where that saves more than `PASS` tokens.
    """

    def split(order: list[int]) -> list[list[int]]:  # of indices in the order of their rows
        shared = common_prefix([rows[order[0]], rows[order[-1]]])
        groups: list[list[int]] = []
        together: list[int] = []
        for _, same in groupby(order, key=lambda index: rows[index][shared]):
            branch = list(same)
            longer = common_prefix([rows[branch[0]], rows[branch[-1]]])
            saved = (len(branch) - 1) * (longer - shared) - shared
            if saved > PASS and len(branch) < len(order):
                groups += split(branch)
            else:
                together += branch
        return [*groups, together] if together else groups

    return split(sorted(range(len(rows)), key=lambda index: rows[index])) if rows else []
