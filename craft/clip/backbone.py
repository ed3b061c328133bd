"""A backbone as everything outside this package knows it: one frozen CLIP-like model of any family.

`Backbone` says what prompt structures, Craft, evaluation and the trainers need of a model: its sizes, its tokenizer,
and encoding of texts and images with prompts from outside. A family of models is one subclass (OpenAI's is
`craft.clip.openai.OpenAIBackbone`) and one registration (`craft.clip.load.register_backbone`).

Notation of shapes: C texts, B images, d width of the text tower, w of the image tower, e embedding dimension.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from craft.clip.tokens import TextPrompts, TokenTable, VisionPrompts, prefix_groups
from craft.common.errors import UserError

#: of CLIP's training images, channels in the order red, green, blue, values in [0, 1]
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
QUICK_GELU = "quick_gelu"  # x sigmoid(1.702 x), the activation of OpenAI's published models
NOT_TOKENS = (
    "vision prompts need a vision transformer; this backbone's image tower is a ResNet: choose a "
    "ViT backbone, or a structure that prompts texts only (CoOp, CoCoOp, KgCoOp)"
)


class Backbone(ABC):
    """One frozen model, in eval mode; float32 on the CPU when made. A subclass sets the sizes below.

    module: the weights. It is put into eval mode and float32, and learns nothing.
    name: as in ``MODEL.BACKBONE.NAME``. source: where the weights came from, for people.
    activation: of the transformers' feed-forward layers; part of the `fingerprint`.
    """

    embed_dim: int  #: e
    text_width: int  #: d
    text_depth: int  #: layers of the text tower
    context_length: int  #: tokens of the longest text that it reads
    vision_width: int | None  #: w; None where the image tower has no tokens to prompt (a ResNet)
    vision_depth: int | None  #: layers of the image tower; None as the width
    resolution: int  #: side of the square images that it reads, in pixels
    pixel_mean: tuple[float, ...] = PIXEL_MEAN
    pixel_std: tuple[float, ...] = PIXEL_STD

    def __init__(self, module: nn.Module, name: str, source: str, activation: str = QUICK_GELU):
        self.module = module.float().eval().requires_grad_(False)
        self.name, self.source, self.activation = name, source, activation
        self._fingerprint: str | None = None

    # -- what a family says ---------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def scale(self) -> Tensor:
        """(), float32: tau, by which cosines are multiplied to give logits (of CLIP: exp(logit_scale))."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, from its start token to its end token; UserError names a text that is too long."""

    @abstractmethod
    def embed(self, ids: Sequence[int]) -> Tensor:
        """(len(ids), d) float32 embeddings of tokens, without positions, on the model's device."""

    @abstractmethod
    def encode_text(self, prompts: TextPrompts, chunk: int = 0, compile_blocks: bool = False) -> Tensor:
        """Features, not normalised: (C, e), or (B, C, e) where the prefix depends on the image.

        chunk: with a graph, at most so many texts are held at a time (0: all). compile_blocks: run the blocks through
        `craft.clip.compiled`. Both trade time and memory and never change a number: a family may ignore them.
        """

    @abstractmethod
    def encode_image(
        self, images: Tensor, prompts: VisionPrompts | None = None, compile_blocks: bool = False
    ) -> Tensor:
        """(B, e) features, not normalised, of images (B, 3, H, W) normalised with the backbone's mean and deviation.

        UserError where there are prompts and the image tower has no tokens (`NOT_TOKENS`).
        """

    def plain_image_tower(self, prompts: VisionPrompts | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """(tensors by the names of ``inference/classify.py``, ``{"layers": n, "heads": h}``) of the image tower, for
        use without this library. UserError where it is not a vision transformer of CLIP's form.
        """
        raise UserError(f"the image tower of {self.name} cannot be exported; export the class embeddings only")

    # -- what follows from it, and what a family may replace ---------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """In which the towers compute; features have it."""
        return next(p.dtype for p in self.module.parameters() if p.is_floating_point())

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def fingerprint(self) -> str:
        """Hex digest of all weights as float32, in the order of their names, and of an activation that is not
        QuickGELU: what caches and checkpoints know the model by. Rounding to half precision does not change it.
        """
        if self._fingerprint is None:
            state = hashlib.blake2b(digest_size=16)
            for key, value in sorted(self.module.state_dict().items()):
                state.update(f"{key}{tuple(value.shape)}".encode())
                state.update(value.detach().float().cpu().contiguous().numpy())
            if self.activation != QUICK_GELU:
                state.update(f"activation {self.activation}".encode())
            self._fingerprint = state.hexdigest()
        return self._fingerprint

    def to(self, device: torch.device | str) -> Backbone:
        """Itself, moved to ``device``."""
        self.module.to(device)
        return self

    def half(self) -> Backbone:
        """Itself, rounded to float16."""
        self._keep_fingerprint()
        self.module.half()
        return self

    def _keep_fingerprint(self) -> None:
        _ = self.fingerprint  # of the exact weights, while they are there

    def count_tokens(self, text: str) -> int:
        """Number of tokens of ``text`` without those of start and end."""
        return len(self.tokenize([text])[0]) - 2

    @torch.no_grad()
    def encode_texts(self, texts: Sequence[str], batch: int = 256) -> Tensor:
        """(len(texts), e) frozen features of plain texts, not normalised, on the model's device.

        Texts that begin alike are encoded together, so that what they share is computed once; at most ``batch`` at a
        time.
        """
        rows = self.tokenize(texts)
        features = torch.empty(len(texts), self.embed_dim, dtype=self.dtype, device=self.device)
        for group in prefix_groups(rows):
            for start in range(0, len(group), batch):
                part = group[start : start + batch]
                table = TokenTable(self, [rows[index] for index in part]).to(self.device)
                features[part] = self.encode_text(table.prompts()).to(features.dtype)
        return features
