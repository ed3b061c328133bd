"""What a table shows before it has a format: heads, blocks of rows, cells, remarks. A grid becomes a sheet of its own
(`each`), or grids that differ in their data set alone become one sheet with a block a data set, as papers print them
(`compact`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from craft.lab.results.grid import Grid, count_shots
from craft.lab.results.stats import ENOUGH, Difference

LEGEND = "mean ± sample standard deviation over n seeds"
PUBLISHED = " (published)"
AVERAGE = "average"


@dataclass(frozen=True)
class Cell:
    """main: ``97.00``; spread: ``± 1.00``, or the interval of a difference. best: of its column. note: how many seeds,
    where the title's number is not this cell's."""

    main: str
    spread: str = ""
    best: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        return " ".join(part for part in (self.main, self.spread, self.note) if part)


NONE = Cell("–")


@dataclass(frozen=True)
class Row:
    label: str
    cells: list[Cell]
    published: bool = False


@dataclass(frozen=True)
class Block:
    """Rows below one another; name: their data set, empty where the title says it."""

    name: str
    rows: list[Row]


@dataclass(frozen=True)
class Part:
    """Rows under one head. kind: ``results`` or ``differences``."""

    kind: str
    head: str
    columns: list[str]
    blocks: list[Block]

    @property
    def rows(self) -> list[Row]:
        return [row for block in self.blocks for row in block.rows]


@dataclass(frozen=True)
class Sheet:
    """parts: results, then differences where there are pairs. grids: what it was made of."""

    title: str
    parts: list[Part]
    remarks: list[str]
    missing: list[str]
    grids: list[Grid] = field(default_factory=list)

    @property
    def compact(self) -> bool:
        return any(block.name for part in self.parts for block in part.blocks)


Layout = Callable[[list[Grid]], list[Sheet]]


# -- a sheet a table --------------------------------------------------------------------------------------------------


def each(grids: list[Grid]) -> list[Sheet]:
    return [_single(grid) for grid in grids]


def _single(grid: Grid) -> Sheet:
    """Ours, n, and the published numbers in columns of their own."""
    known = [column for column in grid.columns if any((row, column) in grid.published for row in grid.rows)]
    rows = []
    for row in _rows(grid, grid.columns):
        n = Cell(_joined([len(grid.values.get((row.label, column), {})) for column in grid.columns]))
        theirs = [_published(grid, row.label, column) for column in known]
        rows.append(Row(row.label, [*row.cells, n, *theirs]))
    parts = [Part("results", "method", [*grid.columns, "n", *(c + PUBLISHED for c in known)], [Block("", rows)])]
    if pairs := _differences(grid, grid.columns):
        rows = [
            Row(label, [*map(interval, found), Cell(_joined([d.n if d else 0 for d in found]))])
            for label, found in pairs
        ]
        parts.append(Part("differences", "difference", [*grid.columns, "n"], [Block("", rows)]))
    facts = facts_of([grid])
    configs = [f"config {' / '.join(facts['configs'])}"] if facts["configs"] else []
    title = ", ".join([grid.title, *facts["backbones"], *configs])
    return Sheet(title, parts, remarks(grid), list(grid.missing), [grid])


def _rows(grid: Grid, columns: list[str], expected: int = 0) -> list[Row]:
    """expected: the number of seeds that the title speaks of; 0: it speaks of none."""
    best = {column: grid.best(column) for column in columns}
    return [Row(row, [_mean(grid, row, col, row in best[col], expected) for col in columns]) for row in grid.rows]


def _mean(grid: Grid, row: str, column: str, best: bool, expected: int) -> Cell:
    found = grid.summary(row, column)
    if found is None:
        return NONE
    spread = f"± {found.std:.2f}" if found.std is not None else ""
    return Cell(f"{found.mean:.2f}", spread, best, f"(n={found.n})" if expected not in (0, found.n) else "")


def _published(grid: Grid, row: str, column: str) -> Cell:
    value = grid.published.get((row, column))
    return Cell(f"{value.value:.2f}") if value else NONE


def _joined(counts: list[int]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else "/".join(map(str, counts))


def _differences(grid: Grid, columns: list[str]) -> list[tuple[str, list[Difference | None]]]:
    """(Craft − host, its differences) for every pair of rows that has any."""
    cells = {(row, other, column): found for row, other, column, found in grid.differences()}
    pairs = dict.fromkeys((row, other) for row, other, _ in cells)
    return [(f"{row} − {other}", [cells.get((row, other, column)) for column in columns]) for row, other in pairs]


def interval(found: Difference | None) -> Cell:
    """``+1.20 ± 0.40 [−0.10, +2.50]``: mean, deviation of the pairs' differences, 95 % interval."""
    if found is None:
        return NONE
    spread = f"± {found.std:.2f}" if found.std is not None else ""
    if found.low is not None:
        spread += f" [{signed(found.low)}, {signed(found.high)}]"
    return Cell(signed(found.mean), spread)


def signed(value: float | None) -> str:
    return f"{value or 0.0:+.2f}".replace("-", "−")


def remarks(grid: Grid, short: bool = False) -> list[str]:
    """Notes below a table: how it was computed, where the published numbers are from. short: of a compact sheet."""
    lines = list(dict.fromkeys(grid.notes))
    if len(grid.rows) > 1 and any(grid.values.values()) and not all(map(grid.best, _filled(grid))):
        lines.append(f"no mean is marked as the best that is of fewer than {ENOUGH} seeds")
    if any(grid.differences()):
        spread = "" if short else " ± deviation of the differences"
        lines.append(f"differences: paired by seed, mean{spread} [95 % interval, Student's t]")
    sources = dict.fromkeys(value.source for value in grid.published.values())
    return lines + [f"published: {source}" for source in sources]


def _filled(grid: Grid) -> list[str]:
    """Columns in which rows can be compared."""
    return [column for column in grid.columns if sum(bool(grid.values.get((row, column))) for row in grid.rows) > 1]


# -- one sheet for many data sets -------------------------------------------------------------------------------------


def compact(grids: list[Grid], average: str = "") -> list[Sheet]:
    """One sheet for all grids of a protocol that differ in the data set (and host) alone.

    Published numbers are rows below ours, and the title says how many seeds; a cell of another number says so itself.
    average: ``first`` or ``last``; empty: as papers have it, first among blocks, last among columns.
    """
    together: dict[tuple, list[Grid]] = {}
    for grid in grids:
        rest = [(kind, value) for kind, value in grid.of.items() if kind not in ("dataset", "host")]
        together.setdefault((grid.protocol, *rest), []).append(grid)
    return [_compact(members, average) for members in together.values()]


def automatic(grids: list[Grid], average: str = "") -> list[Sheet]:
    """`compact` for protocols with several data sets, `each` for the others."""
    several: dict[str, set[str]] = {}
    for grid in grids:
        of = {run.dataset for cell in grid.runs.values() for run in cell.values()}
        several[grid.protocol] = several.get(grid.protocol, set()) | of
    made = []
    for protocol, names in several.items():
        members = [grid for grid in grids if grid.protocol == protocol]
        made += compact(members, average) if len(names) > 1 else each(members)
    return made


def _compact(members: list[Grid], average: str) -> Sheet:
    columns = _columns(members, average)
    sets = [grid for grid in members if not _is_average(grid)]
    over = [grid for grid in members if _is_average(grid)]
    ordered = [*sets, *over] if average == "last" else [*over, *sets]
    several = len(ordered) > 1
    expected = max(facts_of(members)["seeds"], default=0)
    results, differences = [], []
    for grid in ordered:
        name = _block_name(grid) if several else ""
        rows = []
        for row in _rows(grid, columns, expected):
            rows.append(Row(row.label, [*row.cells, *([] if several else [_range(grid, row.label, columns)])]))
            theirs = [_published(grid, row.label, column) for column in columns]
            if any(cell is not NONE for cell in theirs):
                rows.append(Row(row.label + PUBLISHED, [*theirs, *([] if several else [NONE])], published=True))
        results.append(Block(name, rows))
        if pairs := _differences(grid, columns):
            rows = [Row(label, [_short(interval(found)) for found in cells]) for label, cells in pairs]
            differences.append(Block(name, rows))
    parts = [Part("results", "method", [*columns, *([] if several else ["n"])], results)]
    if differences:
        parts.append(Part("differences", "difference", columns, differences))
    notes = _notes(ordered)
    missing = [(f"{_block_name(grid)}: " if several else "") + line for grid in ordered for line in grid.missing]
    names = list(dict.fromkeys(grid.of["dataset"] for grid in sets if "dataset" in grid.of))
    what = f"{len(names)} data sets" if len(names) > 1 else "".join(names)
    if not several:
        what = members[0].title.partition(": ")[2].partition(",")[0]
    return Sheet(_title(members, what), parts, notes, missing, ordered)


def _notes(grids: list[Grid]) -> list[str]:
    """Remarks of all grids once; one that is of some data sets only names them."""
    found: dict[str, list[str]] = {}
    for grid in grids:
        for line in remarks(grid, short=True):
            found.setdefault(line, []).append("" if _is_average(grid) else _block_name(grid))
    every = {_block_name(grid) for grid in grids if not _is_average(grid)}
    said = []
    for line, names in found.items():
        whose = ", ".join(name for name in names if name)
        all_of_them = len(grids) == 1 or set(names) >= every or not whose
        said.append(line if all_of_them or line.startswith(f"{whose}: ") else f"{whose}: {line}")
    return said


def _columns(members: list[Grid], average: str) -> list[str]:
    """All columns of the grids; shots by number, and the average over data sets where it is wanted."""
    columns = list(dict.fromkeys(column for grid in members for column in grid.columns))
    if members[0].table.columns == "shots":
        columns.sort(key=lambda column: int(column.split()[0]))
    if members[0].table.columns == "datasets" and average:
        columns.sort(key=lambda column: (column == AVERAGE) == (average == "last"))
    return columns


def _range(grid: Grid, row: str, columns: list[str]) -> Cell:
    """The number of seeds of a row, from its fewest to its most."""
    counts = {len(grid.values.get((row, column), {})) for column in columns}
    return Cell("–".join(map(str, sorted({min(counts), max(counts)}))))


def _is_average(grid: Grid) -> bool:
    return "dataset" in grid.table.per and "dataset" not in grid.of


def _short(cell: Cell) -> Cell:
    """A difference with its interval alone."""
    return Cell(cell.main, cell.spread[cell.spread.index("[") :] if "[" in cell.spread else "")


def _block_name(grid: Grid) -> str:
    dataset = grid.of.get("dataset", AVERAGE)
    return f"{grid.of['host']} on {dataset}" if "host" in grid.of else dataset


def _title(grids: list[Grid], what: str) -> str:
    """``base2new: 11 data sets, 16 shots, ViT-B/16, config vit_b16_ctxv1, n = 3``."""
    facts = facts_of(grids)
    words = [what] if what else []
    if shots := grids[0].of.get("shots"):
        words.append(count_shots(shots))
    words += facts["backbones"]
    if facts["configs"]:
        words.append("config " + " / ".join(facts["configs"]))
    if facts["seeds"]:
        most = max(facts["seeds"])
        others = " where nothing else is said" if len(facts["seeds"]) > 1 else ""
        words.append(f"n = {most} seed{'s' if most > 1 else ''}{others}")
    return f"{grids[0].protocol}: " + ", ".join(words)


def facts_of(grids: list[Grid]) -> dict[str, Any]:
    """backbones, configs: names, sorted; seeds: how many the cells have, of all cells that are not derived."""
    runs = [run for grid in grids for cell in grid.runs.values() for run in cell.values()]
    return {
        "backbones": sorted({name for run in runs if (name := run.backbone)}),
        "configs": sorted({run.config for run in runs if run.config}),
        "seeds": sorted({len(cell) for grid in grids for cell in grid.runs.values() if cell}),
    }
