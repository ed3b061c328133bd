"""OpenAI's CLIP as a `Backbone`: the module that the published weights are for, its tokenizer and its activations.

The module and its weights are used as they are; the towers with prompts are in `craft.clip.text` and
`craft.clip.vision`, where the weights come from in `craft.clip.weights`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from craft.clip.backbone import QUICK_GELU, Backbone
from craft.clip.original import CLIP, QuickGELU, ResidualAttentionBlock, VisionTransformer, convert_weights, openai
from craft.clip.text import encode_text
from craft.clip.tokens import TextPrompts, VisionPrompts
from craft.clip.vision import encode_image
from craft.common.errors import UserError

#: of the feed-forward layers of models in OpenAI's form; most of open_clip's have GELU
ACTIVATIONS: dict[str, type[nn.Module]] = {QUICK_GELU: QuickGELU, "gelu": nn.GELU}


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


def count_tokens(text: str) -> int:
    """Number of tokens of ``text``, however long, without those of start and end."""
    return len(openai._tokenizer.encode(text))


class OpenAIBackbone(Backbone):
    """A ``clip.model.CLIP``. activation: a key of `ACTIVATIONS`, put into every block of the module."""

    module: CLIP

    def __init__(self, module: CLIP, name: str, source: str, activation: str = QUICK_GELU):
        super().__init__(module, name, source, activation)
        for block in module.modules():
            if isinstance(block, ResidualAttentionBlock):
                block.mlp.gelu = ACTIVATIONS[activation]()
        tower = module.visual
        tokens = isinstance(tower, VisionTransformer)
        self.embed_dim = module.text_projection.shape[1]
        self.text_width, self.text_depth = module.transformer.width, len(module.transformer.resblocks)
        self.context_length = module.context_length
        self.vision_width = tower.conv1.out_channels if tokens else None
        self.vision_depth = len(tower.transformer.resblocks) if tokens else None
        self.resolution = tower.input_resolution

    @property
    def scale(self) -> Tensor:
        return self.module.logit_scale.exp().float()

    @property
    def dtype(self) -> torch.dtype:
        return self.module.dtype

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return tokenize(texts, self.context_length)

    def count_tokens(self, text: str) -> int:
        return count_tokens(text)

    def embed(self, ids: Sequence[int]) -> Tensor:
        return self.module.token_embedding.weight.detach()[list(ids)]

    def encode_text(self, prompts: TextPrompts, chunk: int = 0, compile_blocks: bool = False) -> Tensor:
        """See `craft.clip.text.encode_text`."""
        return encode_text(self.module, prompts, chunk, compile_blocks)

    def encode_image(
        self, images: Tensor, prompts: VisionPrompts | None = None, compile_blocks: bool = False
    ) -> Tensor:
        """See `craft.clip.vision.encode_image`."""
        return encode_image(self.module, images, prompts, compile_blocks)

    def plain_image_tower(self, prompts: VisionPrompts | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tower = self.module.visual
        if not isinstance(tower, VisionTransformer):
            return super().plain_image_tower(prompts)
        found = {
            "image.patches": tower.conv1.weight,
            "image.class": tower.class_embedding,
            "image.position": tower.positional_embedding,
            "image.projection": tower.proj,
        }
        for number, tokens in enumerate([prompts.shallow, *prompts.deep] if prompts else []):
            found[f"image.prompt.{number}"] = tokens
        parts: dict[str, Any] = {"ln_pre": tower.ln_pre, "ln_post": tower.ln_post}
        for number, block in enumerate(tower.transformer.resblocks):
            layers = {"ln_1": block.ln_1, "out": block.attn.out_proj, "ln_2": block.ln_2}
            layers |= {"mlp_in": block.mlp.c_fc, "mlp_out": block.mlp.c_proj}
            parts |= {f"{number}.{name}": layer for name, layer in layers.items()}
            found[f"image.{number}.query_key_value.weight"] = block.attn.in_proj_weight
            found[f"image.{number}.query_key_value.bias"] = block.attn.in_proj_bias
        for name, part in parts.items():
            found |= {f"image.{name}.weight": part.weight, f"image.{name}.bias": part.bias}
        blocks = tower.transformer.resblocks
        return found, {"layers": len(blocks), "heads": blocks[0].attn.num_heads}

    def to(self, device: torch.device | str) -> OpenAIBackbone:
        """Itself on ``device``; a ResNet's weights channel-last, as oneDNN and tensor cores read them."""
        if self.vision_width is None and torch.device(device).type in ("cpu", "cuda"):
            self.module.visual.to(memory_format=torch.channels_last)
        self.module.to(device)
        return self

    def half(self) -> OpenAIBackbone:
        """Itself with the weights in float16 that OpenAI rounds: norms, embeddings and the scale stay float32."""
        self._keep_fingerprint()
        convert_weights(self.module)
        return self
