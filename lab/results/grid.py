"""One table: its values by method, column and seed. Nothing is rounded or averaged before it is shown, and what is
missing is named with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from craft.lab.results import stats
from craft.lab.results.collect import Result
from craft.lab.results.published import Published, published
from craft.lab.sweeps.protocol import Protocol, Table
from craft.trainers.structures import host_name


def count_shots(count: int) -> str:
    """``1 shot``, ``4 shots``."""
    return f"{count} shot" + ("s" if count > 1 else "")


@dataclass
class Grid:
    """A table. values: by row and column, seed -> per cent. published: in columns of their own. compare: pairs
    (row, row it is compared with, seed by seed). derived: columns computed from others, whose gaps need no naming.
    table: what the protocol declares of it. of: what of `Table.per` it is of; without the data set, an average over
    them. runs: the run behind each value."""

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

    def summary(self, row: str, column: str) -> stats.Summary | None:
        return stats.summary(self.values.get((row, column), {}))

    def differences(self) -> list[tuple[str, str, str, stats.Difference]]:
        """(row, compared with, column, difference) wherever a pair of seeds exists."""
        found = []
        for row, other in self.compare:
            for column in self.columns:
                pair = stats.paired(self.values.get((row, column), {}), self.values.get((other, column), {}))
                if pair is not None:
                    found.append((row, other, column, pair))
        return found

    def best(self, column: str) -> set[str]:
        """Rows with the best mean of a column, as printed; empty where there is nothing to compare."""
        means = {row: round(s.mean, 2) for row in self.rows if (s := self.summary(row, column)) is not None}
        if len(means) < 2:
            return set()
        less = any(metric.less for metric in self.table.metrics if metric.column == column)
        best = (min if less else max)(means.values())
        return {row for row, mean in means.items() if mean == best}


def order(trainer: str) -> tuple:
    """Sorts zero-shot first, then hosts by name, each followed by its Craft variants."""
    host = host_name(trainer)
    return (host != "ZeroshotCLIP", host, len(trainer))


class Filler:
    """Puts runs into a grid; a cell knows which runs it was waiting for, so that its gaps can be explained."""

    def __init__(self, protocol: Protocol, title: str, results: list[Result]):
        self.grid = Grid(protocol.name, title, protocol.table)
        self.several_configs = len({result.config for result in results}) > 1
        self.absent: dict[tuple[str, str, int], str] = {}
        self.trainers: dict[str, str] = {}

    def label(self, result: Result) -> str:
        row = f"{result.trainer} ({result.config})" if self.several_configs else result.trainer
        self.trainers[row] = result.trainer
        return row

    def add(self, result: Result, column: str, metric: str = "accuracy", row: str = "") -> None:
        row = row or self.label(result)
        grid = self.grid
        if row not in grid.rows:
            grid.rows.append(row)
        if column not in grid.columns:
            grid.columns.append(column)
        if metric in result.metrics:
            cell = grid.values.setdefault((row, column), {})
            if result.seed in cell:
                grid.notes.append(f"{row}, {column}, seed {result.seed}: two runs; {result.folder} is left out")
            else:
                cell[result.seed] = result.metrics[metric]
                grid.runs.setdefault((row, column), {})[result.seed] = result
        elif result.state != "done":
            why = f"{result.state}: {result.detail}" if result.detail else result.state
            self.absent[(row, column, result.seed)] = why
        else:
            self.absent[(row, column, result.seed)] = f"its run has no {metric}"

    def sort(self) -> None:
        self.grid.rows.sort(key=lambda row: (order(self.trainers.get(row, row)), row))

    def close(self, known: dict[str, tuple[str, str]]) -> Grid:
        """Name what is missing, pair Craft with its host, and look up the published numbers.

        known: column -> (data set, metric) in paper_numbers.csv, for tables that have published numbers.
        """
        grid = self.grid
        seeds = sorted({seed for cell in grid.values.values() for seed in cell} | {key[2] for key in self.absent})
        for row in grid.rows:
            for column in grid.columns:
                if column in grid.derived:
                    continue
                have = grid.values.get((row, column), {})
                grid.missing += [
                    f"{row}, {column}: seed {seed} ({self.absent.get((row, column, seed), 'no run')})"
                    for seed in seeds
                    if seed not in have
                ]
        grid.compare = grid.compare or [
            (row, other)
            for row in grid.rows
            for other in grid.rows
            if self.trainers.get(row, row) != self.trainers.get(other, other) == host_name(self.trainers.get(row, row))
            and row.partition(" (")[2] == other.partition(" (")[2]
        ]
        for column, (name, metric) in known.items() if grid.table.published else ():
            for row in grid.rows:
                found = published(grid.table.published, name, self.trainers.get(row, row), metric)
                if found:
                    grid.published[(row, column)] = found
        return grid
