"""Images of one's own as batches: found, decoded and transformed in threads while the batch before is computed."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from dassl.utils import read_image
from torch import Tensor

from craft.common.errors import UserError
from craft.datasets.images import available_cores
from craft.datasets.listing import is_image


def find_images(places: Iterable[str | os.PathLike]) -> list[Path]:
    """The files named, as they are, and the images below each folder named, sorted by path; each file once.

    UserError for what does not exist, for a folder without images, and where nothing is named.
    """
    found: dict[Path, None] = {}
    for place in map(Path, places):
        if place.is_dir():
            below = sorted(
                Path(folder, name) for folder, _, names in os.walk(place, followlinks=True) for name in names
                if is_image(name)
            )  # fmt: skip
            if not below:
                raise UserError(f"{place} holds no images")
            found.update(dict.fromkeys(below))
        elif place.exists():
            found[place] = None
        else:
            raise UserError(f"no such image or folder: {place}")
    if not found:
        raise UserError("no images given: name files or folders")
    return list(found)


class Batches:
    """Iterates over ``(indices, images)``: which of ``paths``, and (B, 3, H, W) transformed.

    Images that cannot be read are left out; ``bad`` maps their index to the reason. At most two batches are decoded
    ahead, so memory does not grow with the number of images.
    """

    def __init__(self, paths: Sequence[Path], transform: Any, size: int, threads: int = 0):
        self.paths, self.transform, self.size = paths, transform, size
        self.threads = threads or available_cores()
        self.bad: dict[int, str] = {}

    def __iter__(self) -> Iterator[tuple[list[int], Tensor]]:
        waiting: deque[tuple[int, Future[Tensor]]] = deque()
        todo = iter(range(len(self.paths)))
        with ThreadPoolExecutor(self.threads, "images") as pool:
            try:
                while True:
                    while len(waiting) < 2 * self.size and (index := next(todo, None)) is not None:
                        waiting.append((index, pool.submit(self._read, index)))
                    if not waiting:
                        return
                    indices, images = [], []
                    while waiting and len(images) < self.size:
                        index, future = waiting.popleft()
                        try:
                            images.append(future.result())
                            indices.append(index)
                        except UserError as error:
                            self.bad[index] = str(error)
                    if images:
                        yield indices, torch.stack(images)
            finally:
                for _, future in waiting:
                    future.cancel()

    def _read(self, index: int) -> Tensor:
        return self.transform(read_image(str(self.paths[index])))
