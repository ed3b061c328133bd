"""Tables as plain text, Markdown, LaTeX, CSV and JSON. The first three are for reading, with the best mean in bold (in
plain text a star); CSV has one line a number, and JSON everything, seed by seed."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from craft.lab.results.grid import Grid
from craft.lab.results.stats import Difference

LEGEND = "mean ± sample standard deviation over n seeds"
NONE = "–"


def rows_of(grid: Grid, bold=lambda text: text + "*") -> tuple[list[str], list[list[str]]]:
    """Header and rows of strings: ours, n, and the published numbers in columns of their own."""
    known = [column for column in grid.columns if any((row, column) in grid.published for row in grid.rows)]
    header = ["method", *grid.columns, "n", *(f"{column} (published)" for column in known)]
    best = {column: grid.best(column) for column in grid.columns}
    rows = []
    for row in grid.rows:
        cells, counts = [row], []
        for column in grid.columns:
            found = grid.summary(row, column)
            counts.append(found.n if found else 0)
            if found is None:
                cells.append(NONE)
                continue
            text = f"{found.mean:.2f}" + (f" ± {found.std:.2f}" if found.std is not None else "")
            cells.append(bold(text) if row in best[column] else text)
        cells.append(str(counts[0]) if len(set(counts)) == 1 else "/".join(map(str, counts)))
        for column in known:
            value = grid.published.get((row, column))
            cells.append(f"{value.value:.2f}" if value else NONE)
        rows.append(cells)
    return header, rows


def interval(found: Difference) -> str:
    """``+1.20 ± 0.40 [−0.10, +2.50]``: mean, deviation of the pairs' differences, 95 % interval."""
    text = _signed(found.mean)
    if found.std is not None:
        text += f" ± {found.std:.2f}"
    if found.low is not None:
        text += f" [{_signed(found.low)}, {_signed(found.high)}]"
    return text


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def difference_rows(grid: Grid) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the differences Craft − host, or variant − host; no rows where there is no pair."""
    found = grid.differences()
    pairs = dict.fromkeys((row, other) for row, other, _, _ in found)
    cells = {(row, other, column): difference for row, other, column, difference in found}
    rows = []
    for row, other in pairs:
        values = [cells.get((row, other, column)) for column in grid.columns]
        counts = [value.n if value else 0 for value in values]
        n = str(counts[0]) if len(set(counts)) == 1 else "/".join(map(str, counts))
        rows.append([f"{row} − {other}", *(interval(v) if v else NONE for v in values), n])
    return ["difference", *grid.columns, "n"], rows


def remarks(grid: Grid) -> list[str]:
    """Notes below a table: what is missing, how it was computed, where the published numbers are from."""
    lines = list(dict.fromkeys(grid.notes))
    if any(grid.differences()):
        lines.append("differences: paired by seed, mean ± deviation of the differences [95 % interval, Student's t]")
    sources = dict.fromkeys(value.source for value in grid.published.values())
    if sources:
        lines += [f"published: {source}" for source in sources]
    return lines + [f"missing: {line}" for line in grid.missing]


# -- for reading ------------------------------------------------------------------------------------------------------


def text(grids: list[Grid]) -> str:
    blocks = []
    for grid in grids:
        lines = [f"{grid.title}  ({LEGEND}; * best)"]
        lines += _aligned(*rows_of(grid))
        header, rows = difference_rows(grid)
        if rows:
            lines += ["", *_aligned(header, rows)]
        blocks.append("\n".join([*lines, *("  " + line for line in remarks(grid))]))
    return "\n\n".join(blocks) + "\n"


def _aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [header, *rows]]
    return [lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]]


def markdown(grids: list[Grid]) -> str:
    blocks = []
    for grid in grids:
        lines = [f"**{grid.title}** ({LEGEND})", ""]
        lines += _pipes(*rows_of(grid, bold=lambda cell: f"**{cell}**"))
        header, rows = difference_rows(grid)
        if rows:
            lines += ["", *_pipes(header, rows)]
        lines += ["", *(f"- {line}" for line in remarks(grid))]
        blocks.append("\n".join(lines).rstrip())
    return "\n\n".join(blocks) + "\n"


def _pipes(header: list[str], rows: list[list[str]]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [line(header), "|---" + "|---:" * (len(header) - 1) + "|", *map(line, rows)]


def latex(grids: list[Grid]) -> str:
    """booktabs tables, each complete with caption."""
    blocks = []
    for grid in grids:
        header, rows = rows_of(grid, bold=lambda cell: f"\\textbf{{{cell}}}")
        body = [header, *rows]
        more_header, more = difference_rows(grid)
        lines = [
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{_tex(grid.title)} ({LEGEND}).}}",
            f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}",
            "\\toprule",
            " & ".join(map(_tex, body[0])) + " \\\\",
            "\\midrule",
            *(" & ".join(map(_tex, row)) + " \\\\" for row in body[1:]),
        ]
        if more:
            padding = [""] * (len(header) - len(more_header))
            lines += ["\\midrule", *(" & ".join(map(_tex, row + padding)) + " \\\\" for row in more)]
        lines += ["\\bottomrule", "\\end{tabular}", "\\end{table}"]
        lines += [f"% {line}" for line in remarks(grid)]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _tex(cell: str) -> str:
    for plain, escaped in (("_", "\\_"), ("%", "\\%"), ("&", "\\&"), ("±", "$\\pm$"), ("−", "$-$"), ("–", "--")):
        cell = cell.replace(plain, escaped)
    return cell


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


def as_csv(grids: list[Grid]) -> str:
    """One line a number. kind: ours, difference or published; values: ``seed=value`` separated by blanks."""
    stream = io.StringIO()
    out = csv.writer(stream, lineterminator="\n")
    out.writerow(["protocol", "table", "method", "column", "kind", "mean", "std", "n", "low", "high", "values"])
    for table in as_data(grids):
        start = [table["protocol"], table["title"]]
        for cell in table["results"]:
            values = " ".join(f"{seed}={value!r}" for seed, value in cell["values"].items())
            numbers = [cell["mean"], cell["std"], cell["n"], None, None, values]
            out.writerow([*start, cell["method"], cell["column"], "ours", *numbers])
        for cell in table["differences"]:
            numbers = [cell["mean"], cell["std"], cell["n"], cell["low"], cell["high"], ""]
            out.writerow([*start, f"{cell['method']} - {cell['minus']}", cell["column"], "difference", *numbers])
        for cell in table["published"]:
            numbers = [cell["value"], None, None, None, None, cell["source"]]
            out.writerow([*start, cell["method"], cell["column"], "published", *numbers])
    return stream.getvalue()


FORMATS = {"text": text, "md": markdown, "csv": as_csv, "latex": latex, "json": as_json}
