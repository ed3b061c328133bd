"""CLIP as Hugging Face's transformers stores it: ``hf:FOLDER`` or ``hf:ORGANISATION/NAME``.

A folder holds ``config.json``, ``model.safetensors`` and where images are read in another way than CLIP's
``preprocessor_config.json``. The weights are the same tensors under other names, so they are put into OpenAI's module;
nothing of transformers is needed. The tokenizer is CLIP's: a model with another vocabulary is refused.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file as read_tensors
from torch import Tensor

from craft.clip import weights
from craft.clip.backbone import PIXEL_MEAN, PIXEL_STD, Backbone
from craft.clip.openai import ACTIVATIONS, OpenAIBackbone
from craft.common.errors import UserError

PREFIX = "hf:"
CONFIG, PIXELS, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
HEAD_WIDTH, EPSILON = 64, 1e-5  # OpenAI's module has no others
SIGLIP = (
    "SigLIP's text tower is not causal, so that texts share no computed prefix, and it has no class token: prompts and "
    "caches here do not hold for it; choose a CLIP"
)
LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
NAMES = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
TRANSPOSED = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
TOWERS = {"text_model": "", "vision_model": "visual."}


def load(name: str) -> Backbone:
    """The model called ``hf:…``. UserError for whatever is missing, and for a model that is not CLIP's."""
    folder = folder_of(name)
    config = _json(folder / CONFIG)
    activation = check(config, str(folder))
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(
            f"{folder} holds no {WEIGHTS}; save the model there with safe_serialization, or fetch that file"
        )
    try:
        state = read_tensors(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"cannot read {path} ({error}): truncated or not safetensors; fetch it again") from error
    model = weights.build(openai_names(state, str(path)), str(path))
    found = OpenAIBackbone(model, name, f"{path}, activation {activation}", activation)
    found.pixel_mean, found.pixel_std = statistics(name)
    return found


def statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the pixels that ``hf:…`` reads: its preprocessor's, or CLIP's where it has none."""
    path = folder_of(name) / PIXELS
    if not path.is_file():
        return PIXEL_MEAN, PIXEL_STD
    found = _json(path)
    return tuple(found.get("image_mean") or PIXEL_MEAN), tuple(found.get("image_std") or PIXEL_STD)


def resolution(name: str) -> int | None:
    return (_json(folder_of(name) / CONFIG).get("vision_config") or {}).get("image_size")


def folder_of(name: str) -> Path:
    """The folder of ``hf:FOLDER``; ``hf:ORGANISATION/NAME`` is fetched into Hugging Face's own cache."""
    place = name.removeprefix(PREFIX)
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", place):
        raise UserError(f"{name}: no such folder: {folder}; give a folder, or ORGANISATION/NAME of Hugging Face's hub")
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UserError(
            f"{name}: no such folder, and fetching needs huggingface_hub: pip install "
            f"'.[openclip]' in the clone, or fetch the files elsewhere and give their folder"
        ) from error
    try:
        return Path(snapshot_download(place, allow_patterns=[CONFIG, PIXELS, WEIGHTS]))
    except Exception as error:  # the library's own errors have no common base among public names
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"could not fetch {place}: {reason[:200]}; fetch it elsewhere and give its folder") from error


def check(config: dict[str, Any], where: str) -> str:
    """The activation that a ``config.json`` asks for; UserError where the model is not of CLIP's form."""
    kind = config.get("model_type")
    if str(kind).startswith("siglip"):
        raise UserError(f"{where}: {SIGLIP}")
    if kind != "clip":
        raise UserError(f"{where}: its model_type is {kind!r}; only clip is read")
    text, vision = (config.get(f"{tower}_config") or {} for tower in ("text", "vision"))
    acts = {text.get("hidden_act", "quick_gelu"), vision.get("hidden_act", "quick_gelu")}
    if len(acts) > 1 or not acts <= set(ACTIVATIONS):
        raise UserError(f"{where}: activation {', '.join(sorted(acts))}; it must be one of {', '.join(ACTIVATIONS)}")
    for tower, part in (("text", text), ("vision", vision)):
        width, heads = part.get("hidden_size", 0), part.get("num_attention_heads", 1)
        if width != HEAD_WIDTH * heads:
            raise UserError(f"{where}: {tower} tower of width {width} with {heads} heads; only heads of 64 are read")
        if part.get("intermediate_size") != 4 * width:
            raise UserError(f"{where}: intermediate_size of the {tower} tower is not 4 times its width, as CLIP's is")
        if abs(part.get("layer_norm_eps", EPSILON) - EPSILON) > 1e-9:
            raise UserError(f"{where}: layer_norm_eps {part['layer_norm_eps']}; only {EPSILON} is read")
    return acts.pop()


def openai_names(state: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """A state dict of transformers' ``CLIPModel`` under OpenAI's names, as float32; UserError for a tensor it lacks."""
    out = {}
    try:
        for theirs, ours in NAMES.items():
            out[ours] = state[theirs].float()
        for theirs, ours in TRANSPOSED.items():
            out[ours] = state[theirs].float().t().contiguous()
        for tower, prefix in TOWERS.items():
            pattern = re.compile(rf"{tower}\.encoder\.layers\.(\d+)\.")
            count = 1 + max((int(found[1]) for found in map(pattern.match, state) if found), default=-1)
            for layer in range(count):
                old, new = f"{tower}.encoder.layers.{layer}.", f"{prefix}transformer.resblocks.{layer}."
                for end in ("weight", "bias"):
                    joint = [state[f"{old}self_attn.{part}_proj.{end}"].float() for part in "qkv"]
                    out[f"{new}attn.in_proj_{end}"] = torch.cat(joint)
                    for theirs, ours in LAYER.items():
                        out[f"{new}{ours}.{end}"] = state[f"{old}{theirs}.{end}"].float()
    except KeyError as error:
        raise UserError(f"{where} lacks {error.args[0]}: not the weights of a transformers CLIPModel") from error
    return out


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent} holds no {path.name}; give a folder in Hugging Face's layout") from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {error}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} does not hold an object")
    return found
