"""What a run says of itself while it lasts: lines as Dassl writes them, TensorBoard scalars, and ``metrics.json``."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from craft.common.errors import UserError
from craft.common.files import write_sealed


class RunLog:
    """The numbers of one run.

    about: facts for ``metrics.json``. results: by split, what the evaluator gave last. history: for each finished epoch
    its number, learning rate and the mean of every loss term. skipped: steps that were left out because a gradient
    overflowed in float16; in an epoch's history where there were any. scalar: the trainer's
    ``write_scalar(tag, value, step)``.
    """

    def __init__(self, scalar: Callable[[str, float, int], None], epochs: int):
        self.scalar, self.epochs = scalar, epochs
        self.about: dict[str, Any] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.history: list[dict[str, float]] = []
        self.skipped = self._skipped_now = 0

    # -- while it runs ------------------------------------------------------------------------------------------------

    def step(
        self,
        terms: dict[str, Tensor],
        sums: dict[str, Tensor],
        epoch: int,
        done: int,
        of: int,
        seconds: float,
        lr: float,
    ) -> None:
        """One log line, and the same numbers to TensorBoard.

        terms: of the last batch; sums: of the epoch so far. epoch: from 0. done, of: batches. seconds: a batch, on
        average. UserError where a term is not finite.
        """
        values = {name: (terms[name].item(), sums[name].item() / done) for name in sums}
        if not all(abs(now) < float("inf") for now, _ in values.values()):  # NaN fails the comparison too
            raise UserError(
                f"a loss term is not finite at epoch {epoch + 1}, batch {done}: "
                + ", ".join(f"{name} {now:g}" for name, (now, _) in values.items())
                + "; lower OPTIM.LR, or set PREC to amp_bf16 or fp32"
            )
        left = (self.epochs - epoch) * of - done
        print(
            f"epoch [{epoch + 1}/{self.epochs}] batch [{done}/{of}] time {seconds:.3f} "
            + " ".join(f"{name} {now:.4f} ({mean:.4f})" for name, (now, mean) in values.items())
            + f" lr {lr:.4e} eta {datetime.timedelta(seconds=int(left * seconds))}"
        )
        at = epoch * of + done - 1
        for name, (_, mean) in values.items():
            self.scalar(f"train/{name}", mean, at)
        self.scalar("train/lr", lr, at)

    def epoch(self, epoch: int, lr: float, sums: dict[str, Tensor], batches: int) -> None:
        """Keep a finished epoch (from 0) in the history."""
        means = {name: value.item() / batches for name, value in sums.items()}
        self.history.append({"epoch": epoch + 1, "lr": lr} | means)
        if self._skipped_now:
            self.history[-1]["skipped"] = self._skipped_now
            print(
                f"epoch [{epoch + 1}/{self.epochs}] {self._skipped_now} of {batches} steps were skipped: a gradient "
                "overflowed in float16, and the scale was lowered"
            )
        self._skipped_now = 0

    def skipped_step(self) -> None:
        """Count a step that the scaler of float16 left out."""
        self.skipped += 1
        self._skipped_now += 1

    def evaluated(self, split: str, results: dict[str, Any], epoch: int) -> None:
        """Keep the evaluator's results of a split, after ``epoch`` (from 0)."""
        self.results[split] = results
        for name, value in results.items():
            if isinstance(value, float | int):
                self.scalar(f"{split}/{name}", value, epoch)

    # -- on disk --------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What an interrupted run needs of it, as plain data."""
        skipped = [self.skipped, self._skipped_now]
        return {"history": self.history, "results": self.results, "skipped": skipped}

    def restore(self, state: dict[str, Any]) -> None:
        self.history, self.results = state["history"], state["results"]
        self.skipped, self._skipped_now = state.get("skipped", (0, 0))

    def write(self, path: str | Path, facts: dict[str, Any]) -> None:
        """``metrics.json``: facts that name the run, results by split, and the loss history."""
        write_sealed(path, {**facts, **self.about, "results": self.results, "history": self.history})
