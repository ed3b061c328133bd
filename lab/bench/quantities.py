"""What measurements say: one case out of all, ratios of both paths, and whether the targets apply."""

from __future__ import annotations

from typing import Any

from craft.lab.bench.targets import SITUATION

Results = list[dict[str, Any]]  # specifications with what was measured


def find(results: Results, kind: str, trainer: str, classes: int, path: str) -> dict[str, Any]:
    """The measurement of one case; empty where it was not made or left out."""
    wanted = {"kind": kind, "trainer": trainer, "classes": classes, "path": path}
    for one in results:
        if "left_out" not in one and all(one.get(key) == value for key, value in wanted.items()):
            return one
    return {}


def cases(results: Results, kind: str) -> list[tuple[str, int]]:
    """(trainer, classes) of all measurements of a kind that has them, in their order."""
    return list(dict.fromkeys((r["trainer"], r["classes"]) for r in results if r["kind"] == kind))


def ratio(above: float | None, below: float | None) -> float | None:
    """above / below; None where either is missing, or not positive (a slope within the noise)."""
    return above / below if above is not None and below is not None and above > 0 and below > 0 else None


def per_class(results: Results, trainer: str) -> dict[str, float]:
    """Seconds that one more class adds to a step, by path: between the fewest and the most classes of both paths.

    Where the plain path was not measured twice, ours is given between its own ends.
    """
    counts = {
        path: [c for t, c in cases(results, "step") if t == trainer and find(results, "step", t, c, path)]
        for path in ("plain", "ours")
    }
    shared = [c for c in counts["ours"] if c in counts["plain"]]
    slopes = {}
    for path, known in counts.items():
        ends = shared if len(shared) > 1 else known
        if len(ends) > 1 and set(ends) <= set(known):
            low, high = min(ends), max(ends)
            times = [find(results, "step", trainer, c, path)["seconds"] for c in (low, high)]
            slopes[path] = (times[1] - times[0]) / (high - low)
    return slopes


def quantities(results: Results) -> dict[str, float]:
    """Everything the targets speak of. Ratios are plain / ours, for memory ours / plain; peaks in GB (10⁹ bytes)."""
    found: dict[str, float | None] = {}
    for trainer, classes in cases(results, "step"):
        plain, ours = (find(results, "step", trainer, classes, path) for path in ("plain", "ours"))
        case = f"{trainer}/{classes}"
        found[f"step/{case}"] = ratio(plain.get("seconds"), ours.get("seconds"))
        found[f"first/{case}"] = ratio(plain.get("to_first_step"), ours.get("to_first_step"))
        found[f"memory/{case}"] = ratio(ours.get("peak"), plain.get("peak"))
        found[f"peak/{case}"] = ratio(ours.get("peak"), 1e9)
        slopes = per_class(results, trainer)
        found[f"class/{trainer}"] = ratio(slopes.get("plain"), slopes.get("ours"))
    for trainer, classes in cases(results, "evaluate"):
        plain, ours = (find(results, "evaluate", trainer, classes, path) for path in ("plain", "ours"))
        found[f"evaluate/{trainer}/{classes}"] = ratio(plain.get("seconds"), ours.get("seconds"))
    for trainer, classes in cases(results, "build"):
        plain = find(results, "build", trainer, classes, "plain")
        for path in ("cold", "cached"):
            ours = find(results, "build", trainer, classes, path)
            found[f"build/{trainer}/{classes}/{path}"] = ratio(plain.get("seconds"), ours.get("seconds"))
    plain, ours = (loads(results).get(path, {}) for path in ("plain", "ours"))
    found["load"] = ratio(plain.get("seconds"), ours.get("seconds"))
    return {name: value for name, value in found.items() if value is not None}


def loads(results: Results) -> dict[str, dict[str, Any]]:
    """The measurements of loading, by path."""
    return {one["path"]: one for one in results if one["kind"] == "load" and "left_out" not in one}


def applies(document: dict[str, Any]) -> bool:
    """Whether the targets speak of this run."""
    here = {**document["facts"], "batch": document["batch"]}
    return all(here.get(key) == value for key, value in SITUATION.items())


def name_of(spec: dict[str, Any]) -> str:
    """``MaPLeCraft step, 100 classes, plain``."""
    parts = [f"{spec['trainer']} {spec['kind']}" if "trainer" in spec else spec["kind"]]
    parts += [f"{spec['classes']} classes"] if "trainer" in spec else []
    return ", ".join([*parts, *([spec["path"]] if "path" in spec else [])])
