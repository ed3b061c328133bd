"""Time our paths against the published trainers' way of computing the same, side by side on this machine.

    OMP_NUM_THREADS=2 craft bench                       everything; an hour or more
    craft bench --quick                                 the demonstration backbone, a few seconds
    craft bench --trainers MaPLeCraft --classes 10 100 --repeats 3 --kinds step

First both paths must give the same losses and gradients on the same parameters; a difference beyond float32 rounding
ends the command with status 1. Then each is measured in a process of its own. The tables are printed, and written with
all numbers and a figure to benchmarks.txt, benchmarks.json and benchmarks.png in the folder --out. The plain path is
left out, and the report says so, where its step would not fit in memory.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

from craft.common.arguments import Parser, whole
from craft.common.errors import entry_point
from craft.common.files import write_json, write_text
from craft.lab.bench import summary, worker
from craft.lab.bench.quantities import name_of, quantities
from craft.lab.bench.specs import KINDS, PATHS, QUICK, TRAINERS, Plan


def parser() -> argparse.ArgumentParser:
    out = Parser("craft bench", description=__doc__)
    plan = Plan()
    out.add_argument(
        "--classes", type=whole(1, 100_000), nargs="+", metavar="N", help=f"default: {_list(plan.classes)}"
    )
    out.add_argument("--trainers", nargs="+", choices=TRAINERS, help="default: all")
    out.add_argument("--kinds", nargs="+", choices=KINDS, help="what to measure; default: all")
    out.add_argument("--paths", nargs="+", choices=PATHS, help="default: both; ours alone is for work on it")
    out.add_argument(
        "--repeats", type=whole(1, 1000), help=f"default: {plan.repeats}; three where one takes over a minute"
    )
    out.add_argument("--backbone", help=f"as MODEL.BACKBONE.NAME; default: {plan.backbone} (random weights)")
    out.add_argument("--quick", action="store_true", help="a small run in this process, without memory: to try it out")
    out.add_argument("--out", default="output/benchmarks", metavar="FOLDER", help="default: %(default)s")
    return out


def _list(values) -> str:
    return " ".join(map(str, values))


def plan_of(options: argparse.Namespace) -> Plan:
    """The default (or quick) plan with what the command line sets."""
    given = {
        key: value
        for key in ("classes", "trainers", "kinds", "paths", "repeats", "backbone")
        if (value := getattr(options, key)) is not None
    }
    return replace(QUICK if options.quick else Plan(), **given)


def measure(plan: Plan, run, keep) -> dict:
    """The document of one run of the plan. run: specification to result. keep: saves what there is so far."""
    from craft.lab.bench.measure import LOSSES, PathsDiffer

    timed = list(plan.times())
    checks = list(plan.checks()) if len(plan.paths) > 1 else []
    total, started = len(timed) + len(checks) + 3, time.monotonic()
    done = 0

    def go(spec):
        nonlocal done
        done += 1
        result = run(spec)
        value = result.get("left_out") or (f"{result['seconds']:.2f} s" if "seconds" in result else "done")
        print(f"[{done}/{total}, {time.monotonic() - started:.0f} s] {name_of(spec)}: {value}", file=sys.stderr)
        return result

    document = {"facts": go(plan.facts()), "batch": plan.batch, "repeats": plan.repeats, "checks": [], "results": []}
    rates = [go(plan.rate())["flops_per_second"]]
    document["checks"] = [{**spec, **go(spec)} for spec in checks]
    losses: dict[tuple, float] = {}
    for spec in timed:
        result = go(spec)
        document["results"].append({**spec, **result})
        if "loss" in result:  # also where it was not checked before: too many classes to do everything twice
            other = losses.setdefault((spec["trainer"], spec["classes"]), result["loss"])
            if not abs(result["loss"] - other) <= LOSSES * abs(other):
                raise PathsDiffer(f"{name_of(spec)}: loss {result['loss']}, the other path has {other}")
        keep(document)
    rates.append(go(plan.rate())["flops_per_second"])
    document["rates"], document["rate"] = rates, max(rates)  # two, to show whether the machine was left alone
    document["quantities"] = quantities(document["results"])
    return document


@entry_point
def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    plan, out = plan_of(options), Path(options.out)
    unfinished = out / "benchmarks.partial.json"
    with tempfile.TemporaryDirectory(prefix="craft-benchmark-") as cache:  # the run's own, never the user's
        run = worker.in_this_process if options.quick else worker.in_its_own
        document = measure(plan, lambda spec: run(spec, cache), lambda so_far: write_json(unfinished, so_far))
    document["plan"] = asdict(plan)
    text = summary.tables(document)
    print(text, end="")
    write_json(out / "benchmarks.json", document)
    unfinished.unlink(missing_ok=True)
    write_text(out / "benchmarks.txt", text)
    summary.figure(document, out / "benchmarks.png")
    print(f"written: {out / 'benchmarks.json'}, .txt, .png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
