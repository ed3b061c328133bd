"""Ten processes at once: on cold caches with an output folder each, and all on one output folder."""

from __future__ import annotations

import shutil

from tests.soak import runs
from tests.soak.children import Child, scratch
from tests.soak.tally import Tally


def run(processes: int, names: list[str]) -> Tally:
    """Each of the trainers ``names`` so many times at once, twice over."""
    tally = Tally("together", 2 * processes * len(names))
    with scratch() as folder:
        for name in names:
            runs.train(folder / "alone" / name, name)
            expected = runs.numbers(folder / "alone" / name)
            for what in ("own folders", "one folder"):
                shutil.rmtree(folder / "cache")
                shutil.rmtree(folder / "many", ignore_errors=True)
                one = what == "one folder"
                places = [folder / "many" / ("run" if one else f"run{number}") for number in range(processes)]
                children = [Child(runs.arguments(place, name)) for place in places]
                for place, child in zip(places, children):
                    ended = child.wait()
                    outcome = ended.outcome(lambda place=place, expected=expected: runs.same(place, expected))
                    tally.add(f"{name}, {what}", outcome, ended.last())
                if not runs.same(places[0], expected):
                    tally.add(f"{name}, {what}", "other numbers", "when all had ended")
    return tally
