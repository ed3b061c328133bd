"""One epoch: its batches, the sums of its loss terms, and where in it a run is, for the state of within an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from craft.datasets.loading import Batches


class Epoch:
    """``steps`` tuples of a batch of each of ``loaders``, of which the first ``done`` were taken before.

    Where there are several loaders, one that runs out starts again. within: `position` of an earlier process, None for
    an epoch from its start. sums: of every loss term, on the device.
    """

    def __init__(self, loaders: list[DataLoader], steps: int, within: dict[str, Any] | None, device: torch.device):
        self.steps, self.done = steps, 0
        self.sums: dict[str, Tensor] = {}
        self._loaders = [Batches(loader, again=len(loaders) > 1) for loader in loaders]
        if within:
            self.done = within["steps"]
            self.sums = {name: value.to(device) for name, value in within["sums"].items()}
            for loader, position in zip(self._loaders, within["loaders"]):
                loader.go_to(position)

    def __iter__(self) -> Iterator[tuple]:
        batches = [iter(loader) for loader in self._loaders]
        return (tuple(next(one) for one in batches) for _ in range(self.done, self.steps))

    def add(self, terms: dict[str, Tensor]) -> None:
        """Count a step with these terms."""
        self.done += 1
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def position(self) -> dict[str, Any]:
        """Where it is: plain values and tensors."""
        return {"steps": self.done, "sums": self.sums, "loaders": [loader.position() for loader in self._loaders]}
