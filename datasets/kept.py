"""Decoded images in memory, which a loader's worker processes share instead of getting a copy each.

A forked worker finds the memory of its parent; nothing has to be done for it. A process that is started anew
(forkserver, spawn) is sent the data set pickled: for it the pixels lie in shared memory, many images to a piece, and
only the handle of each piece is pickled. A handle is an open file, and few of them can be sent at once: so pieces grow.
"""

from __future__ import annotations

import shutil

import numpy as np
import torch

PIECE = 2**25  # bytes of the first pieces; later ones are a quarter of what there is
SHARED_MEMORY = "/dev/shm"  # where Linux has it; elsewhere nothing says how much there is


class KeptImages:
    """(H, W, 3) uint8 images by index, added once and then only read.

    shared: whether they are for processes that are not forked. Then what was added is found after the next `flush`.
    """

    def __init__(self, shared: bool = False) -> None:
        self.shared = shared
        self.bytes = 0
        self._own: dict[int, np.ndarray] = {}
        self._waiting: dict[int, np.ndarray] = {}
        self._waiting_bytes = 0
        self._pieces: list[torch.Tensor] = []  # (bytes,) uint8, in shared memory
        self._places = np.empty((0, 5), np.int64)  # index, piece, first byte, height, width; sorted by index

    def __len__(self) -> int:
        return len(self._own) + len(self._waiting) + len(self._places)

    def add(self, index: int, pixels: np.ndarray) -> bool:
        """Keep an image; False where shared memory has no room for it and what waits with it, which is dropped."""
        self.bytes += pixels.nbytes
        if not self.shared:
            self._own[index] = pixels
            return True
        self._waiting[index] = pixels
        self._waiting_bytes += pixels.nbytes
        return self._waiting_bytes < max(PIECE, self.bytes // 4) or self.flush()

    def flush(self) -> bool:
        """Move what waits into shared memory; False, and it is dropped, where that has no room."""
        waiting, size = self._waiting, self._waiting_bytes
        self._waiting, self._waiting_bytes = {}, 0
        if not waiting:
            return True
        try:
            if size > _room():
                raise RuntimeError("no room")
            piece = torch.empty(size, dtype=torch.uint8).share_memory_()
        except (RuntimeError, OSError):  # torch says so in either way
            self.bytes -= size
            print(f"Shared memory is full: {len(waiting)} decoded images are not kept")
            return False
        places, start = [], 0
        for index, pixels in waiting.items():
            piece.numpy()[start : start + pixels.nbytes] = pixels.reshape(-1)
            places.append([index, len(self._pieces), start, *pixels.shape[:2]])
            start += pixels.nbytes
        self._pieces.append(piece)
        table = np.concatenate([self._places, np.array(places, np.int64)])
        self._places = table[table[:, 0].argsort(kind="stable")]
        return True

    def get(self, index: int) -> np.ndarray | None:
        """The image, or None where it is not kept. Not to be written to."""
        if not self.shared:
            return self._own.get(index)
        row = int(np.searchsorted(self._places[:, 0], index))
        if row == len(self._places) or self._places[row, 0] != index:
            return None
        _, piece, start, height, width = self._places[row].tolist()
        return self._pieces[piece][start : start + 3 * height * width].view(height, width, 3).numpy()


def _room() -> float:
    """Bytes that shared memory still has. Writing to more than there is would end the process without a word."""
    try:
        return shutil.disk_usage(SHARED_MEMORY).free
    except OSError:
        return float("inf")
