"""Frozen, normalised CLIP features of a list of images, in batches."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from dassl.utils import read_image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from backbones import encode_image
from common.errors import UserError


class _Images(Dataset):
    def __init__(self, items: Sequence, transform):
        self.items, self.transform = items, transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Tensor:
        path = self.items[index].impath
        try:
            return self.transform(read_image(path))
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow raises for damaged files
            raise UserError(f"cannot decode image {path} ({error}); replace or remove it") from error


@torch.no_grad()
def frozen_features(
    clip, items: Sequence, transform, batch_size: int, device, workers: int = 0, progress: bool = True
) -> Tensor:
    """(N, e) L2-normalised float32 features, on the CPU, of ``items`` (with ``impath``) in their order.

    Raises UserError that names an image which cannot be decoded.
    """
    # A generator of its own: reading images must not advance the run's random stream, or a run that finds its anchors
    # in the cache would differ from one that computes them.
    loader = DataLoader(_Images(items, transform), batch_size, num_workers=workers, generator=torch.Generator())
    parts = []
    show = progress and sys.stderr.isatty()
    for images in tqdm(loader, "frozen features", leave=False, disable=not show):
        parts.append(F.normalize(encode_image(clip, images.to(device)).float(), dim=-1).cpu())
    return torch.cat(parts)
