"""Class probabilities of images, with the prompts that a run has learned.

    craft predict --model-dir output/…/seed1 photo.jpg another.png
    craft predict --model-dir output/…/seed1 my_photos --classes "red panda" "snow leopard" --format csv --to out.csv

IMAGES are files or folders. An image that cannot be read is named and left out, and the status is 1.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from craft.common import imports
from craft.common.arguments import Parser, whole
from craft.common.errors import UserError, entry_point
from craft.common.files import write_text
from craft.common.text_table import text_table
from craft.inference import rejection

if TYPE_CHECKING:
    from craft.inference.learned import Learned

NONE_OF_THESE = "none of these"
FORMATS = ("table", "json", "csv")


def parser() -> Parser:
    out = Parser("craft predict", description=__doc__)
    add = out.add_argument
    add("images", nargs="+", metavar="IMAGES", help="images, or folders of them")
    add("--model-dir", required=True, help="output folder of the training run")
    add(
        "--load-epoch",
        type=whole(1),
        help="epoch whose prompts are used (default: the one that the run's number is of)",
    )
    add("--classes", nargs="+", metavar="NAME", help="class names in place of those that the run was trained on")
    add("--classes-file", default="", metavar="FILE", help="the same, one name a line")
    add("--top", type=whole(1), default=5, metavar="N", help="how many classes to show an image (default: 5)")
    add("--format", choices=FORMATS, default="table", help="how to show them (default: table)")
    add("--to", default="", metavar="FILE", help="write there instead of showing")
    add("--batch", type=whole(1), default=64, metavar="N", help="images at a time (default: 64)")
    add("--device", default="", help="cpu, cuda or cuda:N (default: CUDA where there is one)")
    rejection.add_options(add)
    imports.add_option(out)
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    for name in options.imports:
        imports.load(name)
    from craft.inference import learned
    from craft.inference.reading import find_images

    paths = find_images(options.images)
    model = learned.load(options.model_dir, names_asked(options), options.load_epoch, options.device or None)
    threshold = rejection.asked(options, model)
    if threshold and threshold.warning():
        print(f"warning: {threshold.warning()}", file=sys.stderr)
    rows, bad = predict(model, paths, options.top, options.batch, threshold)
    text = render(rows, options.format)
    if options.to:
        write_text(options.to, text)
        print(f"{len(rows)} of {len(paths)} images: {options.to}")
    else:
        print(text, end="")
    for reason in bad:
        print(f"left out: {reason}", file=sys.stderr)
    return 1 if bad else 0


def names_asked(options) -> list[str] | None:
    """What --classes or --classes-file (its lines that are not empty) name; None where neither is given."""
    if options.classes and options.classes_file:
        raise UserError("--classes and --classes-file both name the classes; give one of them")
    if not options.classes_file:
        return options.classes
    path = Path(options.classes_file)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read --classes-file {path}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def predict(
    model: Learned, paths: list[Path], top: int, batch: int, threshold: rejection.Threshold | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """(an entry an image that could be read, the reasons of those that could not), both in the order of ``paths``.

    An entry: ``{"image": path, "predictions": [{"class": name, "label": l, "probability": p}, …]}``, likeliest first.
    With a threshold also ``"rejected"``: whether the largest probability is below it.
    """
    from tqdm import tqdm

    from craft.inference.reading import Batches

    batches, rows = Batches(paths, model.transform, batch), []
    count = min(top, len(model.classnames))
    with tqdm(total=len(paths), unit="image", leave=False, disable=not sys.stderr.isatty()) as bar:
        for indices, images in batches:
            values, labels = model.probabilities(images).topk(count)
            for index, row, column in zip(indices, values.tolist(), labels.tolist()):
                found = [
                    {"class": model.classnames[label], "label": label, "probability": value}
                    for value, label in zip(row, column)
                ]
                rows.append({"image": str(paths[index]), "predictions": found})
                if threshold:
                    rows[-1]["rejected"] = row[0] < threshold.value
            bar.update(len(indices))
    return rows, [batches.bad[index] for index in sorted(batches.bad)]


def render(rows: list[dict[str, Any]], form: str) -> str:
    """The entries of `predict` as text that ends with a line break (empty without rows, for a table)."""
    if form == "json":
        return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"
    with_reject = any("rejected" in row for row in rows)
    flat = [
        (row["image"], rank, one["class"], one["probability"], row.get("rejected", False))
        for row in rows
        for rank, one in enumerate(row["predictions"], start=1)
    ]
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(("image", "rank", "class", "probability") + ("rejected",) * with_reject)
        for image, rank, name, value, rejected in flat:
            writer.writerow((image, rank, name, f"{value:.6f}") + (int(rejected),) * with_reject)
        return out.getvalue()
    shown = []
    for image, rank, name, value, rejected in flat:
        if rank == 1 and rejected:
            shown.append((image, NONE_OF_THESE, ""))
        shown.append((image if rank == 1 and not rejected else "", name, f"{100 * value:5.1f} %"))
    return text_table(("image", "class", "probability"), shown) + "\n" if shown else ""


if __name__ == "__main__":
    sys.exit(main())
