"""The options that commands about a run's classifier have in common: which run, and which classes."""

from __future__ import annotations

from pathlib import Path

from craft.common.arguments import Parser, whole
from craft.common.errors import UserError


def add_run(out: Parser) -> None:
    out.add_argument("--model-dir", required=True, help="output folder of the training run")
    out.add_argument(
        "--load-epoch",
        type=whole(1),
        help="epoch whose prompts are used (default: the one that the run's number is of)",
    )


def add_classes(out: Parser) -> None:
    """See `names_asked`."""
    out.add_argument(
        "--classes", nargs="+", metavar="NAME", help="class names in place of those that the run was trained on"
    )
    out.add_argument("--classes-file", default="", metavar="FILE", help="the same, one name a line")


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
