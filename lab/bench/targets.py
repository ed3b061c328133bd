"""What the fast path is held to, as data. The numbers are bounds on ratios plain / ours, unless a unit says otherwise.

They were set for one situation (`SITUATION`) and mean nothing in another; elsewhere they are not printed.
"""

from __future__ import annotations

from dataclasses import dataclass

SITUATION = {"backbone": "random:ViT-B/16", "threads": 2, "device": "cpu", "dtype": "float32", "batch": 4}


@dataclass(frozen=True)
class Target:
    """``quantity`` (see `craft.lab.bench.quantities.quantities`) must be at least, or at most, ``bound``."""

    quantity: str
    bound: float
    at_least: bool = True
    unit: str = "x"

    def met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def verdict(self, value: float) -> str:
        """``met``, or by how much it is missed relative to the bound."""
        if self.met(value):
            return "met"
        return f"missed by {abs(value - self.bound) / self.bound:.0%}"


TARGETS = (
    Target("step/MaPLeCraft/100", 6.5),
    Target("step/MaPLeCraft/400", 14),
    Target("class/MaPLeCraft", 25),
    Target("memory/MaPLeCraft/100", 0.4, at_least=False),
    Target("evaluate/MaPLeCraft/1000", 9),
    Target("build/PromptSRCCraft/100/cold", 8),
    Target("build/PromptSRCCraft/100/cached", 50),
    Target("step/CoOpCraft/100", 8.5),
    Target("step/CoOpCraft/400", 18),
    Target("peak/MaPLeCraft/1000", 6.0, at_least=False, unit="GB"),
)
