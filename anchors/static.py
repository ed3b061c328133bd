"""Static image anchors: frozen features of the run's training images, k-means of them class by class, cached on disk.

`python -m anchors` makes them ahead of time; a trainer asks `static_anchors`, which finds them by the same key or
computes and caches them. The key holds everything they depend on: the weights, the content and label of every image in
order, how pictures are read, the transform, K and the seed. Labels key anchors; class names play no part.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

import torch
from dassl.data.transforms import build_transform
from torch import Tensor

from craft.anchors.kmeans import class_anchors
from craft.clip import Backbone
from craft.clip.features import digest_images, frozen_features
from craft.common import tensor_cache
from craft.common.errors import UserError
from craft.datasets import ReadableImages
from craft.datasets.images import READING
from craft.datasets.loading import within_cores

KIND = "anchors"
FORMAT = 1


@dataclass(frozen=True)
class Anchors:
    """features: (A, e) float32, k-means centres of normalised features, not normalised again. labels: (A,) int64.

    key: the name of the cache entry. cached: whether it was found there.
    """

    features: Tensor
    labels: Tensor
    key: str
    cached: bool


def anchor_key(cfg, dataset, fingerprint: str, transform) -> dict:
    """Everything that the anchors of ``dataset.train_x`` depend on, as JSON; UserError for an unreadable image."""
    return {
        "format": FORMAT,
        "backbone": fingerprint,
        "images": digest_images(dataset.train_x, strict=cfg.DATASET.BAD_IMAGES == "error"),
        "count": len(dataset.train_x),
        "transform": str(transform),
        "reading": READING,
        "per_class": cfg.TRAINER.CRAFT.ANCHORS_PER_CLASS,
        "seed": max(cfg.SEED, 0),
    }


def static_anchors(cfg, dataset, backbone: Backbone) -> Anchors:
    """The anchors of ``dataset.train_x`` under ``cfg``, from the cache or computed and cached.

    backbone: float32, on its device. Raises UserError for an unreadable image or a class without training images.
    """
    with contextlib.redirect_stdout(io.StringIO()):  # Dassl announces every transform it builds
        transform = build_transform(cfg, is_train=False)
    key = anchor_key(cfg, dataset, backbone.fingerprint, transform)
    found = tensor_cache.load(KIND, key)
    path = tensor_cache.entry(KIND, key)
    if found is not None:
        print(f"Static image anchors: {len(found['labels'])} from the cache ({path.name})")
        return Anchors(found["features"], found["labels"], path.stem, cached=True)
    labels = torch.tensor([item.label for item in dataset.train_x])
    missing = sorted(set(range(dataset.num_classes)) - set(labels.tolist()))
    if missing:
        raise UserError(
            f"no training image for class {missing[0]} ({dataset.lab2cname.get(missing[0])!r}) of "
            f"{cfg.DATASET.NAME}, so it can have no anchor; give it images or set "
            "TRAINER.CRAFT.STATIC_WEIGHT 0"
        )
    workers = within_cores(cfg).DATALOADER.NUM_WORKERS
    images = ReadableImages(cfg, dataset.train_x, transform=transform, is_train=True)
    features = frozen_features(backbone, images, cfg.DATALOADER.TEST.BATCH_SIZE, workers, "frozen features")
    centres, centre_labels = class_anchors(features, labels, key["per_class"], key["seed"])
    if tensor_cache.off(KIND):
        print(f"Static image anchors: {len(centres)} from {len(labels)} images, caching is switched off")
        return Anchors(centres, centre_labels, path.stem, cached=False)
    about = {
        "what": "static image anchors of Craft: k-means centres of L2-normalised frozen CLIP features, by class label",
        "dataset": cfg.DATASET.NAME,
        "subsample": cfg.DATASET.SUBSAMPLE_CLASSES,
        "shots": cfg.DATASET.NUM_SHOTS,
        "seed": cfg.SEED,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "images": len(labels),
        "classes": {int(label): name for label, name in dataset.lab2cname.items()},
    }
    try:
        tensor_cache.store(KIND, key, {"features": centres, "labels": centre_labels}, about)
        print(f"Static image anchors: {len(centres)} from {len(labels)} images, cached as {path.name}")
    except UserError as error:  # a cache that cannot be written costs time, not the run
        print(f"Static image anchors: {len(centres)} from {len(labels)} images, not cached: {error}")
    return Anchors(centres, centre_labels, path.stem, cached=False)
