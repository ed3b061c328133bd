"""One HTML file with everything about a sweep: tables, figures, settings, failures. No script, no font, no image from
elsewhere, so it opens offline and can be mailed; wide tables scroll by themselves on a narrow screen. How it looks is
in ``templates/report.html`` and ``report.css``; here is what it shows."""

from __future__ import annotations

import base64
import re
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from craft.common.errors import UserError
from craft.common.files import write_text
from craft.lab.results import sets, sheets, zeroshot
from craft.lab.results.collect import Result
from craft.lab.results.grid import Grid
from craft.lab.results.sheets import Sheet
from craft.lab.results.tables import build, of_protocol
from craft.lab.results.templating import environment
from craft.runs import identity, record
from craft.terms import TERMS, weight_key
from craft.trainers.structures import host_name

CAPTIONS = {
    "gains": "Gain of Craft over its host in harmonic mean, by data set; line: 95 % interval over seeds.",
    "few_shot": "Accuracy by number of images a class; bars: sample standard deviation over seeds.",
    "ablation": "Each term of Craft as difference to the host, paired by seed; line: 95 % interval, dots: seeds.",
    "losses": "Terms of the loss by epoch as they enter it, weights included; line: mean, shade: range over seeds.",
    "tsne": "t-SNE of the same test images before and after; each panel is an embedding of its own.",
    "channels": "How differently the domains use the channels: log2 of the ratio of their mean magnitudes' shares; "
    "0: alike. Points are channels.",
    "predictions": "Test images whose true class gained or lost most from host to Craft, chosen by that rule.",
}
#: what a reader asks for first; the weights of Craft's terms come behind
SETTINGS = {
    "MODEL.BACKBONE.NAME": "backbone",
    "OPTIM.MAX_EPOCH": "epochs",
    "OPTIM.LR": "lr",
    "DATALOADER.TRAIN_X.BATCH_SIZE": "batch",
}


def write_report(results: list[Result], folder, target: Path, protocol: str, figures: tuple[str, ...]) -> None:
    """Write the report on ``results``, found in ``folder``, to ``target``, atomically.

    protocol: only this one; empty: all. figures: kinds of `craft.lab.results.figures.KINDS` to draw.
    """
    results = of_protocol(results, protocol)
    try:
        grids = build(results, protocol)
    except UserError:
        if not results:
            raise
        grids = []  # nothing but failures: the report is about them
    pictures = _pictures(results, protocol, figures)
    write_text(target, page(results, grids, pictures, Path(folder).name or str(folder)))


def _pictures(results: list[Result], protocol: str, kinds: tuple[str, ...]) -> list[tuple[str, str, bytes]]:
    """(kind, name, PNG) of each figure."""
    if not kinds:
        return []
    from craft.lab.results.figures import draw_kinds

    with tempfile.TemporaryDirectory() as scratch:
        drawn = draw_kinds(results, Path(scratch), protocol, kinds)
        return [(kind, path.stem, path.read_bytes()) for kind, path in drawn if path.suffix == ".png"]


# -- the page ---------------------------------------------------------------------------------------------------------


def page(results: list[Result], grids: list[Grid], pictures: list[tuple[str, str, bytes]], name: str) -> str:
    pages = environment(autoescape=True)
    pages.filters |= {"breakable": _breakable, "spread": _spread}
    return pages.get_template("report.html").render(
        name=name,
        legend=sheets.LEGEND,
        summary=_summary(results),
        zeroshot=_zeroshot(results),
        sheets=[_shown(sheet) for sheet in sheets.automatic(grids)],
        pictures=[_picture(*picture) for picture in pictures],
        failures=_failures(results),
        settings=_settings(results),
    )


def _breakable(text: Any) -> Markup:
    """Text that a narrow screen may break where a reader would."""
    return Markup(re.sub(r"(?<=[/_])|(?<=[a-zA-Z])(?=Craft|CLIP)|(?<=Craft)(?=OOD)", "<wbr>", str(escape(text))))


def _spread(text: str) -> Markup:
    """A deviation or an interval; the latter on a line of its own where there is no room."""
    parts = text.replace("± ", "±\N{NO-BREAK SPACE}").replace(" [", "\0[").split("\0")
    return Markup("<wbr>").join(Markup("<span>{}</span>").format(part) for part in parts)


def _shown(sheet: Sheet) -> dict[str, Any]:
    several = len(sheet.grids) > 1
    return {
        **vars(sheet),
        "single": sheets.each(sheet.grids) if several else [],
        "seeds": [_seeds(grid, grid.title if several else "") for grid in sheet.grids],
    }


def _seeds(grid: Grid, title: str) -> dict[str, Any]:
    """Every value of a grid, in full: a row a method and column, a column a seed."""
    seeds = sorted({seed for cell in grid.values.values() for seed in cell})
    rows = []
    for row in grid.rows:
        for column in grid.columns:
            values = grid.values.get((row, column), {})
            if values:
                rows.append([row, column, *(f"{values[seed]:.2f}" if seed in values else "–" for seed in seeds)])
    return {"title": title, "head": ["method", "", *(f"seed {seed}" for seed in seeds)], "rows": rows}


def _summary(results: list[Result]) -> list[str]:
    states = Counter(result.state for result in results)
    text = ", ".join(f"{count} {state}" for state, count in states.most_common())
    seeds = sorted({result.seed for result in results})
    last = max((_timing(r).get("finished") or "" for r in results), default="")
    lines = [
        f"{len(results)} runs: {text}. Seeds: {', '.join(map(str, seeds))}." + (f" Last run: {last}." if last else "")
    ]
    backbones = sorted({b for r in results if (b := _config(r).get("MODEL.BACKBONE.NAME"))})
    if "demo" in backbones:
        lines.append(
            "The backbone demo is a toy, trained on rendered characters for demonstration; its numbers say how the "
            "method runs, not how good it is."
        )
    return lines


def _zeroshot(results: list[Result]) -> dict[str, Any]:
    """Zero-shot runs held against the published numbers; empty where none can be."""
    found = [one for one in zeroshot.worst(zeroshot.checks(results)) if one.verdict != zeroshot.NONE]
    if not found:
        return {}
    order = sets.in_order((one.result.dataset, one.result.data) for one in found)
    found.sort(key=lambda one: order.index(one.result.dataset))
    head = ["data set, classes", "", "ours", "published", "difference", "its record says"]
    rows = [
        [
            f"{one.result.dataset}, {one.part}",
            one.verdict,
            f"{one.accuracy:.2f}",
            f"{one.expected.value:.2f}" if one.expected else "–",
            sheets.signed(one.difference),
            "; ".join(one.told) or "–",
        ]
        for one in found
    ]
    far = any(one.verdict == zeroshot.FAR for one in found)
    return {"head": head, "rows": rows, "far": far, "causes": zeroshot.CAUSES if far else (), "points": zeroshot.POINTS}


def _picture(kind: str, stem: str, content: bytes) -> dict[str, Any]:
    return {
        "caption": CAPTIONS[kind],
        "data": base64.b64encode(content).decode("ascii"),
        "width": int.from_bytes(content[16:20], "big") // 2,  # a PNG's header; drawn at twice a screen's resolution
        "name": stem.replace("_", " "),
    }


def _failures(results: list[Result]) -> list[dict[str, str]]:
    parts = []
    for result in results:
        if result.state == "done":
            continue
        log = record.log_of(result.folder)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log else []
        trace = (result.record or {}).get("traceback") or ""
        text = "\n".join([*lines, trace]).strip()
        parts.append({"name": _name(result), "state": result.state, "why": result.detail, "log": text})
    return parts


def _name(result: Result) -> str:
    return f"{result.phase} {result.dataset} {result.trainer} {result.shots} shots seed {result.seed}"


def _settings(results: list[Result]) -> dict[str, Any]:
    """A line for all seeds of the same settings, and the first one's command and whole configuration to open."""
    kinds: dict[tuple, list[Result]] = {}
    for result in results:
        if result.record and "config" in result.record:
            key = (result.phase, result.dataset, result.shots, result.trainer, result.config, *result.settings.items())
            kinds.setdefault(key, []).append(result)
    if not kinds:
        return {}
    settings = SETTINGS | {weight_key(term): f"w {term.name}" for term in TERMS.values()}
    header = ["run", "shots", "seeds", *settings.values(), "minutes", "peak MiB", "code"]
    rows, details = [], []
    for (phase, dataset, shots, trainer, *_), members in kinds.items():
        first = members[0]
        flat = _config(first)
        chosen = [*(str(flat.get(key, "–")) for key in SETTINGS), *_weights(trainer, flat)]
        minutes = sum(_timing(r).get("seconds", 0) for r in members) / len(members) / 60
        peaks = [max((r.told.get("peak_memory_mb") or {"": 0}).values()) for r in members]
        codes = sorted({r.told["identity"]["code"] for r in members})
        name = f"{phase} {dataset} {trainer}"
        seeds = " ".join(str(r.seed) for r in members)
        rows.append([name, str(shots), seeds, *chosen, f"{minutes:.1f}", f"{max(peaks):.0f}", ", ".join(codes)])
        text = "\n".join(f"{key}: {value}" for key, value in sorted(identity.settled(first.told["config"]).items()))
        facts = "\n".join(f"{key}: {value}" for key, value in _facts(first).items())
        said = f"{name}, {shots} shots: command and configuration of seed {first.seed}"
        details.append({"summary": said, "facts": facts, "configuration": text})
    return {"head": header, "rows": rows, "details": details}


def _weights(trainer: str, flat: dict[str, Any]) -> list[str]:
    """Of Craft's terms; – for one that the run did not have, whatever its weight's default is."""
    crafted = host_name(trainer) != trainer
    compares = trainer.endswith("OOD") or bool(flat.get("TRAINER.CRAFT.GROUP_MMD"))
    found = []
    for term in TERMS.values():
        weight = flat.get(weight_key(term))
        found.append(str(weight) if crafted and weight and (compares or not term.compares) else "–")
    return found


def _facts(result: Result) -> dict[str, Any]:
    own = result.told
    return {
        "command": own.get("command"),
        "identity": own.get("identity"),
        "split": own.get("split"),
        "anchors": own.get("anchors"),
        "device": own.get("device"),
        "versions": own.get("versions"),
        "timing": {key: value for key, value in _timing(result).items() if key != "sessions"},
    }


def _config(result: Result) -> dict[str, Any]:
    return identity.flatten((result.record or {}).get("config", {}))


def _timing(result: Result) -> dict[str, Any]:
    return (result.record or {}).get("timing") or {}
