"""The demonstration backbone: OpenAI's CLIP at toy size, so that everything runs on a machine without a download.

It was trained from nothing on pictures of characters in computer fonts (`glyphs`) and their Unicode names, by
``python -m craft.demo.train``. It knows characters and nothing else: its numbers show that code works and what a
method does at toy size, never how CLIP behaves. This file reads ``weights.safetensors`` back into OpenAI's state
dict and holds what a caller needs to use it well.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from craft.common.errors import UserError
from craft.demo.digits import NAMES as DIGIT_NAMES  # the wording in which it knows the digits
from craft.demo.digits import TEMPLATE as DIGIT_TEMPLATE

if TYPE_CHECKING:  # imported late below, so that the digits are known without them
    import numpy as np
    import torch

    from craft.clip.openai import OpenAIBackbone

WEIGHTS = Path(__file__).with_name("weights.safetensors")
REBUILD = "python -m craft.demo.train"

RESOLUTION = 32  # pixels a side; their mean and deviation are those of OpenAI's CLIP

CONTEXT_LENGTH, VOCABULARY = 77, 49408  # OpenAI's, so that its tokenizer works unchanged
TOKEN_STD = 0.02  # of a token's embedding before training, as in OpenAI's CLIP
ROWS, TRAINED = "token_embedding.rows", "token_embedding.weight"


def untrained_tokens(width: int, seed: int) -> np.ndarray:
    """The token embedding before training: (VOCABULARY, width), float32.

    Drawn by numpy's legacy generator, whose stream is frozen for good; torch's and ``Generator``'s may change.
    """
    import numpy as np

    draw = np.random.RandomState(seed).standard_normal((VOCABULARY, width))
    return (draw * TOKEN_STD).astype(np.float32)


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        reason = "is missing"
    except (SafetensorError, OSError, ValueError) as error:
        reason = f"cannot be read ({str(error).splitlines()[0]})"
    raise UserError(
        f"the demonstration backbone's weights, {path}, {reason}: restore the file from the repository "
        f"(git checkout), or rebuild it with `{REBUILD}`"
    )


def metadata(path: Path | None = None) -> dict:
    """What the weights file says of itself: description, command, architecture, seeds, steps."""
    path = WEIGHTS if path is None else path
    try:
        return json.loads(_read(path)[0]["demo"])
    except (KeyError, ValueError):
        raise _foreign(path) from None


def state_dict(path: Path | None = None) -> dict[str, torch.Tensor]:
    """OpenAI's state dict of the demonstration backbone, complete, float32.

    The file holds float16, and of the token embedding only the rows that training touched; the others are drawn
    again from the seed in its header, exactly as training drew them. Raises UserError where the file (``path``,
    default ``WEIGHTS``) is missing, truncated, or something else.
    """
    import torch

    path = WEIGHTS if path is None else path
    header, stored = _read(path)
    try:
        seed = json.loads(header["demo"])["token_seed"]
        rows, trained = stored.pop(ROWS).long(), stored.pop(TRAINED).float()
        tokens = torch.from_numpy(untrained_tokens(trained.shape[1], seed))
        tokens[rows] = trained
    except (KeyError, ValueError, IndexError, RuntimeError):
        raise _foreign(path) from None
    return {**{key: value.float() for key, value in stored.items()}, TRAINED: tokens}


def load_backbone(name: str = "demo") -> OpenAIBackbone:
    """The demonstration backbone as every other is known to the library."""
    from craft.clip.openai import OpenAIBackbone  # only here: glyphs and digits need no CLIP
    from craft.clip.weights import build

    return OpenAIBackbone(build(state_dict(), name), name, f"{WEIGHTS.name} of craft.demo, for demonstration only")


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path} is not a weights file of the demonstration backbone: restore it from the repository "
        f"(git checkout), or rebuild it with `{REBUILD}`"
    )


__all__ = ["DIGIT_NAMES", "DIGIT_TEMPLATE", "RESOLUTION", "WEIGHTS", "load_backbone", "metadata", "state_dict"]
