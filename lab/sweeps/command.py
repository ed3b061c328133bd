"""Sweeps of the paper's protocols.

    craft sweep list
    craft sweep show   base2new --trainers CoOp CoOpCraft --datasets caltech101 dtd --seeds 1 2 3 --root DATA
    craft sweep run    base2new --trainers CoOp CoOpCraft --datasets digits          (the embedded default)
    craft sweep status base2new --trainers CoOp CoOpCraft --datasets digits

`show` prints the exact command of every run and runs nothing. `run` goes on where it stopped, continues past a failed
run, and ends with what failed and where its log is. Trailing KEY VALUE pairs go to every run. Results: craft results.
"""

from __future__ import annotations

import argparse
import re
import sys

from craft.common import imports
from craft.common.errors import UserError, entry_point
from craft.lab.sweeps.catalogue import PROTOCOLS, protocol_named
from craft.lab.sweeps.executors import EXECUTORS, executor_named
from craft.lab.sweeps.plan import Run, Sweep, numbers, plan, split_words
from craft.lab.sweeps.runner import Check
from craft.runs import identity, record

KEY = re.compile(r"[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)+")


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        "craft sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = out.add_argument
    add("action", choices=("list", "show", "run", "status"))
    add("protocol", nargs="?", help="base2new, few_shot, …; `list` shows them")
    add("--trainers", nargs="+", metavar="NAME", help="trainers; for the ablation their hosts")
    add(
        "--datasets",
        nargs="+",
        metavar="NAME",
        help="files of configs/datasets; pacs:photo for one target domain, pacs:all for each",
    )
    add("--seeds", nargs="+", metavar="N", default=["1-3"], help="seeds (default: 1 2 3)")
    add("--shots", nargs="+", metavar="K", help="images a class (default: the protocol's)")
    add("--phases", nargs="+", metavar="NAME", help="only these, e.g. train_base, test_new, or the ablation's mmd")
    add("--root", default="", help="folder that holds the data sets")
    add("--output", default="output", help="folder of all results (default: output)")
    add("--config", default="", help="trainers' yaml (default: demo for embedded data, else the protocol's)")
    add("--backbone", default="", help="as that of `craft train`")
    add("--source", default="", help="data set to train on across data sets and domains (default: imagenet)")
    add("--executor", choices=tuple(EXECUTORS), default="local", help="where runs are carried out (default: local)")
    add("--jobs", type=int, default=1, metavar="N", help="runs at a time; several GPUs are shared out")
    add("--cores", type=int, metavar="N", help="processor cores of a run (default: the executor's choice)")
    add("--gpus", type=float, metavar="N", help="GPUs of a run, or a share of one (default: the executor's choice)")
    add("--rerun", choices=("code", "all"), default="", help="repeat done runs: those of other code, or all")
    imports.add_option(out)
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    argv = list(sys.argv[1:] if argv is None else argv)
    # --seeds 1 2 OPTIM.LR 0.1: a list ends where the first configuration key begins.
    cut = next((number for number, word in enumerate(argv) if KEY.fullmatch(word)), len(argv))
    # What is imported may register protocols, trainers, data sets and executors: before anything is looked up.
    names, words = imports.take(argv[:cut])
    options, pairs = parser().parse_args(words), argv[cut:]
    if len(pairs) % 2:
        raise UserError(f"trailing options come in pairs KEY VALUE; {pairs[-1]!r} has no partner")
    if options.action == "list":
        for protocol in PROTOCOLS.values():
            print(f"{protocol.name:<22} {protocol.summary}")
            print(f"{'':<22} data sets: {' '.join(protocol.datasets)}; shots: {' '.join(map(str, protocol.shots))}")
        return 0
    if not options.protocol:
        raise UserError(f"{options.action} needs the name of a protocol: {', '.join(PROTOCOLS)}")
    for name in ("jobs", "cores"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} is {value}; it must be at least 1")
    if options.gpus is not None and options.gpus < 0:
        raise UserError(f"--gpus is {options.gpus:g}; it must be 0 or more")
    runs = plan(
        protocol_named(options.protocol),
        Sweep(
            trainers=split_words(options.trainers),
            datasets=split_words(options.datasets),
            seeds=numbers(options.seeds, "--seeds"),
            shots=numbers(options.shots, "--shots"),
            phases=split_words(options.phases),
            root=options.root,
            output=options.output,
            config=options.config,
            backbone=options.backbone,
            source=options.source,
            options=tuple(pairs),
            imports=tuple(names),
        ),
    )
    if options.action == "show":
        for run in runs:
            print(run.command)
        return 0
    if options.action == "status":
        print("\n".join(grid(runs)))
        return 0
    return carry_out(runs, options)


def carry_out(runs: list[Run], options) -> int:
    from craft.lab.sweeps.progress import Lines
    from craft.lab.sweeps.runner import execute

    executor = executor_named(options.executor)(options.jobs)

    lines = Lines(sys.stdout)
    try:
        outcomes = execute(runs, executor, options.rerun, lines.say, options.cores, options.gpus, lines)
    finally:
        lines.clear()
    count = {result: sum(o.result == result for o in outcomes) for result in ("done", "kept", "failed", "left out")}
    print(f"{count['done']} run, {count['kept']} done before, {count['failed']} failed, {count['left out']} left out")
    for outcome in outcomes:
        if outcome.result == "failed":
            print(f"FAILED {outcome.run.name}\n    {outcome.detail}\n    log: {outcome.log or 'none'}")
    if count["failed"]:
        print("The same command runs the failed ones again and keeps the others.")
    return 1 if count["failed"] or count["left out"] else 0


def grid(runs: list[Run]) -> list[str]:
    """A line a row of runs, a column a seed, and below it the reasons of failures."""
    seeds = sorted({run.seed for run in runs})
    rows: dict[str, dict[int, str]] = {}
    reasons, code, check = [], identity.code_digest(), Check()
    for run in runs:
        state = record.state_of(run.folder)
        short = {"not started": "-", "failed": "FAILED"}.get(state.name, state.name)
        if state.name in ("interrupted", "running") and state.epochs:
            short = f"{state.name} {state.epoch}/{state.epochs}"
        if state.name == "done" and ((record.read(run.folder) or {}).get("identity") or {}).get("code") != code:
            short = "done*"
        if state.name in ("done", "interrupted"):
            refused, why = check.refusal(run)
            short = refused or short
            reasons += [f"{refused} {run.name}: {why}"] if refused else []
        rows.setdefault(run.name.rpartition("/")[0], {})[run.seed] = short
        if state.name == "failed":
            reasons.append(f"FAILED {run.name}: {state.error} (log: {record.log_of(run.folder) or 'none'})")
    width = max((len(name) for name in rows), default=0)
    columns = [max(len(f"seed {seed}"), *(len(row.get(seed, "")) for row in rows.values())) for seed in seeds]
    lines = ["  ".join([" " * width, *(f"seed {seed}".ljust(w) for seed, w in zip(seeds, columns))]).rstrip()]
    for name, row in rows.items():
        cells = [row.get(seed, "").ljust(w) for seed, w in zip(seeds, columns)]
        lines.append("  ".join([name.ljust(width), *cells]).rstrip())
    if any("done*" in row.values() for row in rows.values()):
        reasons.append("* done by another version of the code; `run` keeps it, `run --rerun code` repeats it")
    return lines + reasons


if __name__ == "__main__":
    sys.exit(main())
