"""One table: its values by method, column and seed. Nothing is rounded or averaged before it is shown, and what is
missing is named with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from craft.lab.results import stats
from craft.lab.results.collect import Result
from craft.lab.results.published import Published
from craft.lab.sweeps.protocol import Table
from craft.trainers.structures import STRUCTURES, host_name


def count_shots(count: int) -> str:
    """``1 shot``, ``4 shots``."""
    return f"{count} shot" + ("s" if count > 1 else "")


@dataclass
class Grid:
    """A table. values: by row and column, seed -> per cent. published: in columns of their own. compare: pairs
    (row, row it is compared with, seed by seed). derived: columns computed from others, whose gaps need no naming.
    table: what the protocol declares of it. of: what of `Table.per` it is of; without the data set, an average over
    them. runs: the run behind each value, where it is one. setting: what all its runs have in common, for its title:
    ``backbone``, ``config``, ``shots``, ``source``, ``seeds``, each where it is known and one. unpaired: (row, other,
    column, seed) that must not be subtracted: the two runs drew other shots."""

    protocol: str
    title: str
    table: Table = field(default_factory=Table)
    rows: list[str] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    values: dict[tuple[str, str], dict[int, float]] = field(default_factory=dict)
    published: dict[tuple[str, str], Published] = field(default_factory=dict)
    compare: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    derived: set[str] = field(default_factory=set)
    of: dict[str, Any] = field(default_factory=dict)
    runs: dict[tuple[str, str], dict[int, Result]] = field(default_factory=dict)
    setting: dict[str, str] = field(default_factory=dict)
    unpaired: set[tuple[str, str, str, int]] = field(default_factory=set)

    def summary(self, row: str, column: str) -> stats.Summary | None:
        return stats.summary(self.values.get((row, column), {}))

    def differences(self) -> list[tuple[str, str, str, stats.Difference]]:
        """(row, compared with, column, difference) wherever a pair of seeds exists."""
        found = []
        for row, other in self.compare:
            for column in self.columns:
                ours = {
                    seed: value
                    for seed, value in self.values.get((row, column), {}).items()
                    if (row, other, column, seed) not in self.unpaired
                }
                pair = stats.paired(ours, self.values.get((other, column), {}))
                if pair is not None:
                    found.append((row, other, column, pair))
        return found

    def best(self, column: str) -> set[str]:
        """Rows with the best mean of a column, as printed; empty where there is nothing to compare, and where that mean
        is of fewer seeds than `stats.ENOUGH`: it may be chance."""
        found = {row: s for row in self.rows if (s := self.summary(row, column)) is not None}
        means = {row: round(s.mean, 2) for row, s in found.items()}
        if len(means) < 2:
            return set()
        less = any(metric.less for metric in self.table.metrics if metric.column == column)
        best = (min if less else max)(means.values())
        return {row for row, mean in means.items() if mean == best and found[row].n >= stats.ENOUGH}


def order(trainer: str) -> tuple:
    """Sorts prompt structures as papers do (`craft.trainers.structures`), each followed by its Craft variants; what is
    not known comes behind."""
    host = host_name(trainer)
    known = list(STRUCTURES)
    return (known.index(host) if host in known else len(known), host, len(trainer))
