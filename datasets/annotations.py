"""Annotation files that come from elsewhere (lists, CSV, MATLAB): every fault is named by file and line."""

from __future__ import annotations

import contextlib
import csv
import io
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from craft.common.errors import UserError, nearest
from craft.common.texts import read_text

DELIMITERS = ",;\t"
UNNAMED = re.compile(r"(Unnamed: \d+)?")  # the index column of pandas as it was written, or read and written again


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number from 1, line without surrounding blanks) of every line that is not empty, of a UTF-8 file."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def whole_number(where: str, what: str, text: str, least: int = 0) -> int:
    """The number from ``least`` that ``text`` is; UserError that begins with ``where`` for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) >= least):
        raise UserError(f"{where}: {what} is {text[:40]!r}, not a whole number from {least}")
    return int(text)


def read_mat(path: Path, variable: str) -> Any:
    """A variable of a MATLAB file; UserError where the file is damaged or lacks it."""
    from scipy.io import loadmat

    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises whatever the damage leads to
        raise UserError(f"cannot read {path} as a MATLAB file ({error}); fetch it again") from error
    if variable not in content:
        raise UserError(f"{path} holds no variable {variable!r}; fetch it again")
    return content[variable]


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Taking apart what `read_mat` gave: arrays of another shape or type than expected are a UserError."""
    try:
        yield
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UserError(f"{path} is not built as its authors' file is ({error}); fetch it again") from error


def read_csv(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] | None = None,
    aliases: Mapping[str, str] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number from 1, {column: text without surrounding blanks}) of every row of a UTF-8 CSV with a header.

    Args:
        required: columns that must be there.
        optional: columns that may be there besides; None allows any.
        aliases: other names of columns, {"label": "class"}, for where the column itself is not there.

    Columns may be divided by commas, semicolons or tabs, and stand in any order. One without a name, as the numbers of
    rows that pandas writes in front, is passed over. Raises UserError for a file that cannot be read, a column
    that is missing, unknown or there twice, and a row with too few or too many fields. Blank lines are passed over.
    """
    text = read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count) if first else ","
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    end = 0
    try:
        for row in rows:
            line, end = end + 1, rows.line_num  # a quoted field may run over several lines: name the first
            if not any(field.strip() for field in row):
                continue
            if not header:
                header = _header(path, line, row, required, optional, aliases or {})
            elif len(row) != len(header):
                raise UserError(f"{path}, line {line}: {len(row)} fields where the header has {len(header)} columns")
            else:
                yield line, {name: field.strip() for name, field in zip(header, row) if name}
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}") from error
    if not header:
        raise UserError(f"{path} is empty; its first line should be {','.join(required)}")


def _header(
    path: Path, line: int, row: list[str], required: Sequence[str], optional: Sequence[str] | None, aliases: Mapping
) -> list[str]:
    """The names of the columns; "" for one that is passed over."""
    header = [field.strip() for field in row]
    aliases = {name: column for name, column in aliases.items() if column not in header}
    header = ["" if UNNAMED.fullmatch(name) else aliases.get(name, name) for name in header]
    absent = [column for column in required if column not in header]
    if absent:
        raise UserError(
            f"{path}, line {line}: no column {absent[0]!r}; the header should have {', '.join(required)}"
            + (f" and may have {', '.join(optional)}" if optional else "")
            + f", it has {', '.join(filter(None, header))}"
        )
    for column in filter(None, header):
        if header.count(column) > 1:
            raise UserError(f"{path}, line {line}: two columns are called {column!r}")
        if optional is not None and column not in (*required, *optional):
            known = [*required, *optional]
            raise UserError(f"{path}, line {line}: unknown column {column!r}; did you mean: {nearest(column, known)}?")
    return header


def inside(where: str, text: str, root: Path) -> str:
    """The path ``text`` relative to ``root``, with /, normalised; UserError where it leads out of ``root``.

    ``where`` begins the message ("FILE, line N"). An absolute path is accepted if it lies below ``root``.
    """
    plain = text.replace("\\", "/")
    if not plain or "\0" in plain:
        raise UserError(f"{where}: the path of the image is empty or holds a NUL")
    if ".." in plain.split("/"):
        raise UserError(f"{where}: the path {text!r} holds '..'; name files below {root}")
    if plain.startswith("/") or plain[1:2] == ":":
        base = root.as_posix().rstrip("/") + "/"
        if not plain.startswith(base):
            raise UserError(f"{where}: the path {text!r} lies outside of {root}; name files below it")
        plain = plain.removeprefix(base)
    return posixpath.normpath(plain)


def choice(where: str, column: str, text: str, allowed: dict[str, int]) -> int:
    """What ``text`` stands for among ``allowed``; UserError that lists them."""
    if text not in allowed:
        raise UserError(f"{where}: {column} is {text!r}; it can be {', '.join(allowed)}")
    return allowed[text]
