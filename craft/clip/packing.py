"""Texts of different length in one matrix without padding, and padded again where attention needs it.

Notation of shapes: C texts, T tokens in all, S tokens of the longest text, B images, d width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn


class Packing(nn.Module):
    """Where the rest tokens of C texts lie in a packed (T, d) matrix: index tensors that move with the module.

    lengths: number of rest tokens of each text, each at least 1; the last one is the end-of-text token.
    """

    pad_CS: Tensor
    unpad_T: Tensor
    last_C: Tensor
    position_T: Tensor
    mask_SK: Tensor
    mask_last_CK: Tensor

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
        self.lengths = lengths_C.tolist()
        self.uniform = bool(real_CS.all())  # then packed and padded are one reshape apart

    def pad(self, packed: Tensor) -> Tensor:
        """(B, T, d) -> (B, C, S, d). What stands in the padding is arbitrary and must get no gradient."""
        if not self.uniform:
            packed = _Pad.apply(packed, self.pad_CS.flatten(), self.unpad_T)
        return packed.unflatten(1, (self.texts, self.longest))

    def unpad(self, padded: Tensor) -> Tensor:
        """(B, C, S, d) -> (B, T, d)."""
        padded = padded.flatten(1, 2)
        return padded if self.uniform else _Unpad.apply(padded, self.unpad_T)

    def split(self, texts: int) -> Iterator[tuple[Packing, slice]]:
        """Packings of at most ``texts`` texts each, with their place among the T tokens."""
        start = 0
        for first in range(0, self.texts, texts):
            lengths = self.lengths[first : first + texts]
            piece = Packing(lengths, self.prefix).to(self.last_C.device)
            piece._end(self.last_C[first : first + texts] - start)
            yield piece, slice(start, start + sum(lengths))
            start += sum(lengths)

    def padded(self) -> Packing:
        """The same texts, each as long as the longest: their rest tokens are ``pad(packed).flatten(1, 2)``."""
        found = Packing([self.longest] * self.texts, self.prefix).to(self.last_C.device)
        found._end(self.last_C - self.pad_CS[:, 0] + self.longest * torch.arange(self.texts, device=self.last_C.device))
        return found

    def _end(self, last_C: Tensor) -> None:
        """Let texts end at the tokens ``last_C``, of which each has its own before the end of its row."""
        self.last_C = last_C
        self.mask_last_CK = self.mask_SK[last_C - self.pad_CS[:, 0]][:, None, None]


class _Pad(torch.autograd.Function):
    """Packed to padded rows. Plain indexing would add gradients up row by row; here each row has one."""

    @staticmethod
    def forward(ctx, packed: Tensor, pad: Tensor, unpad: Tensor) -> Tensor:
        ctx.save_for_backward(unpad)
        return packed.index_select(1, pad)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (unpad,) = ctx.saved_tensors
        return grad.index_select(1, unpad), None, None


class _Unpad(torch.autograd.Function):
    """Padded to packed rows; on the way back the padding gets zeros."""

    @staticmethod
    def forward(ctx, padded: Tensor, unpad: Tensor) -> Tensor:
        ctx.save_for_backward(unpad)
        ctx.rows = padded.shape[1]
        return padded.index_select(1, unpad)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (unpad,) = ctx.saved_tensors
        out = grad.new_zeros(grad.shape[0], ctx.rows, grad.shape[2])
        return out.index_copy_(1, unpad, grad), None
