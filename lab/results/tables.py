"""The tables of protocols, built from what each declares of its table (`craft.lab.sweeps.protocol.Table`).

No protocol has code of its own here: one that is declared elsewhere gets its table like the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from craft.common.errors import UserError, unknown
from craft.lab.results import rows, sets, stats
from craft.lab.results.collect import Result
from craft.lab.results.filler import Filler
from craft.lab.results.grid import Grid, count_shots, order
from craft.lab.results.published import claims
from craft.lab.sweeps.catalogue import PROTOCOLS, SINGLE_RUNS
from craft.lab.sweeps.protocol import Protocol, Table
from craft.trainers.structures import host_name

Key = dict[str, Any]  # what one table is of: dataset, shots, host
#: settings whose differences between data sets a reader of an average must know
COMPARED = ("OPTIM.MAX_EPOCH", "OPTIM.LR", "TEST.FINAL_MODEL")


def with_tables() -> dict[str, Protocol]:
    """Everything that has a table, in their order: the protocols, and single runs."""
    return {**PROTOCOLS, SINGLE_RUNS.name: SINGLE_RUNS}


def build(results: list[Result], only: str = "") -> list[Grid]:
    """The tables of all protocols found among ``results``, or of one. UserError where that one has no run."""
    known = with_tables()
    if only and only not in known:
        raise unknown("protocol", only, known)
    grids: list[Grid] = []
    for name, protocol in known.items():
        if not only or name == only:
            grids += tables_of(protocol, results)
    if not grids:
        phases = ", ".join(sorted({result.phase for result in results}))
        raise UserError(f"no run of {only or 'any protocol'} was found; there are runs of {phases}")
    return grids


def of_protocol(results: list[Result], name: str) -> list[Result]:
    """The runs that belong to the protocol called ``name``, its source's included; all of them for an empty name.

    UserError for a name that has no table.
    """
    if not name:
        return results
    known = with_tables()
    if name not in known:
        raise unknown("protocol", name, known)
    folders = {phase.folder for phase in known[name].phases}
    return [result for result in results if result.phase in folders]


def tables_of(protocol: Protocol, results: list[Result]) -> list[Grid]:
    """The tables of one protocol, data sets in the papers' order; none where it has no run."""
    table = protocol.table
    phases = {phase.folder: number for number, phase in enumerate(protocol.phases)}
    members = [result for result in results if result.phase in phases]
    members.sort(key=lambda result: phases[result.phase])
    source = {phase.folder for phase in protocol.phases if phase.source}
    trained = [result for result in members if result.phase in source]
    grouped: dict[tuple, list[Result]] = {}
    for result in members:
        if result.phase not in source:
            grouped.setdefault(tuple(_of(result, kind) for kind in table.per), []).append(result)
    several = len({result.config for result in members}) > 1
    fillers = [
        (dict(zip(table.per, key)), _one(protocol, table.per, key, grouped[key], trained, several))
        for key in _in_order(table.per, list(grouped), members)
    ]
    grids = [filler.grid for _, filler in fillers]
    if table.average and table.columns != "datasets":
        grids += _averages(protocol, fillers)
    if grids and table.claims == "beside" and any(grid.published for grid in grids):
        grids[-1].notes += claims(protocol, members)
    return grids


def _in_order(per: tuple[str, ...], keys: list[tuple], members: list[Result]) -> list[tuple]:
    """Keys of tables: data sets and methods as papers have them, shots by number."""
    names = sets.in_order((result.dataset, result.data) for result in members)
    families = sets.families_in_order(result.data for result in members)

    def rank(key: tuple) -> tuple:
        places: dict[str, Callable[[Any], Any]] = {
            "dataset": names.index,
            "family": families.index,
            "host": order,
            "shots": int,
        }
        return tuple(places[kind](value) for kind, value in zip(per, key))

    return sorted(keys, key=rank)


def _of(result: Result, kind: str) -> Any:
    if kind == "family":
        return sets.family(result.data)
    return host_name(result.trainer) if kind == "host" else getattr(result, kind)


def _title(protocol: Protocol, key: Key, what: str = "") -> str:
    if not what:
        over = "source and targets" if any(phase.source for phase in protocol.phases) else "targets"
        what = key.get("dataset") or key.get("family") or over
        what = f"{key['host']} on {what}" if "host" in key else what
    shots = key.get("shots", 0)
    return f"{protocol.name}: {what}" + (f", {count_shots(shots)}" if shots else "")


# -- one table --------------------------------------------------------------------------------------------------------


def _one(
    protocol: Protocol, per: tuple[str, ...], key: tuple, group: list[Result], trained: list[Result], several: bool
) -> Filler:
    table, of = protocol.table, dict(zip(per, key))
    # Runs on the source belong to every table of the same shots (and host), where what was tested was learned there.
    learned = {result.source for result in group} - {""}
    shared = [
        r
        for r in trained
        if all(_of(r, kind) == value for kind, value in of.items() if kind != "dataset")
        and (not learned or not r.data.stem or _label(r) in learned)
    ]
    filler = Filler(protocol, _title(protocol, of), several)
    grid = filler.grid
    grid.of = of
    grid.columns = _columns_known_ahead(protocol, group)
    labels = {phase.folder: phase.label for phase in protocol.phases}
    for result, column, metric, asked in _cells(table, labels, group, shared):
        filler.add(result, column, metric, labels[result.phase] if table.rows == "phases" else "", asked)
    filler.fill()
    _derive(table, filler)
    names = sets.in_order((result.dataset, result.data) for result in group)
    if table.columns == "datasets" and table.average and len(names) > 1:
        _average_column(filler, names)
    if table.rows == "phases":
        _compare_with_first(protocol, filler, of)
    filler.close()
    grid.notes += table.notes
    if table.claims == "each":
        grid.notes += claims(protocol, group)
    return filler


def _label(result: Result) -> str:
    """The data set's label in folders."""
    return result.data.stem + (f"-{result.data.target}" if result.data.target else "")


def _average_column(filler: Filler, names: list[str]) -> None:
    """Seed by seed the mean over the targets; none for a row whose targets were tested on several backbones."""
    grid = filler.grid
    grid.columns.append("average")
    grid.derived.add("average")
    filler.asked["average"] = grid.table.main
    for row in grid.rows:
        mixed = _backbones(result for name in names for result in filler.cells.get((row, name), {}).values())
        if len(mixed) > 1:
            grid.notes.append(f"{row}: not averaged, its runs are of several backbones ({', '.join(mixed)})")
            continue
        grid.values[(row, "average")] = stats.across([grid.values.get((row, name), {}) for name in names])
    grid.notes.append(f"average: over the {len(names)} targets, seed by seed")


def _backbones(results: Iterable[Result]) -> list[str]:
    return sorted({result.backbone for result in results if result.backbone})


def _compare_with_first(protocol: Protocol, filler: Filler, of: Key) -> None:
    """Every phase with the first, of the same settings."""
    grid = filler.grid
    first = next(phase.label for phase in protocol.phases if not phase.source)
    same = {filler.suffixes[row]: row for row in grid.rows if filler.bases[row] == first}
    grid.compare = [
        (row, same[filler.suffixes[row]])
        for row in grid.rows
        if filler.bases[row] != first and filler.suffixes[row] in same
    ]
    whose = f"{first}: {of['host']}; " if "host" in of else ""
    grid.notes.append(f"{whose}every row is compared with {'it' if whose else first} seed by seed")


def _columns_known_ahead(protocol: Protocol, group: list[Result]) -> list[str]:
    """Columns that a table has whether or not a run fills them, or whose order is not that of the runs."""
    if protocol.table.columns == "phases":
        return [phase.label for phase in protocol.phases if not phase.source]
    if protocol.table.columns == "shots":
        return [count_shots(shots) for shots in sorted({result.shots for result in group})]
    return []


def _cells(
    table: Table, labels: dict[str, str], group: list[Result], trained: list[Result]
) -> Iterator[tuple[Result, str, str, str]]:
    """(run, column, its metric, the published metric of that column)."""
    if table.columns == "datasets":
        for result in trained:
            yield result, f"{result.dataset} (source)", table.main, table.main
        names = sets.in_order((result.dataset, result.data) for result in group)
        group = sorted(group, key=lambda result: names.index(result.dataset))
    if table.columns == "metrics":
        there = [metric for metric in table.metrics if any(metric.name in result.metrics for result in group)]
        for metric in there or [metric for metric in table.metrics if metric.name == table.main]:
            for result in group:
                yield result, metric.column, metric.name, metric.published
        return
    for result in group:
        if table.columns == "phases":
            yield result, labels[result.phase], table.main, labels[result.phase]
        elif table.columns == "shots":
            yield result, count_shots(result.shots), table.main, f"{result.shots} shots"
        else:
            yield result, result.dataset, table.main, table.main


def _derive(table: Table, filler: Filler, note: str = "") -> None:
    """Add the harmonic mean of two columns, where the table has one."""
    if not table.harmonic:
        return
    head, one, other = table.harmonic
    grid = filler.grid
    grid.columns.append(head)
    grid.derived.add(head)
    filler.asked[head] = head
    for row in grid.rows:
        grid.values[(row, head)] = stats.harmonic(grid.values.get((row, one), {}), grid.values.get((row, other), {}))
    said = f"{head} is the harmonic mean of {one} and {other}, computed seed by seed and then averaged"
    grid.notes.append(said + note)


# -- over data sets ---------------------------------------------------------------------------------------------------


def _averages(protocol: Protocol, fillers: list[tuple[Key, Filler]]) -> list[Grid]:
    """For tables that differ in the data set only: seed by seed the mean of their cells."""
    alike: dict[tuple, list[tuple[str, Filler]]] = {}
    for key, filler in fillers:
        rest = {kind: value for kind, value in key.items() if kind != "dataset"}
        alike.setdefault(tuple(rest.items()), []).append((key["dataset"], filler))
    grids = []
    for shared, members in alike.items():
        if len(members) < 2:
            continue
        average = _average(protocol, members, _title(protocol, dict(shared), f"average over {len(members)} data sets"))
        average.grid.of = dict(shared)
        _derive(protocol.table, average, "; here of the averages over data sets")
        behind = {
            row: [[r for place, cell in f.cells.items() if place[0] == row for r in cell.values()] for _, f in members]
            for row in average.grid.rows
        }
        grids.append(average.close(behind))
    return grids


def _average(protocol: Protocol, members: list[tuple[str, Filler]], title: str) -> Filler:
    """Only rows and seeds that all data sets have count; what is missing is named with the data set.

    A row whose runs are of several backbones has no average; settings that differ from set to set are named.
    """
    out = Filler(protocol, title)
    grid = out.grid
    found = [column for _, filler in members for column in filler.grid.columns if column not in filler.grid.derived]
    grid.columns = list(dict.fromkeys(found))
    if protocol.table.columns == "shots":
        grid.columns.sort(key=lambda column: int(column.split()[0]))
    for _, filler in members:
        for row in filler.grid.rows:
            out.trainers[row] = filler.trainers[row]
            out.bases[row], out.suffixes[row] = filler.bases[row], filler.suffixes[row]
            out.asked |= filler.asked
    for row in sorted(out.trainers, key=lambda row: (order(out.trainers[row]), row)):
        cells = [cell for _, f in members for place, cell in f.cells.items() if place[0] == row]
        mixed = _backbones(result for cell in cells for result in cell.values())
        if len(mixed) > 1:
            grid.notes.append(f"{row}: not averaged, its runs are of several backbones ({', '.join(mixed)})")
            continue
        grid.rows.append(row)
        for column in grid.columns:
            _average_cell(out, row, column, members)
    grid.notes.append("data sets: " + ", ".join(name for name, _ in members))
    return out


def _average_cell(out: Filler, row: str, column: str, members: list[tuple[str, Filler]]) -> None:
    parts = [filler.grid.values.get((row, column), {}) for _, filler in members]
    out.grid.values[(row, column)] = stats.across(parts)
    for (name, _), part in zip(members, parts):
        for seed in {seed for other in parts for seed in other} - set(part):
            out.absent.setdefault((row, column, seed), f"it has no result on {name}")
    first = [next(iter(filler.cells.get((row, column), {}).values()), None) for _, filler in members]
    runs = [result for result in first if result is not None]
    for key in rows.differing([runs]):
        if key in COMPARED:
            values = ", ".join(f"{r.dataset} {r.settings[key]}" for r in runs if key in r.settings)
            out.grid.notes.append(f"{row}, {column}: {key} differs from set to set: {values}")
