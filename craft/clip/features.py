"""Frozen, normalised CLIP features of the images of a data set, and what identifies those images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from craft.clip.backbone import Backbone
from craft.common.errors import UserError
from craft.common.files import digest_file, digest_json


@torch.no_grad()
def frozen_features(backbone: Backbone, dataset: Dataset, batch_size: int, workers: int = 0, title: str = "") -> Tensor:
    """(N, e) L2-normalised float32 features, on the CPU, of a Dassl ``DatasetWrapper`` (``{"img": …}``), in its order.

    The run's random stream is neither read nor moved, so a run that finds its features in a cache equals one that
    computes them. title: of the progress bar on a terminal.
    """
    loader = DataLoader(dataset, batch_size, num_workers=workers, generator=torch.Generator())
    parts = []
    for batch in tqdm(loader, title, leave=False, disable=not sys.stderr.isatty()):
        images = batch["img"].to(backbone.device, non_blocking=True)
        parts.append(F.normalize(backbone.encode_image(images).float(), dim=-1).cpu())
    return torch.cat(parts)


def digest_images(items: Sequence, strict: bool = True) -> str:
    """Hex digest of the content and label of every item, in order.

    Paths play no part: a data root may move. A file that cannot be read is a UserError, or counts as empty where not
    ``strict`` (a run that goes on past bad images, DATASET.BAD_IMAGES skip).
    """

    def digest(item) -> str:
        try:
            return digest_file(item.impath)
        except OSError as error:
            if not strict:
                return ""
            raise UserError(
                f"cannot read image {error.filename}: {error.strerror}; `craft data check` names all that are missing"
            ) from error

    with ThreadPoolExecutor() as pool:  # reading is mostly waiting
        digests = list(pool.map(digest, items))
    return digest_json([[digest, item.label] for digest, item in zip(digests, items)])
