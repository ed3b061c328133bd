"""CLIP with prompts given from outside: one `Backbone` object a model, whatever its family, and how it is loaded.

For everybody: `backbone` (the interface), `load` (names and families), `tokens` and `packing` (what towers read),
`features` (of a data set), `products` and `compiled` (how fast). OpenAI's modules: `original` (the package as it is),
`openai` (as a `Backbone`), `weights`, `text`, `vision`, `blocks`. Nothing here knows a prompt structure by name.
"""

from craft.clip.backbone import PIXEL_MEAN, PIXEL_STD, Backbone
from craft.clip.load import load_backbone, pixel_statistics, register_backbone, resolution
from craft.clip.tokens import TextPrompts, TokenTable, VisionPrompts

__all__ = [
    "PIXEL_MEAN",
    "PIXEL_STD",
    "Backbone",
    "TextPrompts",
    "TokenTable",
    "VisionPrompts",
    "load_backbone",
    "pixel_statistics",
    "register_backbone",
    "resolution",
]
