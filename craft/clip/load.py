"""From a name to a `Backbone`: a registry of families, and OpenAI's names and files for everything else.

Another family of models is a `Backbone` of its own and one registration:

    register_backbone("toy:", load_toy)      # load_toy("toy:small") -> Backbone
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from craft.clip import weights
from craft.clip.backbone import PIXEL_MEAN, PIXEL_STD, Backbone
from craft.common.errors import UserError, unknown

DEMO = "demo"


Statistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of pixels, by channel


@dataclass(frozen=True)
class Family:
    """What is known of a family before a model is loaded; see `register_backbone`."""

    loader: Callable[[str], Backbone] | str
    resolution: Callable[[str], int | None] | str | None
    pixels: Callable[[str], Statistics] | str | Statistics

    def load(self, name: str) -> Backbone:
        backbone = _function(self.loader, name)(name)
        mean, std = self.statistics(name)
        if (tuple(backbone.pixel_mean), tuple(backbone.pixel_std)) != (tuple(mean), tuple(std)):
            raise UserError(
                f"backbone {name!r} reads images of another mean and deviation than it was registered with; give "
                "register_backbone its mean and std"
            )
        return backbone

    def statistics(self, name: str) -> Statistics:
        return self.pixels if isinstance(self.pixels, tuple) else _function(self.pixels, name)(name)

    def known_resolution(self, name: str) -> int | None:
        return _function(self.resolution, name)(name) if self.resolution else None


def _function(where: Callable | str, name: str) -> Callable:
    """A function, or the one at ``"package.module:function"``, imported when it is first needed."""
    if not isinstance(where, str):
        return where
    module, _, function = where.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"backbone {name!r}: cannot import {where} ({error})") from error


FAMILIES: dict[str, Family] = {}


def register_backbone(
    key: str,
    loader: Callable[[str], Backbone] | str,
    *,
    resolution: Callable[[str], int | None] | str | None = None,
    mean: tuple[float, ...] = PIXEL_MEAN,
    std: tuple[float, ...] = PIXEL_STD,
    statistics: Callable[[str], Statistics] | str | None = None,
) -> None:
    """Make a family of backbones known as ``MODEL.BACKBONE.NAME``.

    key: a name, or with a colon at its end the beginning of names (``toy:``). loader: gets the whole name, returns the
    backbone, or where such a function is, ``"package.module:function"``, imported when it is first needed. resolution:
    side of the images of a name, in pixels, where it is known without loading. mean, std: of the backbone's pixels, or
    where they differ within the family statistics, a function from a name to both. UserError for a key that is taken.
    """
    family = Family(loader, resolution, statistics or (mean, std))
    if FAMILIES.get(key, family) != family or key in weights.published():
        raise UserError(f"backbone {key!r}: the name is taken; choose another")
    FAMILIES[key] = family


def load_backbone(name: str, download_root: str | os.PathLike | None = None) -> Backbone:
    """The backbone called ``name``: float32, on the CPU, in eval mode and frozen.

    ``name`` is one of OpenAI's names (``ViT-B/16``, …; downloaded to ``download_root``, default ``~/.cache/clip``,
    and checked against its SHA-256), the path of a local file in OpenAI's form (its TorchScript archive, a state dict
    saved by ``torch.save``, or safetensors; see `craft.clip.weights.load_file` for other activations than QuickGELU),
    ``demo``, ``random:<OpenAI name>`` (that architecture with weights drawn from a fixed seed: for timing and tests
    only), ``hf:FOLDER`` (a CLIP in Hugging Face's layout), ``open_clip:MODEL/TAG`` (with the extra openclip), or a
    name of a family that was registered.

    Raises UserError for an unknown name, a missing, truncated or foreign file, and a failed download.
    """
    family = _family(name)
    if family:
        return family.load(name)
    if name in weights.published():
        return weights.load_published(name, download_root)
    if weights.is_path(name):
        return weights.load_file(name)
    raise unknown("backbone", name, [*weights.ARCHITECTURES, *FAMILIES])


@lru_cache(maxsize=8)
def resolution(name: str) -> int:
    """Side of the square images that ``name`` reads, in pixels; where it is known, nothing is loaded."""
    family = _family(name)
    known = family.known_resolution if family else weights.known_resolution
    return known(name) or load_backbone(name).resolution


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the pixels that ``name`` reads, by channel; nothing is loaded."""
    family = _family(name)
    return family.statistics(name) if family else (PIXEL_MEAN, PIXEL_STD)


def _family(name: str) -> Family | None:
    if name in FAMILIES:
        return FAMILIES[name]
    prefix, colon, _ = name.partition(":")
    return FAMILIES.get(prefix + colon) if colon else None


register_backbone(DEMO, "craft.demo:load_backbone")
register_backbone(weights.RANDOM, weights.load_random, resolution=weights.known_resolution)
for _key, _module in (("hf:", "craft.clip.huggingface"), ("open_clip:", "craft.clip.openclip")):
    register_backbone(_key, f"{_module}:load", resolution=f"{_module}:resolution", statistics=f"{_module}:statistics")
