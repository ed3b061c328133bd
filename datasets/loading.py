"""Loaders of training images that keep up with a step: workers that stay, and images that are decoded once.

Worker processes that live on between epochs carry their random state along, which no checkpoint holds. So what is
drawn for an image does not come from its worker: the sampler hands out a seed with every index. Augmentation then is
the same for any number of workers, and a resumed run equals the uninterrupted one.
"""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Iterable, Iterator, Sized
from itertools import chain, islice
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter
from yacs.config import CfgNode

from craft.common.switches import without
from craft.datasets.images import available_cores, images_of
from craft.runs.states import random_state, set_random_state


class SeededOrder(Sampler):
    """A sampler's indices, each with a seed of 32 bits, drawn anew from torch's generator in every epoch.

    began: all generators' states when the last pass was drawn. go_on: (such a state, how many indices to leave out), of
    the pass that comes next: it is drawn from there, and the generators stay as they are.
    """

    def __init__(self, sampler: Iterable[int]):
        self.sampler = sampler
        self.began: dict[str, Any] | None = None
        self.go_on: tuple[dict[str, Any], int] | None = None

    def __iter__(self) -> Iterator[tuple[int, int]]:
        if self.go_on is None:
            self.began = random_state()
            yield from self._drawn()
            return
        (self.began, skipped), self.go_on = self.go_on, None
        now = random_state()
        set_random_state(self.began)
        pairs = self._drawn()
        first = list(islice(pairs, 1))  # a sampler draws all that it needs before its first index
        set_random_state(now)
        yield from islice(chain(first, pairs), skipped, None)

    def _drawn(self) -> Iterator[tuple[int, int]]:
        draw = random.Random(int(torch.empty((), dtype=torch.int64).random_()))
        for index in self.sampler:
            yield index, draw.getrandbits(32)

    def __len__(self) -> int:
        assert isinstance(self.sampler, Sized), "samplers of training images know how many they give"
        return len(self.sampler)


class Batches:
    """The batches of a `steady` loader, and where in them a run is. again: without end, reshuffled for each pass."""

    def __init__(self, loader: DataLoader, again: bool = False):
        self.loader, self.again = loader, again
        self._taken = 0

    def __iter__(self) -> Iterator[Any]:
        while True:
            for batch in self.loader:
                self._taken += 1
                yield batch
            if not self.again:
                return
            self._taken = 0

    def position(self) -> dict[str, Any]:
        """Where it is, for a checkpoint: how the pass was drawn, and how many of its batches were taken."""
        return {"began": self._order.began, "taken": self._taken}

    def go_to(self, position: dict[str, Any]) -> None:
        """Begin at a position of another process; to be called before the first batch. No image is read on the way."""
        self._taken = position["taken"]
        self._order.go_on = position["began"], self._taken * batch_size_of(self.loader)

    @property
    def _order(self) -> SeededOrder:
        assert isinstance(self.loader.sampler, SeededOrder)
        return self.loader.sampler


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
        persistent_workers=loader.num_workers > 0 and not without("persistent_workers"),
        multiprocessing_context=loader.multiprocessing_context,
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
    if loader is not None and isinstance(iterator, _MultiProcessingDataLoaderIter):
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
            used += readable.keep(megabytes * 2**20 - used, shared=bool(loader.num_workers) and not _forks(loader))
            images += readable.kept
    return images, used


def _forks(loader: DataLoader) -> bool:
    """Whether the loader's workers are forked: they find the memory of this process, where others are sent a copy."""
    context = loader.multiprocessing_context or multiprocessing
    return context.get_start_method() == "fork"
