"""Tables, figures and a report from the folders of runs.

    craft results table   output                      all protocols that have runs there
    craft results table   output --protocol base2new --format latex
    craft results table   output --each               a table a data set, even where there are many
    craft results table   output --format csv         every run's number, seed by seed
    craft results table   output --write tables       also tables/results.csv and tables/results.json
    craft results figures output                      PNG and PDF in output/figures
    craft results report  output                      one HTML file, output/report.html
    craft results mistakes RUN --to sheet.png         images that a run is surest of and wrong

Runs of one protocol on several data sets make one table, in the order of the papers; --each gives each its own.
Folders may hold this project's runs or plain log.txt files of other Dassl-based repositories, or both.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from craft.common import imports
from craft.common.arguments import Parser
from craft.common.errors import entry_point
from craft.common.files import write_text
from craft.lab.results import render, sheets
from craft.lab.results.collect import collect
from craft.lab.results.figures import KINDS, draw_all
from craft.lab.results.grid import Grid
from craft.lab.results.tables import build
from craft.lab.sweeps.plan import split_words


def parser() -> argparse.ArgumentParser:
    out = Parser("craft results", description=__doc__)
    imports.add_option(out)
    actions = out.add_subparsers(dest="action", required=True)
    for name, text in (
        ("table", "mean, deviation and differences over seeds"),
        ("figures", "the figures that the runs allow"),
        ("report", "one self-contained HTML file"),
    ):
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("folder", help="output folder of one or more sweeps")
        action.add_argument("--protocol", default="", help="only this one")
        imports.add_option(action)  # for --help; `main` has taken them before
        if name == "table":
            action.add_argument("--format", choices=tuple(render.FORMATS), default="text")
            layout = action.add_mutually_exclusive_group()
            layout.add_argument(
                "--compact", action="store_true", help="one table for all data sets (default: where there are several)"
            )
            layout.add_argument("--each", action="store_true", help="one table a data set, and one of their average")
            action.add_argument(
                "--average",
                choices=("first", "last"),
                default="",
                help="where the compact table has the average over data sets (default, as in papers: first of blocks, "
                "last of columns)",
            )
            action.add_argument("--write", metavar="FOLDER", default="", help="also write results.csv and results.json")
        if name in ("figures", "report"):
            action.add_argument("--to", default="", help="where to write (default: inside the folder)")
            action.add_argument("--only", nargs="+", default=[], metavar="KIND", help=f"figures: {', '.join(KINDS)}")
        if name == "report":
            action.add_argument("--no-figures", action="store_true", help="tables only: no model is loaded")
    action = actions.add_parser(
        "mistakes", help="what a run gets wrong", description="the images that a run is surest of and wrong"
    )
    action.add_argument("folder", help="output folder of one run")
    action.add_argument("--worst", type=int, default=24, metavar="N", help="how many to show (default: 24)")
    action.add_argument("--split", choices=("test", "val"), default="test")
    action.add_argument("--to", default="", metavar="FILE", help="also draw them as a sheet of pictures (PNG)")
    imports.add_option(action)
    return out


def _mistakes(options: argparse.Namespace) -> int:
    from craft.lab.results import mistakes
    from craft.runs import predictions

    found = predictions.read(options.folder, options.split)
    every = mistakes.mistakes(found)
    worst = every[: max(options.worst, 0)]
    print(mistakes.as_text(found, worst, len(every)))
    if options.to and worst:
        missing = mistakes.draw(found, worst, Path(options.to))
        print(f"\n{options.to}")
        if missing:
            print(f"{len(missing)} images cannot be read and are left empty; the first: {missing[0]}", file=sys.stderr)
            return 1
    return 0


def _rendered(grids: list[Grid], options: argparse.Namespace) -> str:
    if options.format not in render.READ:
        return render.FORMATS[options.format](grids)
    if options.each:
        return render.READ[options.format](grids, sheets.each)
    layout = sheets.compact if options.compact else sheets.automatic
    return render.READ[options.format](grids, partial(layout, average=options.average))


@entry_point
def main(argv: list[str] | None = None) -> int:
    _, words = imports.take(sys.argv[1:] if argv is None else argv)  # it may register protocols, which have tables
    options = parser().parse_args(words)
    if options.action == "mistakes":
        return _mistakes(options)
    found = collect(options.folder)
    if options.action == "table":
        grids = build(found, options.protocol)
        print(_rendered(grids, options), end="")
        if options.write:
            write_text(Path(options.write) / "results.csv", render.as_csv(grids))
            write_text(Path(options.write) / "results.json", render.as_json(grids))
        return 0
    if options.action == "figures":
        target = Path(options.to or Path(options.folder) / "figures")
        for path in draw_all(found, target, options.protocol, split_words(options.only)):
            print(path)
        return 0
    from craft.lab.results.report import write_report

    target = Path(options.to or Path(options.folder) / "report.html")
    only = () if options.no_figures else split_words(options.only) or KINDS
    write_report(found, options.folder, target, options.protocol, only)
    print(f"Report: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
