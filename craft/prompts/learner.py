"""The one contract between a prompt structure and everything else.

A prompt structure is a `PromptLearner`: it owns what is learned, says which prompts the towers read, and may add loss
terms. The base class turns that into features and logits. Trainers, Craft and evaluation only ever see `Features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from yacs.config import CfgNode

from craft.clip import Backbone, TextPrompts, VisionPrompts
from craft.common.errors import UserError
from craft.common.switches import without
from craft.prompts.context import fill, frozen_text_features

TEXTS_AT_ONCE = 4096  # in evaluation, where texts depend on the image


@dataclass
class Features:
    """L2-normalised float32 features of a batch, and its logits.

    image: (B, e). text: (C, e), or (B, C, e) where texts depend on the image. logits: (B, C) = tau <u, t>.
    scale: (), tau, the backbone's.
    """

    image: Tensor
    text: Tensor
    logits: Tensor
    scale: Tensor

    def take(self, which: Tensor | slice) -> Features:
        """The features of some of the images."""
        text = self.text[which] if self.text.dim() == 3 else self.text
        return Features(self.image[which], text, self.logits[which], self.scale)

    def split(self, first: int) -> tuple[Features, Features]:
        """The features of the first ``first`` images and of the rest."""
        return self.take(slice(None, first)), self.take(slice(first, None))

    def text_of(self, labels: Tensor) -> Tensor:
        """(B, e): v_i, the prompted text of sample i's class."""
        if self.text.dim() == 3:
            return self.text[torch.arange(len(labels), device=labels.device), labels]
        return self.text[labels]


class PromptLearner(nn.Module):
    """Base of all prompt structures.

    backbone: frozen, float32 or half, already on its device; held by reference, never saved.
    classnames: names by label. node: the structure's own config node (``cfg.TRAINER.<NODE>``).
    template: the data set's hand-written text with ``{}`` for the class name.

    A subclass sets its parameters and overrides `text_prompts` and `vision_prompts` (None: that tower stays
    unprompted), and where it needs them `extra_terms` and `end_epoch`.
    """

    #: the config node's keys and their default values
    defaults: ClassVar[dict[str, Any]]
    #: the config node's name, for messages that name a key; set where the structure is loaded
    config_node: ClassVar[str]
    #: with a graph, at most so many class texts are held at a time (0: all); see `craft.clip.Backbone.encode_text`
    text_chunk = 0
    #: run the towers' blocks through `craft.clip.compiled`
    compile_blocks = False
    #: texts depend on the image (CoCoOp): `text_prompts` is called with the image features
    text_per_image = False
    #: keys of the structure's node that learned prompts are bound to, beyond the shapes of what is learned
    bound_to: tuple[str, ...] = ("CTX_INIT", "CSC", "CLASS_TOKEN_POSITION")
    #: each class has parameters of its own, in the order of the classes
    class_specific = False
    #: the structure's node ``cfg.TRAINER.<NODE>``; set where the structure is loaded
    config_node = ""

    def __init__(self, backbone: Backbone, classnames: Sequence[str], node: CfgNode, template: str):
        super().__init__()
        self.backbone = backbone  # not a module: checkpoints hold only what was learned
        self.classnames, self.node, self.template = list(classnames), node, template
        self._eval_text: tuple[Tensor, list[Tensor] | None] | None = None  # and what it was computed from, if learned

    # -- what a structure says ------------------------------------------------------------------------------------

    def text_prompts(self, image: Tensor | None = None) -> TextPrompts | None:
        """Prompts of all classes; None: the hand-written texts, frozen. image: (B, e), if `text_per_image`."""
        return None

    def vision_prompts(self) -> VisionPrompts | None:
        """Prompts of the image tower; None: it is frozen and unprompted."""
        return None

    def extra_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The structure's own loss terms, weighted, by name; cross-entropy is not among them."""
        return {}

    def end_epoch(self, epoch: int, epochs: int) -> None:
        """Called after epoch ``epoch`` (counted from 1) of ``epochs``."""

    def reads_template(self) -> bool:
        """Whether the data set's template enters training or evaluation; a structure that ignores it says False."""
        return True

    def hand_written_texts(self) -> list[str]:
        """The text of each class when nothing is learned."""
        return [fill(self.template, name) for name in self.classnames]

    # -- what follows from it -------------------------------------------------------------------------------------

    @property
    def learns_text(self) -> bool:
        """Whether gradients reach the text features."""
        return self.text_per_image or self.text_prompts() is not None

    @property
    def learns_vision(self) -> bool:
        """Whether gradients reach the image features."""
        return self.vision_prompts() is not None

    def presumes(self) -> dict[str, Any]:
        """Settings that learned prompts fit no other of: beside `bound_to`, the template where texts are frozen."""
        keys = [key for key in self.bound_to if key in self.node]
        found = {f"TRAINER.{self.config_node}.{key}": self.node[key] for key in keys}
        if self.reads_template() and not self.learns_text:
            found["DATASET.TEMPLATE"] = self.template
        return found

    def encode_image(self, images: Tensor) -> Tensor:
        """(B, e) normalised float32; no graph where the image tower has no prompts."""
        prompts = self.vision_prompts()
        with torch.set_grad_enabled(torch.is_grad_enabled() and prompts is not None):
            return F.normalize(self.backbone.encode_image(images, prompts, self.compile_blocks).float(), dim=-1)

    def frozen_image(self, images: Tensor) -> Tensor:
        """(B, e) normalised float32 features of the unprompted backbone, without a graph."""
        with torch.no_grad():
            return F.normalize(self.backbone.encode_image(images, None, self.compile_blocks).float(), dim=-1)

    def encode_text(self, image: Tensor | None = None) -> Tensor:
        """(C, e) or (B, C, e), normalised float32.

        Outside training the features of all classes are kept, for as long as what they were computed from stays equal:
        an optimiser's step, a loaded state and an average written in place are all noticed.
        """
        if self.text_per_image:
            assert image is not None, "texts depend on the image"
            # Nothing is kept for gradients in evaluation, but each text of each image has its states.
            images = len(image) if torch.is_grad_enabled() else max(1, TEXTS_AT_ONCE // len(self.classnames))
            return torch.cat([self._encode_text(self.text_prompts(part)) for part in image.split(images)])
        keep = not (self.training or torch.is_grad_enabled())
        if self._eval_text is not None and not without("kept_texts"):
            text, sources = self._eval_text
            if sources is None or (keep and self._are(sources)):
                return text
        prompts = self.text_prompts()
        if prompts is None:
            text = F.normalize(frozen_text_features(self.backbone, self.hand_written_texts()), dim=-1)
            self._eval_text = text, None
        else:
            text = self._encode_text(prompts)
            if keep:
                # Copies: a counter of changes (Tensor._version) does not count what is written through `.data`.
                self._eval_text = text, [tensor.detach().clone() for tensor in self._sources()]
        return text

    def _sources(self) -> list[Tensor]:
        """Everything of this structure that its texts may be computed from; of prompts that is little."""
        return [*self.parameters(), *self.buffers()]

    def _are(self, before: list[Tensor]) -> bool:
        """Whether parameters and buffers have the device, type and values of ``before``."""
        now = self._sources()
        return len(now) == len(before) and all(
            a.device == b.device and a.dtype == b.dtype and torch.equal(a, b) for a, b in zip(now, before)
        )

    def _encode_text(self, prompts: TextPrompts | None) -> Tensor:
        assert prompts is not None, "texts that depend on the image are prompted"
        return F.normalize(self.backbone.encode_text(prompts, self.text_chunk, self.compile_blocks).float(), dim=-1)

    def forward(self, images: Tensor) -> Features:
        """images: (B, 3, H, W), normalised with the backbone's mean and deviation."""
        return self.from_image(self.encode_image(images))

    def from_image(self, image: Tensor) -> Features:
        """The features of a batch whose image features (B, e) are known already."""
        text = self.encode_text(image)
        scale = self.backbone.scale
        with torch.autocast(image.device.type, enabled=False):
            if text.dim() == 3:
                logits = scale * torch.einsum("be,bce->bc", image, text)
            else:
                logits = scale * image @ text.t()
        return Features(image, text, logits, scale)

    def loss_terms(self, out: Features, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy and the structure's own terms; the loss is their sum."""
        return {"cross_entropy": F.cross_entropy(out.logits, labels), **self.extra_terms(out, images, labels)}

    # -- keeping evaluation features honest -----------------------------------------------------------------------

    def train(self, mode: bool = True) -> PromptLearner:
        self._eval_text = None
        return super().train(mode)

    def load_state_dict(self, *args, **kwargs):
        self._eval_text = None
        return super().load_state_dict(*args, **kwargs)


def check_depth(depth: int, layers: int, tower: str, key: str, least: int = 1) -> None:
    """UserError unless ``least`` <= depth <= layers."""
    if not least <= depth <= layers:
        raise UserError(
            f"{key} is {depth}, but the {tower} tower of this backbone has {layers} layers; choose {least} to {layers}"
        )
