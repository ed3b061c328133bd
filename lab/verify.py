"""Is this the published data set, with the published texts and weights? CLIP without learning gives the answer.

    craft data verify caltech101 --root DATA
    craft data verify imagenet --root DATA --backbone ViT-B/16 --output output

Runs ZeroshotCLIP on every part of the classes for which a paper has a number (all, base, new), or reads runs of it that
are done, in the folders of `craft sweep`, and compares. Trailing KEY VALUE pairs go to every run. Ends with status 0
where all numbers are within a point of the published ones, 1 where one is not, with what may be the cause, and 2 where
none can be compared: no published number, the demonstration's backbone, a subset.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import Any

from craft.common.errors import UserError, entry_point, unknown
from craft.common.files import write_json
from craft.common.text_table import text_table
from craft.datasets.registry import READERS
from craft.lab.results import zeroshot
from craft.lab.results.collect import Result, collect
from craft.lab.results.layouts import stock_name
from craft.lab.results.zeroshot import CAUSES, FAR, METHOD, NEAR, NONE, Check
from craft.lab.sweeps.catalogue import protocol_named
from craft.lab.sweeps.executors import EXECUTORS, executor_named
from craft.lab.sweeps.plan import Run, Sweep, plan, stock_datasets

#: part of the classes -> the protocol and phase whose run it is; a table of that protocol shows it, too
WHERE = {"all": ("few_shot", "few_shot"), "base": ("base2new", "train_base"), "new": ("base2new", "test_new")}
STATUS = {NEAR: 0, FAR: 1, NONE: 2}
SEED = 1  # nothing is learned: another seed gives the same number


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        "craft data verify",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = out.add_argument
    add("name", metavar="NAME", help="a data set, by its name or its file in configs/datasets")
    add("--root", default="", metavar="DIR", help="folder that holds the data sets' folders")
    add("--backbone", default="ViT-B/16", help="as that of `craft train` (default: ViT-B/16)")
    add("--config", default="", help="yaml of ZeroshotCLIP (default: the protocol's)")
    add("--output", default="output", help="folder of all results, as that of `craft sweep` (default: output)")
    add("--json", default="", metavar="FILE", help="the comparison (default: verify/<data set>.json in --output)")
    add("--rerun", choices=("code", "all"), default="", help="repeat done runs: those of other code, or all")
    add("--executor", choices=tuple(EXECUTORS), default="local", help="where runs are carried out (default: local)")
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    options, pairs = parser().parse_known_args(sys.argv[1:] if argv is None else argv)
    if wrong := [word for word in pairs if word.startswith("-")]:
        parser().error(f"unrecognized arguments: {' '.join(wrong)}")
    try:
        return verify(options, pairs)
    except UserError as error:  # nothing was compared: that is not the status of a number that is far
        if os.environ.get("CRAFT_TRACEBACK") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        return STATUS[NONE]


def verify(options: argparse.Namespace, pairs: list[str]) -> int:
    """Make the runs or read them, print and write the comparison; its status. UserError where a run fails."""
    if len(pairs) % 2:
        raise UserError(f"trailing options come in pairs KEY VALUE; {pairs[-1]!r} has no partner")
    stem = yaml_of(options.name)
    parts = zeroshot.known_parts(stock_name(stem), options.backbone) or ["all"]
    runs = [run for part in parts for run in _planned(part, stem, options, pairs)]
    found = zeroshot.checks(_carried_out(runs, options))
    target = Path(options.json or Path(options.output) / "verify" / f"{stem}-{_file_name(options.backbone)}.json")
    verdict = verdict_of(found)
    write_json(target, as_json(stem, options.backbone, verdict, found))
    print("\n".join([*_said(found, verdict), f"written: {target}"]))
    return STATUS[verdict]


def yaml_of(name: str) -> str:
    """``caltech101`` of ``Caltech101`` or ``caltech101``; UserError with the nearest names."""
    known = stock_datasets()
    if name in known:
        return name
    stems = [stem for stem in known if stock_name(stem) == name]
    if not stems:
        raise unknown("data set", name, [*known, *READERS])
    return min(stems, key=len)


def _planned(part: str, stem: str, options: argparse.Namespace, pairs: list[str]) -> list[Run]:
    protocol, phase = WHERE[part]
    sweep = Sweep(
        trainers=(METHOD,),
        datasets=(stem,),
        seeds=(SEED,),
        shots=(16,),
        phases=(phase,),
        root=options.root,
        output=options.output,
        config=options.config,
        backbone=options.backbone,
        options=tuple(pairs),
    )
    return plan(protocol_named(protocol), sweep)


def _carried_out(runs: list[Run], options: argparse.Namespace) -> list[Result]:
    from craft.lab.sweeps.progress import Lines
    from craft.lab.sweeps.runner import execute

    lines = Lines(sys.stdout)
    try:
        outcomes = execute(runs, executor_named(options.executor)(1), options.rerun, lines.say, lines=lines)
    finally:
        lines.clear()
    for outcome in outcomes:
        if outcome.result not in ("done", "kept"):
            log = f" (log: {outcome.log})" if outcome.log else ""
            raise UserError(f"{outcome.run.name} {outcome.result}: {outcome.detail}{log}")
    return [result for run in runs for result in collect(run.folder) if result.folder == run.folder]


def verdict_of(found: list[Check]) -> str:
    """Far where one number is; else near where one could be compared."""
    verdicts = {one.verdict for one in found}
    return FAR if FAR in verdicts else NEAR if NEAR in verdicts else NONE


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text)


# -- what is said -----------------------------------------------------------------------------------------------------


def _said(found: list[Check], verdict: str) -> list[str]:
    rows = []
    for one in found:
        theirs = [f"{one.expected.value:.2f}", f"{one.difference:+.2f}"] if one.expected else ["–", "–"]
        rows.append([f"{one.result.dataset}, {one.part} classes", f"{one.accuracy:.2f}", *theirs, one.verdict])
    said = ["", text_table([METHOD, "accuracy", "published", "difference", ""], rows), ""]
    said += dict.fromkeys(f"published: {one.expected.source}" for one in found if one.expected)
    for one in found:
        said += [f"{one.part} classes: {', '.join(f'{name} {text}' for name, text in one.facts)}"]
    said += [f"{one.part} classes cannot be compared: {one.why}" for one in found if one.verdict == NONE]
    if verdict == FAR:
        said += ["", "FAR: the data, the templates or the weights are not the published ones"]
        told = dict.fromkeys(cause for one in found if one.verdict == FAR for cause in one.told)
        said += ["the record says:", *(f"  - {cause}" for cause in told)] if told else []
        said += ["what usually causes it:", *(f"  - {cause}" for cause in CAUSES)]
        said += ["`craft data check` compares files and counts with the published set"]
    if verdict == NEAR:
        said += [f"near: within {zeroshot.POINTS:g} point of what is published"]
    return said


def as_json(stem: str, backbone: str, verdict: str, found: list[Check]) -> dict[str, Any]:
    return {
        "dataset": stem,
        "backbone": backbone,
        "verdict": verdict,
        "checks": [
            {
                "part": one.part,
                "verdict": one.verdict,
                "accuracy": one.accuracy,
                "published": one.expected.value if one.expected else None,
                "difference": round(one.difference, 4) if one.expected else None,
                "source": one.expected.source if one.expected else None,
                "why": one.why,
                "told": list(one.told),
                "facts": dict(one.facts),
                "run": str(one.result.folder),
            }
            for one in found
        ],
        "usual causes": list(CAUSES) if verdict == FAR else [],
    }


if __name__ == "__main__":
    sys.exit(main())
