"""A prompt structure of one's own: so many tokens beside the patches of the image tower, in its first layer."""

import torch
from torch import nn

from craft.clip import VisionPrompts
from craft.clip.vision import vision_width
from craft.prompts.learner import PromptLearner
from craft.trainers import Structure, register


class MineLearner(PromptLearner):
    defaults = {"PREC": "fp32", "TOKENS": 2}

    def __init__(self, clip, classnames, node, template, fingerprint):
        super().__init__(clip, classnames, node, template, fingerprint)
        self.tokens = nn.Parameter(torch.zeros(node.TOKENS, vision_width(clip)))

    def vision_prompts(self):
        return VisionPrompts(self.tokens)


register(Structure("Mine", MineLearner, node="MINE", summary="tokens of the image tower's first layer"))
