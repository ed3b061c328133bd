"""What people read of a benchmark: tables, verdicts on the targets, and the figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from craft.common.files import atomic_path
from craft.common.text_table import text_table
from craft.lab.bench.quantities import Results, applies, cases, find, loads, name_of, per_class, quantities, ratio
from craft.lab.bench.targets import TARGETS
from craft.lab.palette import colour


def load_table(results: Results, batch: int) -> str:
    """Images a second of both loaders, as multiples of what the fastest measured step reads too."""
    known = loads(results)
    steps = [one for one in results if one["kind"] == "step" and one["path"] == "ours" and "left_out" not in one]
    fastest = min(steps, key=lambda one: one["seconds"], default=None)
    rows = []
    for path, one in known.items():
        speed = one["images_per_second"]
        multiple = ratio(speed, batch / fastest["seconds"]) if fastest else None
        seconds = one["first_seconds"], one["seconds"]
        rows.append([path, number(speed, 0), number(multiple, 0), *(number(value, 3) for value in seconds)])
    one = next(iter(known.values()))
    title = f"loading {one['images']} JPEG, batch {one['batch']}, {one['workers']} workers"
    table = text_table([title, "images/s", "x a step's", "1st epoch s", "epoch s"], rows)
    if fastest:
        table += (
            f"\na step's: {fastest['trainer']}, {fastest['classes']} classes, the fastest here, reads {batch} images"
        )
    return table


def number(value: float | None, digits: int = 2, scale: float = 1.0) -> str:
    return "-" if value is None else f"{value * scale:9.{digits}f}"


def step_table(results: Results, rate: float) -> str:
    rows = []
    for trainer, classes in cases(results, "step"):
        plain, ours = (find(results, "step", trainer, classes, path) for path in ("plain", "ours"))
        shares = [ratio(ratio(one.get("flops"), one.get("seconds")), rate) for one in (plain, ours)]
        rows.append(
            [trainer, classes, number(plain.get("seconds")), number(ours.get("seconds"))]
            + [number(ratio(plain.get("seconds"), ours.get("seconds")), 1)]
            + [number(one.get("peak"), 2, 1e-9) for one in (plain, ours)]
            + [number(ratio(ours.get("peak"), plain.get("peak")))]
            + [number(one.get("to_first_step"), 1) for one in (plain, ours)]
            + [number(share, 0, 100) for share in shares]
        )
    header = ["training step", "classes", "plain s", "ours s", "faster x", "plain GB", "ours GB", "memory x"]
    return text_table([*header, "plain 1st s", "ours 1st s", "plain rate %", "ours rate %"], rows)


def tables(document: dict[str, Any]) -> str:
    """The whole report as text."""
    results, facts = document["results"], document["facts"]
    parts = [
        f"{facts['processor']}, {facts['memory'] / 1e9:.0f} GB; {facts['threads']} threads, torch {facts['torch']}, "
        f"{facts['dtype']} on {facts['device']}; backbone {facts['backbone']}, batch {document['batch']}; "
        f"medians of up to {document['repeats']} repetitions\n"
        f"class names of {facts['name_tokens']['mean']:.1f} tokens on average, {facts['name_tokens']['most']} at most; "
        f"our matrix products: {facts['products']}; the fastest reach {document['rate'] / 1e9:.0f} GFLOP/s\n"
        "plain: CLIP's own modules, 77 tokens, all classes at every step and test batch. GB: peak of a process of its "
        "own, nothing subtracted (10⁹ bytes).\n"
        "1st: from the start of the process to the end of the first step. rate: share of the matrix-product rate."
    ]
    if document["checks"]:
        worst = {key: max(one[key] for one in document["checks"]) for key in ("losses", "gradients")}
        parts.append(
            f"checked before timing, {len(document['checks'])} cases: losses agree within {worst['losses']:.1g}, "
            f"gradients within {worst['gradients']:.1g} (relative)"
        )
    if cases(results, "step"):
        parts.append(step_table(results, document["rate"]))
        rows = []
        for trainer in dict.fromkeys(t for t, _ in cases(results, "step")):
            slopes = per_class(results, trainer)
            both = ratio(slopes.get("plain"), slopes.get("ours"))
            rows.append([trainer, *(number(slopes.get(p), 2, 1000) for p in ("plain", "ours")), number(both, 1)])
        parts.append(text_table(["one more class in a step", "plain ms", "ours ms", "lower x"], rows))
    times: list[list[Any]] = []
    for trainer, classes in cases(results, "evaluate"):
        plain, ours = (find(results, "evaluate", trainer, classes, path) for path in ("plain", "ours"))
        name = f"evaluation, {trainer}, {_batches(results)}"
        times.append([name, classes, *_pair(plain, ours)])
    for trainer, classes in cases(results, "build"):
        for path in ("cold", "cached"):
            plain, ours = (find(results, "build", trainer, classes, p) for p in ("plain", path))
            times.append([f"building {trainer}, {path}", classes, *_pair(plain, ours)])
    if times:
        parts.append(text_table(["", "classes", "plain s", "ours s", "faster x"], times))
    if loads(results):
        parts.append(load_table(results, document["batch"]))
    missing = [f"left out: {name_of(r)}: {r['left_out']}" for r in results if "left_out" in r]
    if missing:
        parts.append("\n".join(missing))
    if applies(document):
        parts.append(target_table(document))
    return "\n\n".join(parts) + "\n"


def target_table(document: dict[str, Any]) -> str:
    known = quantities(document["results"])
    rows = []
    for target in TARGETS:
        value = known.get(target.quantity)
        bound = f"{'>=' if target.at_least else '<='} {target.bound:g} {target.unit}"
        found = ["-", "not measured"] if value is None else [f"{value:.2f}", target.verdict(value)]
        rows.append([target.quantity, bound, *found])
    return text_table(["target", "wanted", "found", ""], rows)


def _batches(results: Results) -> str:
    one = next(r for r in results if r["kind"] == "evaluate")
    return f"{one['batches']} batches of {one['batch']}"


def _pair(plain: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    seconds = plain.get("seconds"), ours.get("seconds")
    return [number(seconds[0], 3), number(seconds[1], 3), number(ratio(*seconds), 1)]


def figure(document: dict[str, Any], target: Path) -> None:
    """PNG: time and peak memory of a step over the number of classes, both paths, a colour a trainer."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    results = document["results"]
    picture = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(picture)
    panels = picture.subplots(1, 2)
    trainers = list(dict.fromkeys(t for t, _ in cases(results, "step")))
    counts = sorted({classes for _, classes in cases(results, "step")})
    for panel, key, scale, label in (
        (panels[0], "seconds", 1.0, "seconds a training step"),
        (panels[1], "peak", 1e-9, "peak memory of the process, GB"),
    ):
        for place, trainer in enumerate(trainers):
            for path, style in (("plain", "o--"), ("ours", "o-")):
                found = [find(results, "step", trainer, c, path).get(key) for c in counts]
                points = [(c, value * scale) for c, value in zip(counts, found) if value is not None]
                if points:
                    panel.plot(*zip(*points), style, color=colour(place), label=f"{trainer}, {path}")
        panel.set(xlabel="classes", ylabel=label)
        panel.grid(alpha=0.3)
        if panel.lines:
            panel.set(xscale="log", yscale="log")
            panel.set_xticks(counts, map(str, counts))
            panel.set_xticks([], minor=True)
            low, high = panel.get_ylim()
            ticks = [base * 10.0**power for power in range(-4, 5) for base in (1, 2, 5)]
            ticks = [tick for tick in ticks if low <= tick <= high]
            panel.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            panel.set_yticks([], minor=True)
            panel.legend(fontsize=8)
        else:
            panel.text(0.5, 0.5, "not measured", ha="center", transform=panel.transAxes)
    facts = document["facts"]
    picture.suptitle(
        f"{facts['backbone']}, batch {document['batch']}, {facts['threads']} threads, {facts['processor']}", fontsize=9
    )
    with atomic_path(target) as temporary:
        picture.savefig(temporary, format="png", dpi=130)
