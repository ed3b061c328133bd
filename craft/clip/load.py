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


@dataclass(frozen=True)
class Family:
    """What is known of a family before a model is loaded; see `register_backbone`."""

    loader: Callable[[str], Backbone] | str
    resolution: Callable[[str], int | None] | None
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def load(self, name: str) -> Backbone:
        loader = self.loader
        if isinstance(loader, str):
            module, _, function = loader.partition(":")
            try:
                loader = getattr(importlib.import_module(module), function)
            except (ImportError, AttributeError) as error:
                raise UserError(f"backbone {name!r}: cannot import {self.loader} ({error})") from error
        backbone = loader(name)
        if (tuple(backbone.pixel_mean), tuple(backbone.pixel_std)) != (tuple(self.mean), tuple(self.std)):
            raise UserError(
                f"backbone {name!r} reads images of another mean and deviation than it was registered with; give "
                "register_backbone its mean and std"
            )
        return backbone


FAMILIES: dict[str, Family] = {}


def register_backbone(
    key: str,
    loader: Callable[[str], Backbone] | str,
    *,
    resolution: Callable[[str], int | None] | None = None,
    mean: tuple[float, ...] = PIXEL_MEAN,
    std: tuple[float, ...] = PIXEL_STD,
) -> None:
    """Make a family of backbones known as ``MODEL.BACKBONE.NAME``.

    key: a name, or with a colon at its end the beginning of names (``toy:``). loader: gets the whole name, returns the
    backbone, or where such a function is, ``"package.module:function"``, imported when it is first needed. resolution:
    side of the images of a name, in pixels, where it is known without loading. mean, std: of the backbone's pixels.
    UserError for a key that is taken.
    """
    family = Family(loader, resolution, mean, std)
    if FAMILIES.get(key, family) != family or key in weights.published():
        raise UserError(f"backbone {key!r}: the name is taken; choose another")
    FAMILIES[key] = family


def load_backbone(name: str, download_root: str | os.PathLike | None = None) -> Backbone:
    """The backbone called ``name``: float32, on the CPU, in eval mode and frozen.

    ``name`` is one of OpenAI's names (``ViT-B/16``, …; downloaded to ``download_root``, default ``~/.cache/clip``,
    and checked against its SHA-256), the path of a local file in OpenAI's form (its TorchScript archive, a state dict
    saved by ``torch.save``, or safetensors; see `craft.clip.weights.load_file` for other activations than QuickGELU),
    ``demo``, ``random:<OpenAI name>`` (that architecture with weights drawn from a fixed seed: for timing and tests
    only), or a name of a family that was registered.

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
    known = family.resolution if family else weights.known_resolution
    return (known and known(name)) or load_backbone(name).resolution


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of the pixels that ``name`` reads, by channel; nothing is loaded."""
    family = _family(name)
    return (family.mean, family.std) if family else (PIXEL_MEAN, PIXEL_STD)


def _family(name: str) -> Family | None:
    if name in FAMILIES:
        return FAMILIES[name]
    prefix, colon, _ = name.partition(":")
    return FAMILIES.get(prefix + colon) if colon else None


register_backbone(DEMO, "craft.demo:load_backbone")
register_backbone(weights.RANDOM, weights.load_random, resolution=weights.known_resolution)
