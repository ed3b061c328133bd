"""Craft's losses (arXiv 2407.15894), once for all prompt structures, as pure functions of features.

Notation of the design: u_i image feature of sample i, v_i text feature of its class, a_k static image anchors (each of
a class), t_c class texts, tau = exp(logit_scale); all features L2-normalised, float32. Cross-entropy with the class
texts, L_base, is the host's own loss and not here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from trainers.mmd import MULTIPLES, mmd


def anchor_logits(text: Tensor, anchors: Tensor, anchor_labels: Tensor, classes: int, scale: Tensor) -> Tensor:
    """(B, C) logits of texts (B, e) against static image anchors (A, e): log Σ_{k of class c} exp(tau <v, a_k>).

    anchor_labels: (A,) the class of each anchor. With one anchor a class the logit is tau <v, a_c>.
    """
    logits = scale * text @ anchors.t()
    if len(anchors) == classes:
        # One each: put class c's anchor in column c.
        return torch.zeros_like(logits).index_copy(1, anchor_labels, logits)
    # A masked log-sum-exp: (B, A) logits against the (C, A) membership of anchors.
    member = anchor_labels[None] == torch.arange(classes, device=text.device)[:, None]
    return logits[:, None].masked_fill(~member[None], float("-inf")).logsumexp(dim=-1)


def static_loss(
    text: Tensor, labels: Tensor, anchors: Tensor, anchor_labels: Tensor, classes: int, scale: Tensor
) -> Tensor:
    """L_static = CE(tau v aᵀ, y): each sample's class text must find its class among the static image anchors.

    text: (B, e) v_i. labels: (B,). anchors: (A, e). Returns the mean over the batch.
    """
    return F.cross_entropy(anchor_logits(text, anchors, anchor_labels, classes, scale), labels)


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


def relative(image: Tensor, text: Tensor, anchors: Tensor | None = None) -> Tensor:
    """(B, C) anchor-relative features r(u) = (<u, t_1>, …, <u, t_C>); with ``anchors`` (A, e) also (…, <u, a_A>).

    text: (C, e), or (B, C, e) where texts depend on the image.
    """
    parts = [torch.einsum("be,bce->bc", image, text) if text.dim() == 3 else image @ text.t()]
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

    variances, multiples, unbiased: see `trainers.mmd.mmd`. normalize: ``none``, or ``minmax`` as in the release.
    """
    if normalize == "minmax":
        source, target = min_max(source), min_max(target)
    return mmd(source, target, variances, multiples, unbiased)
