"""Craft's losses (arXiv 2407.15894), once for all prompt structures, as pure functions of features.

Notation of the design: u_i image feature of sample i, v_i text feature of its class, a_k static image anchors (each of
a class), t_c class texts, tau = exp(logit_scale); all features L2-normalised, float32. Cross-entropy with the class
texts, L_base, is the host's own loss and not here. Everything is computed in the precision of the features, under
autocast too: in bfloat16 a cosine has two decimals, which is about the size of the shifts to be measured.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from craft.mmd import MULTIPLES, mmd


def exact(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Switch autocast off within a function of tensors."""

    @functools.wraps(function)
    def run(first: Tensor, *args, **kwargs) -> Tensor:
        with torch.autocast(first.device.type, enabled=False):
            return function(first, *args, **kwargs)

    return run


@exact
def anchor_logits(text: Tensor, anchors: Tensor, anchor_labels: Tensor, classes: int, scale: Tensor) -> Tensor:
    """(B, C) logits of texts (B, e) against static image anchors (A, e): log Σ_{k of class c} exp(tau <v, a_k>).

    anchor_labels: (A,) the class of each anchor, in any order; classes may have different numbers of anchors. With one
    anchor a class the logit is tau <v, a_c>; a class without any has the logit −inf.
    """
    logits = scale * text @ anchors.t()
    classes_of = anchor_labels.expand_as(logits)
    # The class's highest logit is taken out of its sum and put back: at tau = 100 exp() would overflow. The sums go by
    # index, since a (B, C, A) mask is gigabytes on ImageNet.
    peak = logits.detach().new_full((len(text), classes), float("-inf"))
    peak = peak.scatter_reduce(1, classes_of, logits.detach(), "amax")
    parts = torch.exp(logits - peak.gather(1, classes_of))
    return peak + torch.zeros_like(peak).index_add(1, anchor_labels, parts).log()


@exact
def static_loss(
    text: Tensor, labels: Tensor, anchors: Tensor, anchor_labels: Tensor, classes: int, scale: Tensor
) -> Tensor:
    """L_static = CE(tau v aᵀ, y): each sample's class text must find its class among the static image anchors.

    text: (B, e) v_i. labels: (B,). anchors: (A, e). Returns the mean over the batch.
    """
    return F.cross_entropy(anchor_logits(text, anchors, anchor_labels, classes, scale), labels)


@exact
def stochastic_loss(
    image: Tensor, text: Tensor, labels: Tensor, scale: Tensor, class_aware: bool = True, symmetric: bool = True
) -> Tensor:
    """L_stoch = CE(tau u vᵀ, same-sample targets) and its transpose, averaged: the batch's own features as anchors.

    image, text: (B, e) u_i and v_i. class_aware: all samples of one class share the target mass equally, rather than
    counting as each other's negatives. symmetric: mean of image-to-text and text-to-image; otherwise only the former.
    """
    logits = scale * image @ text.t()
    if class_aware:
        same = (labels[:, None] == labels[None]).to(logits.dtype)
        targets = same / same.sum(dim=1, keepdim=True)
    else:
        targets = torch.eye(len(labels), device=logits.device, dtype=logits.dtype)
    loss = F.cross_entropy(logits, targets)
    return (loss + F.cross_entropy(logits.t(), targets)) / 2 if symmetric else loss


@exact
def relative(image: Tensor, text: Tensor | None, anchors: Tensor | None = None) -> Tensor:
    """(B, C + A) anchor-relative features r(u) = (<u, t_1>, …, <u, t_C>, <u, a_1>, …, <u, a_A>).

    text: (C, e), or (B, C, e) where texts depend on the image. anchors: (A, e). Either may be None and is left out.
    """
    parts = []
    if text is not None:
        parts.append(torch.einsum("be,bce->bc", image, text) if text.dim() == 3 else image @ text.t())
    if anchors is not None:
        parts.append(image @ anchors.t())
    return torch.cat(parts, dim=1)


def min_max(features: Tensor) -> Tensor:
    """Each column of (N, d) scaled to [0, 1] over its own batch: what the release does, and what hides a shift."""
    low, high = features.amin(dim=0), features.amax(dim=0)
    return (features - low) / (high - low).clamp_min(torch.finfo(features.dtype).tiny)


def mmd_loss(
    source: Tensor,
    target: Tensor,
    variances: Sequence[float] = (),
    multiples: Sequence[float] = MULTIPLES,
    unbiased: bool = False,
    normalize: str = "none",
) -> Tensor:
    """L_mmd = MMD²(r(u), r(u')) between source (N, d) and target (M, d) features in anchor space.

    variances, multiples, unbiased: see `craft.mmd.mmd`. normalize: ``none``, or ``minmax`` as in the release.
    """
    if normalize == "minmax":
        source, target = min_max(source), min_max(target)
    return mmd(source, target, variances, multiples, unbiased)
