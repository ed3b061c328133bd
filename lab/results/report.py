"""One HTML file with everything about a sweep: tables, figures, settings, failures. No script, no font, no image from
elsewhere, so it opens offline and can be mailed; wide tables scroll by themselves on a narrow screen."""

from __future__ import annotations

import base64
import html
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import write_text
from craft.lab.results import render
from craft.lab.results.collect import Result
from craft.lab.results.grid import Grid
from craft.lab.results.tables import build, of_protocol
from craft.runs import identity, record
from craft.terms import TERMS, weight_key
from craft.trainers.structures import host_name

STYLE = Path(__file__).with_suffix(".css")
CAPTIONS = {
    "gains": "Gain of Craft over its host in harmonic mean, by data set; line: 95 % interval over seeds.",
    "few_shot": "Accuracy by number of images a class; bars: sample standard deviation over seeds.",
    "ablation": "Each term of Craft as difference to the host, paired by seed; line: 95 % interval, dots: seeds.",
    "losses": "Terms of the loss by epoch as they enter it, weights included; line: mean, shade: range over seeds.",
    "tsne": "t-SNE of the same test images before and after; each panel is an embedding of its own.",
    "channels": "How differently the domains use the channels: log2 of the ratio of their mean magnitudes' shares.",
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
    sections = [("tables", "Tables", [_grid(grid) for grid in grids])]
    sections += [("figures", "Figures", [_picture(*picture) for picture in pictures])]
    sections += [("failures", "Runs without a result", _failures(results))]
    sections += [("settings", "Settings", _settings(results))]
    sections = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title, _ in sections)
    body = "".join(f'<h2 id="{key}">{title}</h2>{"".join(parts)}' for key, title, parts in sections)
    style = STYLE.read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Craft: {_e(name)}</title><style>{style}</style></head><body>"
        f"<h1>Results: {_e(name)}</h1>{_summary(results)}<nav>{links}</nav>{body}</body></html>\n"
    )


def _e(text: Any) -> str:
    return html.escape(str(text))


def _summary(results: list[Result]) -> str:
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
    return "".join(f"<p>{_e(line)}</p>" for line in lines)


def _grid(grid: Grid) -> str:
    bold, unbold = "\0b", "\0e"  # marks that survive escaping
    header, rows = render.rows_of(grid, bold=lambda cell: f"{bold}{cell}{unbold}")
    out = [f"<h3>{_e(grid.title)}</h3>", f'<p class="soft">{render.LEGEND}; best mean in bold</p>']
    out.append(_table(header, rows).replace(bold, "<b>").replace(unbold, "</b>"))
    header, rows = render.difference_rows(grid)
    if rows:  # the interval below its mean: half as wide
        out.append(_table(header, rows).replace(" [", "<br>["))
    notes = "".join(f"<li>{_e(line)}</li>" for line in render.remarks(grid))
    return "".join(out) + (f"<ul>{notes}</ul>" if notes else "")


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    def row(cells: list[str], tag: str) -> str:
        kinds = [' class="published"' if "(published)" in name else "" for name in header]
        return (
            "<tr>"
            + "".join(f"<{tag}{kind}>{_e(cell).replace('/', '/<wbr>')}</{tag}>" for kind, cell in zip(kinds, cells))
            + "</tr>"
        )

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="scroll"><table><thead>{row(header, "th")}</thead><tbody>{body}</tbody></table></div>'


def _picture(kind: str, stem: str, content: bytes) -> str:
    caption = CAPTIONS[kind]
    data = base64.b64encode(content).decode("ascii")
    width = int.from_bytes(content[16:20], "big") // 2  # a PNG's header; drawn at twice a screen's resolution
    name = stem.replace("_", " ")
    return (
        f'<figure><div class="scroll"><img width="{width}" style="min-width:min({width}px, 40rem)" alt="{_e(name)}" '
        f'src="data:image/png;base64,{data}"></div><figcaption>{_e(caption)}</figcaption></figure>'
    )


def _failures(results: list[Result]) -> list[str]:
    parts = []
    for result in results:
        if result.state == "done":
            continue
        why = f": {_e(result.detail)}" if result.detail else ""
        parts.append(f'<p><b>{_e(_name(result))}</b><br><span class="bad">{_e(result.state)}</span>{why}</p>')
        log = record.log_of(result.folder)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if log else []
        trace = (result.record or {}).get("traceback") or ""
        text = "\n".join([*lines, trace]).strip()
        if text:
            parts.append(f"<details><summary>end of its log</summary><pre>{_e(text)}</pre></details>")
    return parts


def _name(result: Result) -> str:
    return f"{result.phase} {result.dataset} {result.trainer} {result.shots} shots seed {result.seed}"


def _settings(results: list[Result]) -> list[str]:
    """A line a kind of run, and the first seed's command and whole configuration to open."""
    kinds: dict[tuple, list[Result]] = {}
    for result in results:
        if result.record and "config" in result.record:
            key = (result.phase, result.dataset, result.shots, result.trainer, result.config)
            kinds.setdefault(key, []).append(result)
    if not kinds:
        return []
    settings = SETTINGS | {weight_key(term): f"w {term.name}" for term in TERMS.values()}
    header = ["run", "shots", "seeds", *settings.values(), "minutes", "peak MiB", "code"]
    rows, details = [], []
    for (phase, dataset, shots, trainer, _), members in kinds.items():
        first = members[0]
        flat = _config(first)
        crafted = host_name(trainer) != trainer
        chosen = [str(flat.get(key, "–")) if crafted or key in SETTINGS else "–" for key in settings]
        minutes = sum(_timing(r).get("seconds", 0) for r in members) / len(members) / 60
        peaks = [max((r.record.get("peak_memory_mb") or {"": 0}).values()) for r in members]
        codes = sorted({r.record["identity"]["code"] for r in members})
        name = f"{phase} {dataset} {trainer}"
        seeds = " ".join(str(r.seed) for r in members)
        rows.append([name, str(shots), seeds, *chosen, f"{minutes:.1f}", f"{max(peaks):.0f}", ", ".join(codes)])
        text = "\n".join(f"{key}: {value}" for key, value in sorted(identity.settled(first.record["config"]).items()))
        facts = "\n".join(f"{key}: {value}" for key, value in _facts(first).items())
        details.append(
            f"<details><summary>{_e(name)}, {shots} shots: command and configuration of seed {first.seed}</summary>"
            f"<pre>{_e(facts)}</pre><pre>{_e(text)}</pre></details>"
        )
    return [_table(header, rows), *details]


def _facts(result: Result) -> dict[str, Any]:
    own = result.record
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
