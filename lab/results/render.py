"""Tables as plain text, Markdown, LaTeX, CSV and JSON. The first three are for reading, with the best mean in bold (in
plain text a star); CSV has one line a run's number, and JSON everything, seed by seed."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from tabulate import SEPARATING_LINE, DataRow, Line, TableFormat, tabulate

from craft.lab.results.grid import Grid
from craft.lab.results.latex import latex
from craft.lab.results.sheets import LEGEND, Layout, Part, each

RULE, CELLS = Line("", "-", "--", ""), DataRow("", "  ", "")
PLAIN = TableFormat(
    lineabove=None,
    linebelowheader=RULE,
    linebetweenrows=None,
    linebelow=None,
    headerrow=CELLS,
    datarow=CELLS,
    padding=0,
    with_header_hide=None,
)

# -- for reading ------------------------------------------------------------------------------------------------------


def text(grids: list[Grid], layout: Layout = each) -> str:
    blocks = []
    for sheet in layout(grids):
        tables = [_plain(part) for part in sheet.parts]
        lines = [f"{sheet.title}  ({LEGEND}; * best)", "\n\n".join(tables)]
        lines += [f"  {line}" for line in sheet.remarks]
        lines += [f"  missing: {line}" for line in sheet.missing]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _plain(part: Part) -> str:
    named = any(block.name for block in part.blocks)
    rows: list[Any] = []
    for block in part.blocks:
        if rows and len(part.rows) > len(part.blocks):
            rows.append(SEPARATING_LINE)
        for number, row in enumerate(block.rows):
            name = [block.name if number == 0 else ""] if named else []
            rows.append([*name, row.label, *(cell.text + "*" * cell.best for cell in row.cells)])
    head = [*(["data set"] if named else []), part.head, *part.columns]
    # The head is a row like others: as a head it would be padded.
    return tabulate([head, SEPARATING_LINE, *rows], tablefmt=PLAIN, disable_numparse=True)


def markdown(grids: list[Grid], layout: Layout = each) -> str:
    blocks = []
    for sheet in layout(grids):
        lines = [f"**{_md(sheet.title)}** ({LEGEND})"]
        lines += [_pipes(part) for part in sheet.parts]
        notes = [f"- {_md(line)}" for line in [*sheet.remarks, *(f"missing: {line}" for line in sheet.missing)]]
        blocks.append("\n\n".join([*lines, "\n".join(notes)]).rstrip())
    return "\n\n".join(blocks) + "\n"


def _pipes(part: Part) -> str:
    named = any(block.name for block in part.blocks)
    rows = [
        [*([block.name] if named else []), row.label, *(f"**{c.text}**" if c.best else c.text for c in row.cells)]
        for block in part.blocks
        for row in block.rows
    ]
    head = [*(["data set"] if named else []), part.head, *part.columns]
    alignment = ["left"] * (1 + named) + ["right"] * len(part.columns)
    cells = [[_md(cell, keep="*") for cell in row] for row in rows]
    return tabulate(cells, map(_md, head), tablefmt="pipe", disable_numparse=True, colalign=alignment)


def _md(text: str, keep: str = "") -> str:
    """Signs that mean something in Markdown or HTML, disarmed; line breaks as blanks."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    text = "".join(f"\\{sign}" if sign in "\\`*|" and sign not in keep else sign for sign in text)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\_", text)  # within a word it is itself


# -- for machines -----------------------------------------------------------------------------------------------------


def as_data(grids: list[Grid]) -> list[dict[str, Any]]:
    """Everything in the tables as JSON values: per-seed values, summaries, differences, published numbers, gaps."""
    out = []
    for grid in grids:
        cells = []
        for row in grid.rows:
            for column in grid.columns:
                found = grid.summary(row, column)
                if found is not None:
                    values = {str(seed): value for seed, value in sorted(grid.values[(row, column)].items())}
                    cell = {"method": row, "column": column, "mean": found.mean, "std": found.std, "n": found.n}
                    cells.append(cell | {"values": values})
        out.append(
            {
                "protocol": grid.protocol,
                "title": grid.title,
                "results": cells,
                "differences": [
                    {
                        "method": row,
                        "minus": other,
                        "column": column,
                        "mean": d.mean,
                        "std": d.std,
                        "low": d.low,
                        "high": d.high,
                        "n": d.n,
                    }
                    for row, other, column, d in grid.differences()
                ],
                "published": [
                    {"method": row, "column": column, "value": found.value, "source": found.source}
                    for (row, column), found in grid.published.items()
                ],
                "missing": grid.missing,
                "notes": grid.notes,
            }
        )
    return out


def as_json(grids: list[Grid]) -> str:
    return json.dumps(as_data(grids), indent=2, ensure_ascii=False) + "\n"


CSV_HEAD = (
    "protocol", "dataset", "method", "config", "backbone", "shots", "seed", "column", "value", "kind", "source",
)  # fmt: skip


def as_csv(grids: list[Grid]) -> str:
    """One line a number of one seed, in full precision. kind: ``run``, with its folder as source; ``derived`` from
    others of its seed (harmonic mean, average); ``published``, without seed, with its paper as source."""
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(CSV_HEAD)
    for grid in grids:
        for row in grid.rows:
            for column in grid.columns:
                for line in _lines(grid, row, column):
                    out.writerow(line)
    return stream.getvalue()


def _lines(grid: Grid, row: str, column: str) -> list[list[Any]]:
    runs = grid.runs.get((row, column), {})
    of_row = [run for (its, _), cell in grid.runs.items() if its == row for run in cell.values()]
    dataset = grid.of.get("dataset", column if column == "average" else "average")
    lines: list[list[Any]] = []
    for seed, value in sorted(grid.values.get((row, column), {}).items()):
        if run := runs.get(seed):
            known = [run.config, run.backbone, run.shots, seed, column, repr(value), "run", run.folder]
            lines.append([grid.protocol, run.dataset, row, *known])
        else:
            same = [run.config for run in of_row], [run.backbone for run in of_row]
            config, backbone = (" / ".join(sorted(set(names))) for names in same)
            known = [config, backbone, grid.of.get("shots", ""), seed, column, repr(value), "derived", ""]
            lines.append([grid.protocol, dataset, row, *known])
    if found := grid.published.get((row, column)):
        dataset = grid.of.get("dataset", column)
        known = ["", "", grid.of.get("shots", ""), "", column, repr(found.value), "published", found.source]
        lines.append([grid.protocol, dataset, row, *known])
    return lines


#: the formats for reading, which take a layout, and those for machines
READ = {"text": text, "md": markdown, "latex": latex}
FORMATS = {**READ, "csv": as_csv, "json": as_json}
