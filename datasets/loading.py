"""Loaders of training images that keep up with a step: workers that stay, and images that are decoded once.

Worker processes that live on between epochs carry their random state along, which no checkpoint holds. So what is
drawn for an image does not come from its worker: the sampler hands out a seed with every index. Augmentation then is
the same for any number of workers, and a resumed run equals the uninterrupted one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sized

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter
from yacs.config import CfgNode

from craft.datasets.images import available_cores, images_of


class SeededOrder(Sampler):
    """A sampler's indices, each with a seed of 32 bits, drawn anew from torch's generator in every epoch."""

    def __init__(self, sampler: Iterable[int]):
        self.sampler = sampler

    def __iter__(self) -> Iterator[tuple[int, int]]:
        draw = random.Random(int(torch.empty((), dtype=torch.int64).random_()))
        for index in self.sampler:
            yield index, draw.getrandbits(32)

    def __len__(self) -> int:
        assert isinstance(self.sampler, Sized), "samplers of training images know how many they give"
        return len(self.sampler)


def within_cores(cfg: CfgNode) -> CfgNode:
    """``cfg``, or a copy with fewer DATALOADER.NUM_WORKERS where that is more than there are cores: a further worker
    would only take time from the others, and no number depends on how many there are."""
    workers, cores = cfg.DATALOADER.NUM_WORKERS, available_cores()
    if workers <= cores:
        return cfg
    cfg = cfg.clone()
    cfg.defrost()
    cfg.DATALOADER.NUM_WORKERS = cores
    cfg.freeze()
    return cfg


def batch_size_of(loader: DataLoader) -> int:
    """Images in a batch. Only a loader whose batches come ready-made has no such number, and Dassl builds none."""
    assert loader.batch_size is not None
    return loader.batch_size


def steady(loader: DataLoader) -> DataLoader:
    """Dassl's loader over `ReadableImages`, with seeded items, and workers that stay for the next epoch."""
    return DataLoader(
        loader.dataset,
        loader.batch_size,
        sampler=SeededOrder(loader.sampler),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        drop_last=loader.drop_last,
        persistent_workers=loader.num_workers > 0,
        generator=torch.Generator(),  # for the seeds of workers, which nothing is drawn from
    )


def stop_workers(loader: DataLoader | None) -> None:
    """End the processes that a `steady` loader keeps for the next epoch; its next iteration starts others.

    Left to the garbage collector, which may close a worker's pipe before the word that ends it is sent, each of them is
    waited for five seconds and then killed.
    """
    if loader is None:
        return
    iterator = getattr(loader, "_iterator", None)  # torch has no public names for these three
    if isinstance(iterator, _MultiProcessingDataLoaderIter):
        iterator._shutdown_workers()
        loader._iterator = None


def keep_decoded(loaders: Iterable[DataLoader | None], megabytes: int) -> tuple[int, int]:
    """Keep the images of the loaders decoded, in at most so many MiB together; see `ReadableImages.keep`.

    To be called before the first batch, so that workers find them. Returns how many images, and their bytes.
    """
    images = used = 0
    for loader in loaders:
        if loader is not None:
            readable = images_of(loader)
            used += readable.keep(megabytes * 2**20 - used)
            images += readable.kept
    return images, used
