"""The published numbers, from ``paper_numbers.csv``: shown beside ours in columns of their own, never mixed in."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

PATH = Path(__file__).resolve().parent / "paper_numbers.csv"


@dataclass(frozen=True)
class Published:
    value: float
    source: str


@functools.cache
def numbers() -> dict[tuple[str, str, str, str], Published]:
    """Published values by (protocol, data set, method, metric), the first by the name that the file has for it;
    ``average`` is a data set of its own."""
    with open(PATH, newline="", encoding="utf-8") as stream:
        return {
            (row["protocol"], row["dataset"], row["method"], row["metric"]): Published(
                float(row["value"]), row["source"]
            )
            for row in csv.DictReader(stream)
        }


def published(protocol: str, dataset: str, method: str, metric: str) -> Published | None:
    return numbers().get((protocol, dataset, method, metric))


def claims(protocol: str) -> list[str]:
    """What was published of Craft itself without a table: its largest gains."""
    return [
        f"published of Craft ({found.source}): {dataset} {found.value:g} points"
        for (its, dataset, method, metric), found in numbers().items()
        if its == protocol and method == "Craft" and metric == "gain in points"
    ]
