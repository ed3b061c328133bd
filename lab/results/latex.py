"""Tables as LaTeX: booktabs, complete with caption and foot, every special character escaped. The layout is in
``templates/tables.tex``; here is what it is filled with."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import jinja2

from craft.lab.results.grid import Grid
from craft.lab.results.sheets import LEGEND, Block, Cell, Layout, Part, Row, Sheet, each
from craft.lab.results.templating import environment

#: beyond so many columns of numbers heads are turned, and deviations go below their means
WIDE = 10
#: so many columns of numbers stand side by side where a sheet has a block a data set
ABREAST = 10
#: so many lines fit on a page above a foot of FOOT lines; the head of a band takes HEAD
PAGE, HEAD, FOOT = 60, 3, 8
#: so many missing runs are named in the foot; the others in comments only
NAMED = 6

ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"''",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "’": "'",
    "“": "``",
    "”": "''",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "æ": r"\ae{}",
}
ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0308\u030a\u030c\u0327", (r"\`", r"\'", r"\^", r"\~", r"\"", r"\r", r"\v", r"\c"))
)


class Tex(str):
    """Text that is LaTeX already."""


def escape(text: object) -> str:
    """Plain text as LaTeX; a sign that its standard fonts do not have is spelled by its code point."""
    return text if isinstance(text, Tex) else Tex("".join(map(_sign, unicodedata.normalize("NFC", str(text)))))


def _sign(sign: str) -> str:
    if sign in ESCAPES:
        return ESCAPES[sign]
    if " " <= sign <= "~":
        return sign
    if sign.isspace():
        return " "
    letter, *marks = list(unicodedata.normalize("NFD", sign))
    if letter.isascii() and letter.isalpha() and len(marks) == 1 and marks[0] in ACCENTS:
        return f"{ACCENTS[marks[0]]}{{{letter}}}"
    return "" if unicodedata.category(sign).startswith("C") else f"[U+{ord(sign):04X}]"


@dataclass(frozen=True)
class Band:
    """Blocks side by side. groups: (name, its number of columns). rows: label, then cells of all groups."""

    groups: list[tuple[str, int]]
    rows: list[list[str]]


@dataclass(frozen=True)
class Tabular:
    """What fits on a page of a part. columns: of one block; turned: their heads stand upright."""

    caption: str
    head: str
    columns: list[str]
    bands: list[Band]
    turned: bool


def latex(grids: list[Grid], layout: Layout = each) -> str:
    """booktabs tables, each complete with caption."""
    sheets = [
        {
            "tabulars": [tabular for part in sheet.parts for tabular in _tabulars(sheet, part)],
            "foot": sheet.remarks + _missing(sheet),
            "comments": sheet.missing[NAMED:],
        }
        for sheet in layout(grids)
    ]
    return _environment().get_template("tables.tex").render(sheets=sheets, raw=Tex)


def _environment() -> jinja2.Environment:
    return environment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        finalize=escape,
    )


def _missing(sheet: Sheet) -> list[str]:
    lines = [f"missing: {line}" for line in sheet.missing[:NAMED]]
    if more := len(sheet.missing) - NAMED:
        lines += [f"missing: {more} more, listed in the source of this table"] if more > 0 else []
    return lines


def _tabulars(sheet: Sheet, part: Part) -> list[Tabular]:
    """One, or as many as pages are needed."""
    title = f"{sheet.title} ({LEGEND})" if part.kind == "results" else f"{sheet.title}: differences"
    width = len(part.columns)
    turned = width > WIDE
    abreast = min(3, max(1, ABREAST // width)) if sheet.compact else 1
    foot = sum(1 + len(line) // 100 for line in sheet.remarks + _missing(sheet))
    room = max(20, PAGE - max(0, foot - FOOT))
    pages: list[list[Band]] = [[]]
    for start in range(0, len(part.blocks), abreast):
        band = _band(part.blocks[start : start + abreast], width, sheet.compact, turned)
        if pages[-1] and sum(len(other.rows) + HEAD for other in [*pages[-1], band]) > room:
            pages.append([])
        pages[-1].append(band)
    of = [f" ({number} of {len(pages)})" if len(pages) > 1 else "" for number in range(1, len(pages) + 1)]
    return [Tabular(f"{title}{which}.", part.head, part.columns, bands, turned) for which, bands in zip(of, pages)]


def _band(blocks: list[Block], width: int, small: bool, turned: bool) -> Band:
    by_label = [{row.label: row for row in block.rows} for block in blocks]
    rows: list[list[str]] = []
    for label in dict.fromkeys(row.label for block in blocks for row in block.rows):
        found = [rows_of.get(label) for rows_of in by_label]
        rows.append([_label(label, found), *(cell for row in found for cell in _cells(row, width, small, turned))])
        spreads = [cell.spread for row in found if row for cell in row.cells]
        if turned and any(spreads):
            rows.append(["", *(Tex(rf"\tiny {escape(spread)}") for spread in spreads)])
    return Band([(block.name, width) for block in blocks], rows)


def _label(label: str, found: list[Row | None]) -> str:
    published = any(row.published for row in found if row)
    return Tex(rf"\emph{{{escape(label)}}}") if published else label


def _cells(row: Row | None, width: int, small: bool, without_spread: bool) -> list[str]:
    if row is None:
        return [""] * width
    return [_cell(cell, small, without_spread) for cell in row.cells]


def _cell(cell: Cell, small: bool, without_spread: bool) -> str:
    spread = "" if without_spread else cell.spread
    main = f"{cell.main} {spread}".rstrip() if not small else cell.main
    behind = " ".join(part for part in (spread if small else "", cell.note) if part)
    out = rf"\textbf{{{escape(main)}}}" if cell.best else escape(main)
    return Tex(out + (rf"{{\tiny\,{escape(behind)}}}" if behind else ""))
