"""A benchmark's numbers as the table that docs/speed quotes; that page is compared with docs/benchmarks.json by a test.

python -m craft.lab.bench.markdown docs/benchmarks.json
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from craft.common.files import read_json
from craft.lab.bench.quantities import Results, applies, cases, find, loads, per_class, quantities
from craft.lab.bench.targets import TARGETS

HEADER = ["", "plain", "ours", "ratio", "wanted"]


def table(document: dict[str, Any]) -> str:
    """One row a case: both paths, how many times less ours needs, and the target where there is one.

    For memory the ratio is the share of the plain path's that ours needs, as the targets have it.
    """
    results, known = document["results"], quantities(document["results"])
    wanted = {target.quantity: target for target in TARGETS} if applies(document) else {}
    rows = []

    def row(name: str, times: Iterable[str], quantity: str, digits: int = 1) -> None:
        target, value = wanted.get(quantity), known.get(quantity)
        ratio = "" if value is None else f"{value:.{digits}f}"
        bound = f"{'≥' if target.at_least else '≤'} {target.bound:g}" if target else ""
        if target and target.unit != "x":  # a bound on ours alone
            ratio, bound = "", f"{bound} {target.unit}"
        rows.append([name, *times, ratio, bound])

    def both(kind: str, trainer: str, classes: int, form: str, paths=("plain", "ours")) -> list[str]:
        return [_shown(results, kind, trainer, classes, path, form) for path in paths]

    steps = cases(results, "step")
    for trainer, classes in steps:
        name, quantity = f"{trainer}, step, {classes:,} classes", f"step/{trainer}/{classes}"
        row(name, both("step", trainer, classes, "seconds"), quantity)
    for trainer in dict.fromkeys(trainer for trainer, _ in steps):
        slopes = per_class(results, trainer)
        shown = (f"{1000 * slopes[path]:.1f} ms" if path in slopes else "" for path in ("plain", "ours"))
        row(f"{trainer}, step, one more class", shown, f"class/{trainer}", 0)
    for trainer, classes in steps:
        case = f"{trainer}/{classes}"
        quantity = f"peak/{case}" if f"peak/{case}" in wanted else f"memory/{case}"
        name = f"{trainer}, peak memory, {classes:,} classes"
        row(name, both("step", trainer, classes, "peak"), quantity, 2)
    for trainer, classes in cases(results, "evaluate"):
        size = next(f"{one['batches']} batches of {one['batch']}" for one in results if one["kind"] == "evaluate")
        name, quantity = f"{trainer}, evaluation, {classes:,} classes, {size}", f"evaluate/{trainer}/{classes}"
        row(name, both("evaluate", trainer, classes, "seconds"), quantity)
    for trainer, classes in cases(results, "build"):
        for state in ("cold", "cached"):
            name, quantity = f"{trainer}, building, {classes:,} classes, {state}", f"build/{trainer}/{classes}/{state}"
            row(name, both("build", trainer, classes, "seconds", ("plain", state)), quantity, 0)
    loading = loads(results)
    if len(loading) == 2:
        one = loading["ours"]
        name = f"loading {one['images']} photographs, batch {one['batch']}, {one['workers']} workers"
        row(name, (f"{loading[path]['seconds']:.2f} s" for path in ("plain", "ours")), "load")
    lines = [HEADER, ["---"] + ["---:"] * (len(HEADER) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(results: Results, kind: str, trainer: str, classes: int, path: str, key: str) -> str:
    """Seconds or peak memory of one case; empty where it was not measured."""
    value = find(results, kind, trainer, classes, path).get(key)
    if value is not None:
        return f"{value:.2f} s" if key == "seconds" else f"{value / 1e9:.2f} GB"
    case = {"kind": kind, "trainer": trainer, "classes": classes, "path": path}
    left_out = any("left_out" in one and case.items() <= one.items() for one in results)
    return "does not fit" if left_out else ""


if __name__ == "__main__":
    print(table(read_json(sys.argv[1])))
