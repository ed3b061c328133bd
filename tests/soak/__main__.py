"""Everything that the project is put through, one part after the other or side by side; see `tests.soak`.

    python -m tests.soak --json docs/soak.json      all of it: hours on two cores
    python -m tests.soak --short                    a few of everything: under 90 seconds
    python -m tests.soak --only kills fuzz --kills 500 --inputs 1000000 --json FILE

Exits with 1 where a wrong outcome occurred. The same --seed gives the same trials, but for the moments of kills.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.soak import children, damage, full_disk, fuzz, kills, together
from tests.soak.report import as_text, merged
from tests.soak.tally import EXAMPLES, Tally

PARTS = ("kills", "damage", "full disk", "together", "command lines", "fuzz")
FEW = ["CoOpCraft", "MaPLe"]  # trainers of the short form, and of parts that are the same for all


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        "python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = out.add_argument
    add("--short", action="store_true", help="a few of everything")
    add("--only", nargs="+", metavar="PART", choices=PARTS, default=PARTS, help=f"of {', '.join(PARTS)}")
    add("--kills", type=int, default=None, help="SIGKILLs (200)")
    add("--flips", type=int, default=None, help="random bits of every kind of file (64)")
    add("--every", type=int, default=None, help="of the 64 places of a file, and of the writes of a run (1)")
    add("--processes", type=int, default=None, help="at once (10)")
    add("--lines", type=int, default=None, help="malformed command lines (2000)")
    add("--inputs", type=int, default=None, help="fuzzed inputs (100000)")
    add("--seed", type=int, default=1)
    add("--jobs", type=int, default=os.cpu_count() or 1, help="parts side by side (one a core)")
    add("--json", type=Path, default=None, help="where the counts are written")
    return out


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    usual = {"kills": 200, "flips": 64, "every": 1, "processes": 10, "lines": 2000, "inputs": 100_000}
    short = {"kills": 6, "flips": 1, "every": 32, "processes": 4, "lines": 20, "inputs": 1900}
    for name, value in (short if options.short else usual).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
    children.warm()
    began = time.monotonic()
    found = _side_by_side([(part, work) for part, work in _plan(options) if part in options.only], options.jobs)
    record = {
        "command": " ".join(["python -m tests.soak", *(sys.argv[1:] if argv is None else argv)]),
        "seconds": round(time.monotonic() - began),
        "machine": f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "versions": _versions(),
        "parts": merged(found),
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(as_text(record))
    return int(any(part["wrong"] for part in record["parts"].values()))


def _plan(options: argparse.Namespace) -> list[tuple[str, Callable[[], Tally]]]:
    """Pieces of the parts that may run side by side, long ones first."""
    seed, every = options.seed, options.every
    learning = [name for name in ("CoOpCraft", "MaPLe") if options.short] or None
    pieces = 1 if options.short else 7
    each = -(-options.kills // 3)
    plan: list[tuple[str, Callable[[], Tally]]] = []
    for share in range(pieces):
        plan.append(("damage", lambda share=share: damage.run(options.flips, seed + share, every, (share, pieces))))
    if options.short:
        plan.append(("kills", lambda: kills.run(options.kills, seed, learning)))
    else:
        names = [name for name in kills.runs.trainers() if name != "ZeroshotCLIP"]
        for share in range(3):
            plan.append(("kills", lambda share=share: kills.run(each, seed + share, names[share::3])))
    plan.append(("full disk", lambda: full_disk.run(FEW[:1] if options.short else FEW, seed, every)))
    plan.append(("together", lambda: together.run(options.processes, FEW[:1] if options.short else FEW)))
    plan.append(("command lines", lambda: _command_lines(options.lines, seed)))
    plan.append(("fuzz", lambda: fuzz.run(options.inputs, seed)))
    return plan


def _command_lines(count: int, seed: int) -> Tally:
    """Those that `tests.soak.command_lines` draws from the table of keys and the commands' options."""
    tally = Tally("command lines", count)
    if importlib.util.find_spec("tests.soak.command_lines") is None:
        tally.skipped = "tests.soak.command_lines is not there"
        return tally
    found: Counter[tuple[str, str]] = Counter()
    with children.scratch():
        wrong = importlib.import_module("tests.soak.command_lines").run(count, seed, counts=found)
    for (kind, outcome), number in found.items():
        for _ in range(number):
            tally.add(kind, outcome)
    tally.examples = [f"{shlex.join(case.argv)}: {problem[-500:]}" for case, problem in wrong[:EXAMPLES]]
    return tally


def _side_by_side(plan: list[tuple[str, Callable[[], Tally]]], jobs: int) -> list[tuple[str, dict]]:
    """The counts of every piece, each made in a fork of its own, so many at a time."""
    waiting, found = list(plan), []
    running: dict[int, tuple[str, Path]] = {}
    with tempfile.TemporaryDirectory() as name:
        while waiting or running:
            while waiting and len(running) < jobs:
                part, work = waiting.pop(0)
                path = Path(name) / f"{len(waiting)}.json"
                sys.stdout.flush()
                pid = os.fork()
                if pid == 0:
                    _piece(part, work, path)
                running[pid] = part, path
            pid, _ = os.wait()
            if pid in running:
                part, path = running.pop(pid)
                found.append((part, json.loads(path.read_text(encoding="utf-8"))))
    return found


def _piece(part: str, work: Callable[[], Tally], path: Path) -> None:
    import traceback

    try:
        result = work().as_json()
    except BaseException:
        traceback.print_exc()
        lost = Tally(part, 1)
        lost.add("the harness", "failed", traceback.format_exc().strip().splitlines()[-1])
        result = lost.as_json()
    path.write_text(json.dumps(result), encoding="utf-8")
    os._exit(0)


def _versions() -> dict[str, str]:
    from craft.runs.identity import versions

    return {name: value for name, value in versions().items() if name in ("code", "commit", "torch")}


if __name__ == "__main__":
    sys.exit(main())
