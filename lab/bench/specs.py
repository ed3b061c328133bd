"""What is measured, in which order: specifications for `craft.lab.bench.measure`, from the command line's options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

TRAINERS = ("MaPLeCraft", "CoOpCraft", "PromptSRCCraft")
KINDS = ("step", "evaluate", "build", "load")
PATHS = ("plain", "ours")


@dataclass(frozen=True)
class Plan:
    """evaluate: (trainer, classes, batches, batch). build: (trainer, classes). load: (images, batch, workers).
    check_up_to: the largest number of classes at which losses and gradients are compared before any time is taken."""

    backbone: str = "random:ViT-B/16"
    classes: Sequence[int] = (10, 100, 400, 1000)
    trainers: Sequence[str] = TRAINERS
    kinds: Sequence[str] = KINDS
    paths: Sequence[str] = PATHS
    repeats: int = 5
    batch: int = 4
    evaluate: tuple[str, int, int, int] = ("MaPLeCraft", 1000, 5, 20)
    build: tuple[str, int] = ("PromptSRCCraft", 100)
    load: tuple[int, int, int] = (160, 32, 2)
    check_up_to: int = 100
    product: int = 4096

    def _spec(self, kind: str, **more: Any) -> dict[str, Any]:
        return {"kind": kind, "backbone": self.backbone, "repeats": self.repeats, **more}

    def facts(self) -> dict[str, Any]:
        return self._spec("facts", classes=max(self.classes))

    def rate(self) -> dict[str, Any]:
        return self._spec("rate", size=self.product)

    def checks(self) -> Iterator[dict[str, Any]]:
        """For every trainer, from few classes up; a text target is the same whatever the number of other classes."""
        counts = sorted(self.classes)
        for trainer in self.trainers:
            for classes in [c for c in counts if c <= self.check_up_to] or counts[:1]:
                more = {"check_target": classes == counts[0]}
                yield self._spec("check", trainer=trainer, classes=classes, batch=self.batch, **more)

    def times(self) -> Iterator[dict[str, Any]]:
        """Both paths of a case one after the other, so that the machine is in the same mood."""
        if "step" in self.kinds:
            for trainer in self.trainers:
                for classes in sorted(self.classes):
                    for path in self.paths:
                        yield self._spec("step", trainer=trainer, classes=classes, batch=self.batch, path=path)
        if "evaluate" in self.kinds and self.evaluate[0] in self.trainers:
            trainer, classes, batches, batch = self.evaluate
            for path in self.paths:
                yield self._spec("evaluate", trainer=trainer, classes=classes, batches=batches, batch=batch, path=path)
        if "build" in self.kinds and self.build[0] in self.trainers:
            trainer, classes = self.build
            for path in self.paths:
                for state in ("cold", "cached") if path == "ours" else ("plain",):
                    yield self._spec("build", trainer=trainer, classes=classes, path=state)
        if "load" in self.kinds:
            images, batch, workers = self.load
            for path in self.paths:
                yield self._spec("load", images=images, batch=batch, workers=workers, path=path)


#: The demonstration backbone, a few classes: seconds, for trying the command out. Its ratios mean nothing.
QUICK = Plan(
    backbone="demo",
    classes=(5, 20),
    repeats=2,
    evaluate=("MaPLeCraft", 20, 2, 4),
    build=("PromptSRCCraft", 3),
    load=(8, 4, 1),
    product=256,
)
