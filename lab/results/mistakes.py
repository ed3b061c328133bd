"""What a run gets wrong: the images of which it was surest and mistaken, as a list and as a sheet of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

import craft.bundled  # noqa: F401  (makes `import dassl` work)
from craft.common.errors import UserError
from craft.common.files import atomic_path
from craft.common.text_table import text_table
from craft.runs.predictions import Predictions

SIDE, GAP, LINES = 160, 12, 3  # pixels of a picture and around it; lines below it
INK, RED, PAPER = "#222222", "#b2182b", "#ffffff"


@dataclass(frozen=True)
class Mistake:
    """image: path as in the predictions. truth, said: class names. p_said, p_truth: probabilities in [0, 1]."""

    image: str
    truth: str
    said: str
    p_said: float
    p_truth: float


def mistakes(found: Predictions) -> list[Mistake]:
    """All images that were given another class, the surest first."""
    probabilities = found.logits.softmax(dim=1)
    predicted = found.predicted
    wrong = (predicted != found.labels).nonzero().flatten()
    sure = probabilities[wrong, predicted[wrong]]
    order = wrong[sure.argsort(descending=True, stable=True)].tolist()
    return [
        Mistake(
            found.images[i],
            found.classnames[found.labels[i]],
            found.classnames[predicted[i]],
            probabilities[i, predicted[i]].item(),
            probabilities[i, found.labels[i]].item(),
        )
        for i in order
    ]


def as_text(found: Predictions, worst: list[Mistake], total: int) -> str:
    """A table of ``worst``, and what part of all it is."""
    accuracy, five, mean = found.top(1), found.top(5), found.mean_per_class()
    head = (
        f"{total} of {len(found.labels)} {found.split} images are mistaken: accuracy {accuracy:.2f} %, "
        f"top-5 {five:.2f} %, mean per class {mean:.2f} %"
    )
    if not worst:
        return head
    rows = [(one.image, one.truth, one.said, f"{one.p_said:.3f}", f"{one.p_truth:.3f}") for one in worst]
    return f"{head}\n\n" + text_table(("image", "is", "taken for", "p", "p of what it is"), rows)


def draw(found: Predictions, worst: list[Mistake], to: Path, columns: int = 6) -> list[str]:
    """A contact sheet of ``worst`` as ``to`` (PNG); returns the images that could not be read, which stay empty."""
    font = ImageFont.load_default(13)
    columns = max(1, min(columns, len(worst)))
    rows = -(-len(worst) // columns)
    height = SIDE + LINES * 17
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), GAP + rows * (height + GAP)), PAPER)
    pen, missing = ImageDraw.Draw(sheet), []
    for number, one in enumerate(worst):
        left, top = GAP + number % columns * (SIDE + GAP), GAP + number // columns * (height + GAP)
        try:
            picture = _picture(Path(found.root) / one.image)
            sheet.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
        except UserError:
            missing.append(one.image)
            pen.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline=INK)
        lines = [
            (f"is {one.truth}", INK),
            (f"taken for {one.said}", RED),
            (f"{one.p_said:.2f}, is {one.p_truth:.2f}", INK),
        ]
        for at, (line, colour) in enumerate(lines):
            pen.text((left, top + SIDE + 2 + at * 17), _fitting(line, font), fill=colour, font=font)
    with atomic_path(to) as temporary:
        sheet.save(temporary, format="PNG")
    return missing


def _picture(path: Path) -> Image.Image:
    from dassl.utils import read_image

    picture = read_image(str(path))
    scale = SIDE / max(picture.size)
    size = [max(1, round(scale * edge)) for edge in picture.size]
    return picture.resize((size[0], size[1]), Image.Resampling.BICUBIC)


def _fitting(line: str, font) -> str:
    if font.getlength(line) <= SIDE:
        return line
    while line and font.getlength(line + "…") > SIDE:
        line = line[:-1]
    return line + "…"
