"""ZeroshotCLIP: CLIP with the data set's hand-written text, nothing learned. The row every table starts with."""

from __future__ import annotations

from craft.prompts.learner import PromptLearner


class ZeroshotCLIPLearner(PromptLearner):
    """Neither tower has prompts, so the base class does everything."""

    defaults = {"PREC": "fp16"}
