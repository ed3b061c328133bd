"""A prompt structure of one's own: so many tokens beside the patches of the image tower, in its first layer."""

import torch
from torch import nn

from craft.clip import VisionPrompts
from craft.prompts.deep import vision_width
from craft.prompts.learner import PromptLearner
from craft.trainers import Structure, register


class MineLearner(PromptLearner):
    """tokens: (n, w), w the width of the image tower."""

    defaults = {"PREC": "fp32", "TOKENS": 2}

    def __init__(self, backbone, classnames, node, template):
        super().__init__(backbone, classnames, node, template)
        self.tokens = nn.Parameter(torch.zeros(node.TOKENS, vision_width(backbone)))

    def vision_prompts(self):
        return VisionPrompts(self.tokens)


register(Structure("Mine", MineLearner, node="MINE", summary="tokens of the image tower's first layer"))
