"""What came out, counted: of every part how often which outcome, and the first examples of wrong ones."""

from __future__ import annotations

import sys
import time
from collections import Counter

#: an outcome that may be -> what it means
FINE = {
    "same": "the same numbers, bit by bit",
    "refused": "one line that names the file or value, and an exit status",
    "read": "read without a complaint",
    "right": "one or the other, as was to be",
}
EXAMPLES = 12


class Tally:
    """Counts of one part. Every other outcome than those of `FINE` is a wrong one."""

    def __init__(self, part: str, planned: int):
        self.part, self.planned = part, planned
        self.counts: dict[str, Counter[str]] = {}
        self.examples: list[str] = []
        self.skipped = ""
        self.started = self.said = time.monotonic()

    def add(self, kind: str, outcome: str, example: str = "") -> None:
        """One trial of a kind (a trainer, a file, a reader). example: how to get it again, of a wrong outcome."""
        self.counts.setdefault(kind, Counter())[outcome] += 1
        if outcome not in FINE and sum(line.startswith(f"{kind}: ") for line in self.examples) < EXAMPLES:
            self.examples.append(f"{kind}: {outcome}: {example}")
        if time.monotonic() - self.said > 5:
            self.say()

    def say(self) -> None:
        """A line of progress on stderr."""
        self.said = time.monotonic()
        print(f"{self.part}: {self.trials} of {self.planned}, wrong {self.wrong}", file=sys.stderr, flush=True)

    @property
    def trials(self) -> int:
        return sum(counts.total() for counts in self.counts.values())

    @property
    def wrong(self) -> int:
        return sum(count for counts in self.counts.values() for name, count in counts.items() if name not in FINE)

    def as_json(self) -> dict:
        return {
            "trials": self.trials,
            "wrong": self.wrong,
            "seconds": round(time.monotonic() - self.started, 1),
            "skipped": self.skipped,
            "kinds": {kind: dict(sorted(counts.items())) for kind, counts in sorted(self.counts.items())},
            "examples": self.examples,
        }
