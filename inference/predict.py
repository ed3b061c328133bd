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
from craft.common.errors import entry_point
from craft.common.files import write_text
from craft.common.text_table import text_table
from craft.inference import options, rejection

if TYPE_CHECKING:
    from craft.inference.learned import Learned

NONE_OF_THESE = "none of these"
FORMATS = ("table", "json", "csv")


def parser() -> Parser:
    out = Parser("craft predict", description=__doc__)
    add = out.add_argument
    add("images", nargs="+", metavar="IMAGES", help="images, or folders of them")
    options.add_run(out)
    options.add_classes(out)
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
    asked = parser().parse_args(argv)
    for name in asked.imports:
        imports.load(name)
    from craft.inference import learned
    from craft.inference.reading import find_images

    paths = find_images(asked.images)
    model = learned.load(asked.model_dir, options.names_asked(asked), asked.load_epoch, asked.device or None)
    threshold = rejection.asked(asked, model)
    rows, bad = predict(model, paths, asked.top, asked.batch, threshold)
    text = render(rows, asked.format)
    if asked.to:
        write_text(asked.to, text)
        print(f"{len(rows)} of {len(paths)} images: {asked.to}")
    else:
        print(text, end="")
    for reason in bad:
        print(f"left out: {reason}", file=sys.stderr)
    return 1 if bad else 0


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
