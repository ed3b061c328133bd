"""Taking the time: the same thing several times, and the median."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

LONG = 60.0  # seconds a repetition may take before three are enough


def repeat(run: Callable[[], Any], repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` runs, of at most three where one takes longer than `LONG`."""
    seconds: list[float] = []
    while len(seconds) < (min(3, repeats) if seconds and min(seconds) > LONG else repeats):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return seconds


def summary(seconds: list[float]) -> dict[str, Any]:
    return {"seconds": statistics.median(seconds), "all_seconds": seconds}
