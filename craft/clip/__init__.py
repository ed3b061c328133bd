"""CLIP with prompts given from outside: loading (`load`), and encoding of texts (`text`) and images (`vision`).

OpenAI's modules and weights are used as they are; nothing in this package knows a prompt structure by name.
"""

import warnings

with warnings.catch_warnings():  # clip imports pkg_resources, which announces its own end; requirements pin setuptools
    warnings.simplefilter("ignore")
    import clip  # noqa: F401

from craft.clip.load import fingerprint, load_clip, place, resolution
from craft.clip.text import TextPrompts, TokenTable, encode_text, encode_texts
from craft.clip.vision import VisionPrompts, encode_image

__all__ = [
    "TextPrompts",
    "TokenTable",
    "VisionPrompts",
    "encode_image",
    "encode_text",
    "encode_texts",
    "fingerprint",
    "load_clip",
    "place",
    "resolution",
]
