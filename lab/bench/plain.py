"""The plain path: what the published trainers compute, the way they compute it, on the parameters of our learners.

CLIP's own modules (`resblocks` with their nn.MultiheadAttention) run over all class prompts padded to 77 tokens at
every step, and again for every test batch; the texts of a batch are encoded a second time for Craft, as its release
does; image towers run in full. PromptSRC keeps frozen copies of CLIP, and encodes its hand-written texts one template
at a time. Nothing here uses `craft.clip.text` or `craft.clip.vision`, so that the comparison is with something
independent: prompts are tokenised, assembled and normalised anew, in the order in which the published code does it.

Since the parameters are the learners' own, both paths are the same function of the same numbers, and must give the
same losses and gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from craft.clip.original import openai
from craft.objective import CraftTerms, Step
from craft.prompts.learner import Features

# Bytes the runtime holds before any model, measured: Python, torch and the libraries it brings.
RUNTIME = 0.5e9
# float32 numbers of width d that one block keeps for the backward pass of one token, in multiples of d: what the
# two norms, the attention (input, queries, keys, values, output) and the MLP (with QuickGELU's products) save.
KEPT = 20


@dataclass
class Prompts:
    """Learned states. ctx: (n, d); text_deep: (n, d) a block; vision: (n, w) or None; vision_deep: (n, w) a block."""

    ctx: Tensor
    text_deep: Sequence[Tensor] = ()
    vision: Tensor | None = None
    vision_deep: Sequence[Tensor] = ()


def _coop(learner: Any) -> Prompts:
    return Prompts(learner.ctx)


def _maple(learner: Any) -> Prompts:
    deep = list(learner.compound_prompts_text)
    projected = [project(prompt) for project, prompt in zip(learner.compound_prompt_projections, deep)]
    return Prompts(learner.ctx, deep, learner.proj(learner.ctx), projected)


def _promptsrc(learner: Any) -> Prompts:
    return Prompts(learner.ctx, list(learner.text_deep), learner.vision_ctx, list(learner.vision_deep))


#: what is learned, by the host's config node
STRUCTURES: dict[str, Callable[[Any], Prompts]] = {
    "COOP": _coop,
    "MAPLE": _maple,
    "PROMPTSRC": _promptsrc,
}


def blocks(tower: Any, x: Tensor, deep: Sequence[Tensor], replace: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """CLIP's own blocks over x (L, N, d); before block k >= 1 ``replace`` puts deep[k - 1] (n, N, d) into x."""
    for number, block in enumerate(tower.resblocks):
        if 1 <= number <= len(deep):
            x = replace(x, deep[number - 1][:, None].expand(-1, x.shape[1], -1))
        x = block(x)
    return x


def behind_start(x: Tensor, states: Tensor) -> Tensor:
    return torch.cat([x[:1], states, x[1 + len(states) :]])


def at_the_end(x: Tensor, states: Tensor) -> Tensor:
    return torch.cat([x[: -len(states)], states])


def encode_text(clip: Any, embedded: Tensor, ends: Tensor, deep: Sequence[Tensor] = ()) -> Tensor:
    """(C, e) unit features of texts embedded (C, 77, d), each read at its end-of-text position."""
    x = (embedded + clip.positional_embedding).permute(1, 0, 2)
    x = blocks(clip.transformer, x, deep, behind_start).permute(1, 0, 2)
    x = clip.ln_final(x)
    features = x[torch.arange(len(x)), ends] @ clip.text_projection
    return features / features.norm(dim=-1, keepdim=True)


def encode_image(visual: Any, images: Tensor, prompts: Tensor | None = None, deep: Sequence[Tensor] = ()):
    """(B, e) unit features of images (B, 3, R, R)."""
    if prompts is None:
        features = visual(images)
        return features / features.norm(dim=-1, keepdim=True)
    x = visual.conv1(images).flatten(2).permute(0, 2, 1)
    start = visual.class_embedding.expand(len(x), 1, -1)
    x = torch.cat([start, x], dim=1) + visual.positional_embedding
    x = visual.ln_pre(torch.cat([x, prompts.expand(len(x), -1, -1)], dim=1)).permute(1, 0, 2)
    x = blocks(visual.transformer, x, deep, at_the_end).permute(1, 0, 2)
    features = visual.ln_post(x[:, 0]) @ visual.proj
    return features / features.norm(dim=-1, keepdim=True)


class PlainFeatures(Features):
    """Features whose texts of a batch are encoded when asked for, rather than picked from the class texts."""

    encode: Callable[[Tensor], Tensor]

    def text_of(self, labels: Tensor) -> Tensor:
        return self.encode(labels)


class PlainPath:
    """Losses and logits of one learner, and of Craft's terms over it, computed the published way.

    clip: the module of the learner's own backbone, frozen. terms: Craft's, with the anchors of the run. target: (C, e)
    PromptSRC's text target (see `teacher_target`); None: the learner's own.
    """

    def __init__(self, clip: Any, learner: Any, terms: CraftTerms, target: Tensor | None = None):
        self.clip, self.learner, self.craft = clip, learner, terms
        self.prompts = STRUCTURES[learner.config_node]
        node, n_ctx = learner.node, len(self.prompts(learner).ctx)
        words = node.CTX_INIT if node.CTX_INIT and n_ctx <= 4 else " ".join(["X"] * n_ctx)
        tokens = openai.tokenize([f"{words} {name.replace('_', ' ')}." for name in learner.classnames])
        with torch.no_grad():
            embedded = clip.token_embedding(tokens)
        self.start, self.after = embedded[:, :1], embedded[:, 1 + n_ctx :]
        self.ends = tokens.argmax(dim=-1)
        if learner.config_node == "PROMPTSRC":
            self.teacher = copy.deepcopy(clip.visual)
            self.target = learner.target if target is None else target

    def _texts(self, prompts: Prompts, which: Tensor | slice = slice(None)) -> Tensor:
        start, after = self.start[which], self.after[which]
        embedded = torch.cat([start, prompts.ctx.expand(len(start), -1, -1), after], dim=1)
        return encode_text(self.clip, embedded, self.ends[which], prompts.text_deep)

    def features(self, images: Tensor) -> PlainFeatures:
        prompts = self.prompts(self.learner)
        text = self._texts(prompts)
        image = encode_image(self.clip.visual, images, prompts.vision, prompts.vision_deep)
        scale = self.clip.logit_scale.exp()
        out = PlainFeatures(image, text, scale * image @ text.t(), scale)
        out.encode = lambda labels: self._texts(prompts, labels)
        return out

    def logits(self, images: Tensor) -> Tensor:
        """(B, C); texts are encoded for this batch, as for every other."""
        return self.features(images).logits

    def terms(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The loss terms of a training step, by our names."""
        out = self.features(images)
        terms = {"cross_entropy": F.cross_entropy(out.logits, labels)}
        if self.learner.config_node == "PROMPTSRC":
            terms |= self._held_near(out, images)
        return terms | self.craft(Step(out, labels))

    def _held_near(self, out: Features, images: Tensor) -> dict[str, Tensor]:
        """PromptSRC's three terms."""
        node = self.learner.node
        with torch.no_grad():
            frozen = encode_image(self.teacher, images)
            frozen_logits = out.scale * frozen @ self.target.t()
        log_p, log_q = F.log_softmax(out.logits, dim=1), F.log_softmax(frozen_logits, dim=1)
        return {
            "scl_text": F.l1_loss(out.text, self.target) * node.TEXT_LOSS_WEIGHT,
            "scl_image": F.l1_loss(out.image, frozen) * node.IMAGE_LOSS_WEIGHT,
            "scl_logits": F.kl_div(log_p, log_q, reduction="sum", log_target=True) / out.logits.numel(),
        }


@torch.no_grad()
def teacher_target(clip: Any, classnames: Sequence[str], templates: Sequence[str]) -> Tensor:
    """(C, e) PromptSRC's text target: unit mean over templates of the features of a frozen copy, at 77 tokens."""
    teacher = copy.deepcopy(clip)
    features = []
    for template in templates:
        tokens = openai.tokenize([template.replace("{}", name.replace("_", " ")) for name in classnames])
        features.append(teacher.encode_text(tokens))
    mean = torch.stack(features).mean(dim=0)
    return mean / mean.norm(dim=-1, keepdim=True)


def kept(tower: Any, tokens: int) -> float:
    """Bytes that a tower's blocks keep for the backward pass of so many tokens."""
    return 4.0 * KEPT * tokens * tower.width * tower.layers


def step_bytes(clip: Any, classes: int, batch: int) -> float:
    """Bytes of a training step this way, estimated from the sizes of the towers: all classes at the full context."""
    weights = sum(p.numel() * p.element_size() for p in clip.parameters())
    image_tokens = batch * clip.visual.positional_embedding.shape[0]
    text_tokens = (classes + batch) * clip.context_length
    states = kept(clip.transformer, text_tokens) + kept(clip.visual.transformer, image_tokens)
    return RUNTIME + 2 * weights + states
