"""CLIPs of open_clip (LAION, DataComp, DFN, MetaCLIP, …): ``open_clip:MODEL/TAG``, with the extra ``open_clip``.

The library fetches the weights and knows the activation, mean and deviation that a tag was trained with; the weights
of its plain CLIPs have OpenAI's names and are put into OpenAI's module. Models of other forms (SigLIP, CoCa, timm's and
Hugging Face's towers) are refused with the reason. A checkpoint on disk needs none of this:
``clip.safetensors?activation=gelu`` as backbone (`craft.clip.weights.load_file`).
"""

from __future__ import annotations

from typing import Any

from craft.clip import weights
from craft.clip.backbone import PIXEL_MEAN, PIXEL_STD, QUICK_GELU, Backbone
from craft.clip.huggingface import HEAD_WIDTH, SIGLIP
from craft.clip.openai import OpenAIBackbone
from craft.common.errors import UserError, unknown

PREFIX = "open_clip:"


def load(name: str) -> Backbone:
    """The model called ``open_clip:MODEL/TAG``. UserError for an unknown one, one of another form, a failed fetch."""
    library, (model, tag) = _library(), _parts(name)
    config, about = _known(name)
    check(config, name)
    activation = activation_of(config, about)
    try:
        module = library.create_model(model, pretrained=tag, force_quick_gelu=activation == QUICK_GELU)
    except Exception as error:  # the library, its hub and the network raise what they like
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"{name} could not be loaded: {reason[:200]}; fetch its weights elsewhere and give the file as "
            f"FILE?activation={activation}"
        ) from error
    found = OpenAIBackbone(
        weights.build(module.state_dict(), name), name, f"open_clip {model}, {tag}, activation {activation}", activation
    )
    found.pixel_mean, found.pixel_std = statistics(name)
    return found


def activation_of(config: dict[str, Any], about: dict[str, Any]) -> str:
    """QuickGELU where model or tag say so, else GELU. A tag knows what its weights were trained with, whatever the
    model's name."""
    return QUICK_GELU if config.get("quick_gelu") or about.get("quick_gelu") else "gelu"


def statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the pixels that a tag was trained with."""
    _, about = _known(name)
    return tuple(about.get("mean") or PIXEL_MEAN), tuple(about.get("std") or PIXEL_STD)


def resolution(name: str) -> int | None:
    return _known(name)[0]["vision_cfg"].get("image_size")


def check(config: dict[str, Any], name: str) -> None:
    """UserError where a model of open_clip is not one of OpenAI's form."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    if "init_logit_bias" in config or "siglip" in str(vision.get("timm_model_name", "")).lower():
        raise UserError(f"{name}: {SIGLIP}")
    odd = [
        key
        for key in ("timm_model_name", "hf_model_name", "multimodal_cfg", "custom_text", "no_causal_mask", "pool_type")
        if any(part.get(key) for part in (config, vision, text))
    ] + ["multimodal_cfg"] * ("multimodal_cfg" in config)
    if odd:
        raise UserError(f"{name}: its towers are not CLIP's ({odd[0]}): choose one of OpenAI's form, as ViT-B-16")
    heads = (text.get("width", 0) // max(text.get("heads", 1), 1), vision.get("head_width", HEAD_WIDTH))
    if any(width != HEAD_WIDTH for width in heads):
        raise UserError(f"{name}: heads of width {max(heads)}; only heads of {HEAD_WIDTH} are read")


def _parts(name: str) -> tuple[str, str]:
    model, slash, tag = name.removeprefix(PREFIX).partition("/")
    if not (model and slash and tag):
        raise UserError(f"{name}: write open_clip:MODEL/TAG, as open_clip:ViT-B-16/datacomp_xl_s13b_b90k")
    return model, tag


def _known(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(the model's, the tag's) configuration in open_clip's words; UserError for what it does not know."""
    library, (model, tag) = _library(), _parts(name)
    config = library.get_model_config(model)
    if config is None:
        raise unknown("open_clip model", model, library.list_models())
    tags = library.list_pretrained_tags_by_model(model)
    if tag not in tags:
        raise unknown(f"tag of open_clip's {model}", tag, tags)
    return config, library.get_pretrained_cfg(model, tag)


def _library():
    try:
        import open_clip
    except ImportError as error:
        raise UserError(
            f"open_clip:… needs the extra openclip ({error.name} is missing): pip install '.[openclip]' in the clone"
        ) from error
    return open_clip
