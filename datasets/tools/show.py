"""A contact sheet: one PNG with a few images of every class (and domain or group), names, and the sizes of parts."""

from __future__ import annotations

from pathlib import Path

from dassl.utils import read_image
from PIL import Image, ImageDraw, ImageFont, ImageOps

from craft.common.errors import UserError
from craft.common.files import atomic_path
from craft.datasets.tools.sizes import domain_names, parts_of, sizes

CELL, GAP, MARGIN, LINE = 72, 4, 12, 20
MOST_IMAGES, MOST_ROWS = 10_000, 1_000  # on a sheet, empty places counted: at most 300 MB while it is drawn
PAPER, INK, FAINT = "white", "black", (120, 120, 120)


def contact_sheet(dataset, title: str, out: str | Path, per_row: int = 8, max_classes: int = 40) -> list[str]:
    """Write the sheet to ``out`` (PNG, atomically) and return the lines that head it.

    Args:
        per_row: images of each row, spread evenly over the training images (test images where a row has none).
        max_classes: with more classes, this many are shown, spread evenly over the labels.

    No more than ``MOST_IMAGES`` in ``MOST_ROWS`` are drawn, one at a time; a line says what is left out.
    """
    parts = parts_of(dataset)
    labels = sorted(dataset.lab2cname)
    shown = _spread(labels, max_classes)
    head = [
        f"{title}: {len(labels)} classes" + (f", {len(shown)} of them shown" if len(shown) < len(labels) else ""),
        ", ".join(f"{part} {len(items)}" for part, items in parts.items()),
    ]
    tables = sizes(dataset)
    for kind in ("domain", "group"):
        head += [f"{kind} {name}: {_counts(parts, numbers)}" for name, *numbers in tables.get(kind, [])]
    by_class = dict(zip(labels, tables["class"]))
    found = []
    for label in shown:
        name, *numbers = by_class[label]
        for number, (what, items) in enumerate(_rows(dataset, parts, label)):
            captions = ["", ""] if number else [name, _counts(parts, numbers)]
            found.append(([*captions, what], items))
    rows = len(found[:MOST_ROWS])
    longest = min(per_row, max((len(items) for _, items in found), default=1))
    drawn = min(longest, MOST_IMAGES // max(1, rows))
    if drawn < longest or rows < len(found):
        print(f"A sheet holds {MOST_IMAGES:,} images in {MOST_ROWS:,} rows at most: drawing {drawn} in each of {rows}")
    _draw(head, [(c, [item.impath for item in _spread(items, drawn)]) for c, items in found[:rows]], drawn, Path(out))
    return head


def _counts(parts: dict[str, list], numbers: list) -> str:
    return ", ".join(f"{part} {count}" for part, count in zip(parts, numbers) if count != "-")


def _rows(dataset, parts: dict[str, list], label: int) -> list[tuple[str, list]]:
    """(what the row shows, its items) of one class: a row for each domain or group, if there are any."""
    labelled = {part: items for part, items in parts.items() if part != "train_u"}
    groups = getattr(dataset, "group_names", None)
    kind, names = ("group", dict(enumerate(groups))) if groups else ("domain", domain_names(dataset))
    rows = []
    for value, name in names.items() if names else [(None, "")]:
        for items in labelled.values():
            chosen = [i for i in items if i.label == label and (value is None or getattr(i, kind) == value)]
            if chosen:
                rows.append((name, chosen))
                break
    return rows


def _spread(items: list, count: int) -> list:
    """``count`` of the items, spread evenly; all of them where there are no more."""
    return items if len(items) <= count else [items[i * len(items) // count] for i in range(count)]


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """DejaVu Sans, which knows most scripts; matplotlib brings it along."""
    try:
        from matplotlib import get_data_path

        return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 13)
    except (ImportError, OSError):
        return ImageFont.load_default(13)


def _draw(head: list[str], rows: list[tuple[list[str], list[str]]], per_row: int, out: Path) -> None:
    font = _font()
    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    column = int(max((measure.textlength(t, font=font) for captions, _ in rows for t in captions), default=0)) + MARGIN
    column = min(column, 420)
    wide = int(max(measure.textlength(text, font=font) for text in head))
    width = 2 * MARGIN + max(wide, column + per_row * (CELL + GAP))
    top = 2 * MARGIN + LINE * len(head)
    sheet = Image.new("RGB", (width, top + len(rows) * (CELL + GAP) + MARGIN), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, text in enumerate(head):
        pen.text((MARGIN, MARGIN + LINE * number), text, INK if not number else FAINT, font)
    for number, (captions, paths) in enumerate(rows):
        y = top + number * (CELL + GAP)
        for line, text in enumerate(captions):
            pen.text((MARGIN, y + LINE * line), text, INK if not line else FAINT, font)
        for position, path in enumerate(paths):
            sheet.paste(_thumbnail(path), (MARGIN + column + position * (CELL + GAP), y))
    if out.suffix.lower() != ".png":
        raise UserError(f"the contact sheet is a PNG: let --out end in .png instead of {out.name!r}")
    with atomic_path(out) as temporary:
        sheet.save(temporary, "PNG")


def _thumbnail(path: str) -> Image.Image:
    """The whole image, fitted into a cell; a crossed cell where it cannot be decoded."""
    cell = Image.new("RGB", (CELL, CELL), (235, 235, 235))
    try:
        fitted = ImageOps.contain(read_image(path), (CELL, CELL))
    except UserError:
        ImageDraw.Draw(cell).line([(0, 0), (CELL, CELL), (CELL, 0), (0, CELL)], "red", 2)
        return cell
    cell.paste(fitted, ((CELL - fitted.width) // 2, (CELL - fitted.height) // 2))
    return cell
