"""How a run reads its images: decoded once where they are read every epoch, what is drawn for each one fixed
beforehand, and what happens to one that cannot be decoded. Pass ``ReadableImages`` to Dassl's ``DataManager`` as
``dataset_wrapper``."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import numpy as np
import torch
from dassl.data import DatasetWrapper
from dassl.utils import read_image
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms as T

from craft.common.errors import UserError
from craft.datasets.kept import KeptImages

READING: int = read_image.version  # which reading of pictures these are; part of the key of whatever is kept on disk
GREY = (128, 128, 128)
FIXED = (T.Resize, T.CenterCrop)  # steps from image to image that give the same result every time


class ReadableImages(DatasetWrapper):
    """Dassl's DatasetWrapper, with DATASET.BAD_IMAGES and with the ``group`` and ``attribute`` of items that have them.

    ``error``   a damaged or missing image ends the run with a UserError that names it
    ``skip``    it is reported once a process and the run goes on: in training the next image of the same class and
                domain takes its place; in evaluation a plain grey image does, so that the number of images stays what
                the tables say and the model gets no credit for guessing from nothing

    An item is asked for by its index, or by ``(index, seed)``: then what its transform draws follows from the seed
    alone, whichever process transforms it (see `craft.datasets.loading`).
    """

    def __init__(self, cfg, data_source, transform=None, is_train: bool = False) -> None:
        super().__init__(cfg, data_source, transform=transform, is_train=is_train)
        self.policy = cfg.DATASET.BAD_IMAGES
        if self.policy not in ("error", "skip"):
            raise UserError(f"DATASET.BAD_IMAGES is {self.policy!r}; it can be error or skip")
        self.bad: set[int] = set()
        self._kept = KeptImages()  # after the fixed steps
        self._fixed, self._rest = self._split_transform()

    def __getitem__(self, key):
        if not isinstance(key, tuple):
            return self._item(key)
        idx, seed = key
        with drawing_from(seed):
            return self._item(idx)

    def _item(self, idx):
        output = self._read(idx)
        item = self.data_source[output["index"]]
        for name in ("attribute", "group"):
            value = getattr(item, name, None)
            if value is not None:
                output[name] = value
        return output

    def _read(self, idx):
        if idx not in self.bad:
            try:
                if (pixels := self._kept.get(idx)) is not None:
                    return self._output(idx, Image.fromarray(pixels), self._rest)
                return self._output(idx, read_image(self.data_source[idx].impath), self.transform)
            except UserError as error:
                if self.policy == "error":
                    raise UserError(f"{error}; DATASET.BAD_IMAGES skip goes on without it") from error
                print(f"Skipping a bad image: {error}")
                self.bad.add(idx)
        return self._stand_in(idx)

    def _stand_in(self, idx):
        item = self.data_source[idx]
        if not self.is_train:
            return self._output(idx, Image.new("RGB", (256, 256), GREY), self.transform)
        count = len(self.data_source)
        for other in ((idx + step) % count for step in range(1, count)):
            candidate = self.data_source[other]
            if other not in self.bad and (candidate.label, candidate.domain) == (item.label, item.domain):
                return self._read(other)
        raise UserError(f"no image of class {item.classname!r} can be read; see the first one: {item.impath}")

    def _output(self, idx, image, transform):
        """What Dassl's wrapper returns for the item ``idx``, from its decoded ``image``."""
        item = self.data_source[idx]
        output = {"label": item.label, "domain": item.domain, "impath": item.impath, "index": idx}
        if isinstance(transform, (list, tuple)):
            for number, one in enumerate(transform, start=1):
                output["img" if number == 1 else f"img{number}"] = self._transform_image(one, image)
        else:
            output["img"] = image if transform is None else self._transform_image(transform, image)
        if self.return_img0:
            output["img0"] = self.to_tensor(image)
        return output

    # -- decoded images in memory ---------------------------------------------------------------------------------

    def _split_transform(self):
        """The transform as (steps whose result may be kept, what is left to do each time)."""
        if not isinstance(self.transform, T.Compose) or self.return_img0:
            return T.Compose([]), self.transform
        steps = self.transform.transforms
        cut = next((at for at, step in enumerate(steps) if not isinstance(step, FIXED)), len(steps))
        return T.Compose(steps[:cut]), T.Compose(steps[cut:])

    def keep(self, budget: int, shared: bool = False) -> int:
        """Decode images now and keep them, in their order, in at most ``budget`` bytes; returns the bytes used.

        A random crop reads pixels of the original, so the image is kept whole; a fixed resize in front is kept done.
        What cannot be decoded is left to when it is asked for. shared: for worker processes that are not forked.
        """

        def decode(idx) -> np.ndarray | None:
            try:
                return np.asarray(self._fixed(read_image(self.data_source[idx].impath)))
            except UserError:
                return None

        if budget <= 0:
            return 0
        self._kept = kept = KeptImages(shared)
        todo, workers = range(len(self.data_source)), available_cores()
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(todo), 4 * workers):  # in portions: what is beyond the budget is not decoded
                portion = todo[start : start + 4 * workers]
                for idx, pixels in zip(portion, pool.map(decode, portion)):
                    if pixels is None:
                        continue
                    if kept.bytes + pixels.nbytes > budget or not kept.add(idx, pixels):
                        kept.flush()
                        return kept.bytes
        kept.flush()
        return kept.bytes

    @property
    def kept(self) -> int:
        """How many images are in memory."""
        return len(self._kept)


def images_of(loader: DataLoader) -> ReadableImages:
    """What a run's loader reads; `DataLoader` itself does not say of which kind its data set is."""
    return cast(ReadableImages, loader.dataset)


def available_cores() -> int:
    """Cores that this process may use, which inside a container or a job are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def drawing_from(seed: int) -> Iterator[None]:
    """Within the block all random numbers on the CPU follow from ``seed`` (32 bits); after it, all is as before it."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would reset the GPUs' generators too
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
