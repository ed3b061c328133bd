"""From runs to a table: which of them stand in one row, what is left out and why, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from craft.lab.results import foot, rows
from craft.lab.results.collect import Result
from craft.lab.results.grid import Grid, order
from craft.lab.results.published import published, why_not
from craft.lab.sweeps.protocol import Protocol
from craft.trainers.structures import host_name


@dataclass
class _Entry:
    result: Result
    column: str
    metric: str
    base: str  # the row it belongs to, as long as all its runs have one setting


class Filler:
    """Puts runs into a grid. `add` takes them, `fill` decides which stand in one row and what is left out; a cell knows
    the runs that it is made of, and those that it was waiting for."""

    def __init__(self, protocol: Protocol, title: str, several_configs: bool = False):
        self.grid = Grid(protocol.name, title, protocol.table)
        self.protocol = protocol
        self.several_configs = several_configs
        self.entries: list[_Entry] = []
        self.cells = self.grid.runs
        self.absent: dict[tuple[str, str, int], str] = {}
        self.trainers: dict[str, str] = {}
        self.bases: dict[str, str] = {}  # row -> the row it would be, were all its runs of one setting
        self.suffixes: dict[str, str] = {}  # row -> what was added to that
        self.asked: dict[str, str] = {}  # column -> the metric under which papers have it

    def add(self, result: Result, column: str, metric: str = "accuracy", row: str = "", asked: str = "") -> None:
        base = row or result.trainer
        if column not in self.grid.columns:
            self.grid.columns.append(column)
        self.asked[column] = asked or metric
        self.entries.append(_Entry(result, column, metric, base))

    # -- rows ---------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Make the cells of what was added."""
        odd: dict[int, str] = {}
        for column in self.grid.columns:
            there = {
                id(e.result): e.result for e in self.entries if e.column == column and e.metric in e.result.metrics
            }
            odd |= rows.odd_ones(list(there.values()))
        keys, labels = self._variants(odd)
        for entry in self.entries:
            family = self._family(entry)
            mine = rows.variant(entry.result, keys[family])
            if mine not in labels[family]:  # it has no result: it waits in the first row of its kind
                mine = next(iter(labels[family]), mine)
            self._put(entry, labels[family].get(mine, ""), odd.get(id(entry.result), ""))
        if self.protocol.table.rows != "phases":
            self.grid.rows.sort(key=lambda row: (order(self.trainers[row]), row))
        self._say_what_differs(keys)

    def _family(self, entry: _Entry) -> tuple[str, str]:
        """Rows that are told apart by the same settings: a host and its variants, or all of an ablation."""
        if self.protocol.table.rows == "phases":
            return "", entry.result.config
        return host_name(entry.result.trainer), entry.result.config

    def _variants(self, odd: dict[int, str]) -> tuple[dict, dict]:
        """By family: the settings in which runs differ that a row would average, and the label of each variant."""
        families: dict[tuple[str, str], dict[tuple, list[Result]]] = {}
        for entry in self.entries:
            groups = families.setdefault(self._family(entry), {})
            if entry.metric in entry.result.metrics and id(entry.result) not in odd:
                groups.setdefault((entry.base, entry.column), []).append(entry.result)
                # What is trained in one column and tested in another is one row: its settings must agree across them.
                if self.protocol.table.columns == "phases" and entry.result.record:
                    groups.setdefault((entry.base, None), []).append(entry.result)
        keys, labels = {}, {}
        for family, groups in families.items():
            found = rows.differing(groups.values())
            if self.protocol.table.columns == "phases":
                found = [key for key in found if key not in self._of_phases()]
            every = [result for group in groups.values() for result in group]
            found = rows.fewest(found, {rows.variant(result, found) for result in every})
            keys[family] = found
            labels[family] = {
                rows.variant(result, found): ", ".join(f"{k} {v}" for k, v in zip(found, rows.variant(result, found)))
                for result in every
            }
        return keys, labels

    def _of_phases(self) -> set[str]:
        return {key for phase in self.protocol.phases for key, _ in phase.options}

    def _put(self, entry: _Entry, label: str, odd: str) -> None:
        result, grid = entry.result, self.grid
        config = result.config if self.several_configs and self.protocol.table.rows != "phases" else ""
        inside = ", ".join(filter(None, (config, label)))
        row = f"{entry.base} ({inside})" if inside else entry.base
        if row not in grid.rows:
            grid.rows.append(row)
        self.trainers[row], self.bases[row], self.suffixes[row] = result.trainer, entry.base, inside
        place = (row, entry.column, result.seed)
        if odd:
            self.absent[place] = odd
        elif entry.metric in result.metrics:
            self._fill_cell(row, entry, place)
        elif result.state != "done":
            why = f"{result.state}: {result.detail}" if result.detail else result.state
            self.absent.setdefault(place, why)
        else:
            self.absent.setdefault(place, f"its run has no {entry.metric}")

    def _fill_cell(self, row: str, entry: _Entry, place: tuple[str, str, int]) -> None:
        result, grid = entry.result, self.grid
        values = grid.values.setdefault((row, entry.column), {})
        cell = self.cells.setdefault((row, entry.column), {})
        name = f"{row}, {entry.column}, seed {result.seed}"
        if "other shots" in self.absent.get(place, ""):
            return
        if result.seed not in values:
            values[result.seed], cell[result.seed] = result.metrics[entry.metric], result
        elif rows.other_shots(result, cell[result.seed]):
            self.absent[place] = (
                f"two runs drew other shots under this seed: {cell[result.seed].folder}, {result.folder}"
            )
            del values[result.seed], cell[result.seed]
        else:
            grid.notes.append(f"{name}: two runs; {result.folder} is left out")

    def _say_what_differs(self, keys: dict[tuple[str, str], list[str]]) -> None:
        for (host, _), found in keys.items():
            if found:
                whose = f"runs of {host}" if host else "runs"
                self.grid.notes.append(f"{whose} differ in {', '.join(found)}: a row for each, never averaged")

    # -- what stands below and beside ---------------------------------------------------------------------------------

    def close(self, average_of: dict[str, list[list[Result]]] | None = None) -> Grid:
        """Name what is missing, pair Craft with its host, look up the published numbers, and say what was tested.

        average_of: row -> the runs by data set, for a table that is an average over data sets.
        """
        grid = self.grid
        self._name_missing()
        grid.compare = grid.compare or [
            (row, other)
            for row in grid.rows
            for other in grid.rows
            if self.trainers.get(row, row) != self.trainers.get(other, other) == host_name(self.trainers.get(row, row))
            and self.suffixes.get(row, "") == self.suffixes.get(other, "")
        ]
        if average_of is None:
            self._check_pairs()
            grid.notes += foot.of(grid, self.cells)
            every = [entry.result for entry in self.entries]
        else:
            every = [result for parts in average_of.values() for part in parts for result in part]
        grid.setting = foot.setting(every, [seed for cell in grid.values.values() for seed in cell])
        if grid.table.published:
            self._publish(average_of or {})
        return grid

    def _name_missing(self) -> None:
        grid = self.grid
        seeds = sorted({seed for cell in grid.values.values() for seed in cell} | {key[2] for key in self.absent})
        for row in grid.rows:
            kin = [other for other in grid.rows if other != row and self.bases.get(other) == self.bases.get(row, "")]
            for column in grid.columns:
                if column in grid.derived:
                    continue
                have = grid.values.get((row, column), {})
                for seed in seeds:
                    if seed in have:
                        if why := self.absent.get((row, column, seed)):
                            grid.notes.append(
                                f"{row}, {column}: seed {seed} has another run, which counts for nothing ({why})"
                            )
                        continue
                    other = next((other for other in kin if seed in grid.values.get((other, column), {})), "")
                    why = self.absent.get((row, column, seed)) or (f"it is in the row {other}" if other else "no run")
                    grid.missing.append(f"{row}, {column}: seed {seed} ({why})")

    def _check_pairs(self) -> None:
        """Runs of one seed that drew other shots are no pair; settings in which a pair differs are named."""
        for row, other in self.grid.compare:
            different: dict[str, str] = {}
            for column in self.grid.columns:
                ours, host = self.cells.get((row, column), {}), self.cells.get((other, column), {})
                for seed in ours.keys() & host.keys():
                    if rows.other_shots(ours[seed], host[seed]):
                        self.grid.unpaired.add((row, other, column, seed))
                        self.grid.notes.append(f"{row} − {other}: seed {seed} drew other shots there, and is no pair")
                    for key in rows.differing([[ours[seed], host[seed]]]):
                        if ".CRAFT." not in key and key not in self._of_phases():
                            pair = ours[seed].settings[key], host[seed].settings[key]
                            different[key] = f"{key} ({pair[0]}, {pair[1]})"
            if different:
                self.grid.notes.append(f"{row} − {other}: the two also differ in {', '.join(different.values())}")

    def _publish(self, average_of: dict[str, list[list[Result]]]) -> None:
        grid = self.grid
        reasons: dict[str, list[str]] = {}
        for row in grid.rows:
            method = self.trainers.get(row, row)
            for column in grid.columns:
                if column not in self.asked:
                    continue
                runs = average_of.get(row) or self._runs_of(row, column)
                if not runs or not all(runs) or not grid.values.get((row, column)):
                    continue
                averaged = bool(average_of) or column == "average"
                found = published(self.protocol, method, self.asked[column], runs, averaged)
                if found:
                    grid.published[(row, column)] = found
                elif why := why_not(self.protocol, method, self.asked[column], runs, averaged):
                    reasons.setdefault(f"no published numbers beside {method}: {why}", []).append(column)
        for why, columns in reasons.items():
            of = f" ({', '.join(columns)})" if grid.table.columns == "datasets" else ""
            grid.notes.append(why + of)

    def _runs_of(self, row: str, column: str) -> list[list[Result]]:
        """The runs behind a number, by data set."""
        grid = self.grid
        if column == "average":
            columns = [one for one in grid.columns if one not in grid.derived and not one.endswith(" (source)")]
            return [list(self.cells.get((row, one), {}).values()) for one in columns]
        parts = grid.table.harmonic[1:] if grid.table.harmonic and column == grid.table.harmonic[0] else (column,)
        return [_joined(self.cells.get((row, one), {}).values() for one in parts)]


def _joined(parts: Iterable[Iterable[Result]]) -> list[Result]:
    """All of them, or none where one part has none: no number stands on half of its runs."""
    lists = [list(part) for part in parts]
    return [result for part in lists for result in part] if all(lists) else []
