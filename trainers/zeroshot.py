"""ZeroshotCLIP: CLIP with the data set's hand-written text, nothing learned. The row every table starts with."""

from __future__ import annotations

from trainers.learner import PromptLearner
from trainers.registry import register_host


@register_host(
    "ZeroshotCLIP",
    node="ZEROSHOTCLIP",
    defaults={"PREC": "fp16"},
    paper="arXiv 2103.00020",
    summary="CLIP with hand-written texts; nothing is learned",
    trainable=False,
)
class ZeroshotCLIPLearner(PromptLearner):
    """Neither tower has prompts, so the base class does everything."""
