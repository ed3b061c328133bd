"""Figures of numbers that runs have written: ablation bars, gains by data set, few-shot curves, loss terms by epoch."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from craft.lab.results import stats
from craft.lab.results.collect import Result
from craft.lab.results.figures import style
from craft.lab.results.grid import Grid, count_shots, order
from craft.lab.sweeps.catalogue import PROTOCOLS, protocol_of
from craft.terms import TERMS
from craft.trainers.structures import host_name


def slug(text: str) -> str:
    """A file name from a title."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower().replace("+", "plus")).strip("_")


def ablation(grids: list[Grid], target: Path) -> list[Path]:
    """A bar a phase, where tables compare phases: mean difference to the first of them over seeds with its 95 %
    interval, and every seed as a dot."""
    paths: list[Path] = []
    for grid in grids:
        if grid.table.rows != "phases" or not grid.columns:
            continue
        metric = grid.columns[0]
        pairs = [(row, d) for row, _, column, d in grid.differences() if column == metric]
        if not pairs:
            continue
        base_row = grid.compare[0][1]
        host = grid.values[(base_row, metric)]
        with style.sheet(target, slug(grid.title), 1, 1, 5.2, 3.2, paths) as (_, axes):
            panel = axes[0, 0]
            for number, (row, found) in enumerate(pairs):
                panel.bar(number, found.mean, 0.62, color=style.colour(0), alpha=0.55, hatch=style.hatch(number))
                if found.low is not None and found.high is not None:
                    error = [[found.mean - found.low], [found.high - found.mean]]
                    panel.errorbar(number, found.mean, error, color="black", capsize=4, linewidth=1)
                seeds = grid.values[(row, metric)]
                shared = sorted(seeds.keys() & host.keys())
                offsets = [number + 0.08 * (i - (len(shared) - 1) / 2) for i in range(len(shared))]
                differences = [seeds[s] - host[s] for s in shared]
                panel.plot(offsets, differences, style.marker(0), color=style.colour(1), markersize=4, zorder=3)
            panel.axhline(0, color="black", linewidth=0.8)
            panel.set_xticks(range(len(pairs)), [row for row, _ in pairs])
            base = stats.summary(host)
            assert base is not None, "a pair has values on both sides"
            spread = f" ± {base.std:.1f}" if base.std is not None else ""
            panel.set_title(
                f"{grid.title}\n{base_row}: {base.mean:.1f}{spread} % over {base.n} seed{'s' if base.n > 1 else ''}"
            )
            panel.set_ylabel(f"difference to the {base_row} (points)")
            panel.set_xlabel("bar: mean, line: 95 % interval, dot: one seed")
    return paths


def gains(grids: list[Grid], target: Path) -> list[Path]:
    """Craft − host in the harmonic mean, where tables have one: a bar a data set, the largest gain on top; line: 95 %
    interval over seeds."""
    sheets: dict[tuple[str, str], dict[tuple[str, str], list[tuple[str, stats.Difference]]]] = {}
    for grid in grids:
        if grid.table.harmonic:
            head = grid.table.harmonic[0]
            name = grid.title.partition(": ")[2]
            for row, other, column, found in grid.differences():
                if column == head:
                    pairs = sheets.setdefault((grid.protocol, head), {})
                    pairs.setdefault((row, other), []).append((name, found))
    paths: list[Path] = []
    for (protocol, head), pairs in sheets.items():
        _gains(f"{protocol}_gains", head, pairs, target, paths)
    return paths


def _gains(
    name: str,
    head: str,
    pairs: dict[tuple[str, str], list[tuple[str, stats.Difference]]],
    target: Path,
    paths: list[Path],
) -> None:
    tallest = max(map(len, pairs.values()))
    size = (4.6 * len(pairs), 1.3 + 0.42 * tallest)
    with style.sheet(target, name, 1, len(pairs), *size, paths) as (_, axes):
        for panel, ((row, other), bars) in zip(axes[0], sorted(pairs.items(), key=lambda pair: order(pair[0][0]))):
            bars = sorted(bars, key=lambda bar: bar[1].mean)
            for number, (_, found) in enumerate(bars):
                gain = found.mean >= 0
                panel.barh(number, found.mean, 0.62, color=style.colour(0 if gain else 1), hatch="" if gain else "//")
                if found.low is not None and found.high is not None:
                    error = [[found.mean - found.low], [found.high - found.mean]]
                    panel.errorbar(found.mean, number, xerr=error, color="black", capsize=3, linewidth=1)
            panel.axvline(0, color="black", linewidth=0.8)
            panel.set_ylim(-0.7, len(bars) - 0.3)
            panel.set_yticks(range(len(bars)), [f"{name} (n={found.n})" for name, found in bars])
            panel.set_title(f"{row} − {other}")
            panel.set_xlabel(f"difference in {head} (points), paired by seed")


def few_shot(grids: list[Grid], target: Path) -> list[Path]:
    """Accuracy against shots, where these are a table's columns, a line a method: mean over seeds, with the sample
    deviation as error bars."""
    paths: list[Path] = []
    for grid in grids:
        if grid.table.columns != "shots" or len(grid.columns) < 2:
            continue
        with style.sheet(target, slug(grid.title), 1, 1, 4.6, 3.6, paths) as (figure, axes):
            panel = axes[0, 0]
            counts = [int(column.split()[0]) for column in grid.columns]
            for number, row in enumerate(grid.rows):
                points = [(k, s) for k, column in zip(counts, grid.columns) if (s := grid.summary(row, column))]
                panel.errorbar(
                    # Methods stand side by side, or their error bars would hide each other.
                    [k * (1 + 0.03 * (number - (len(grid.rows) - 1) / 2)) for k, _ in points],
                    [found.mean for _, found in points],
                    [found.std or 0 for _, found in points],
                    color=style.colour(number),
                    marker=style.marker(number),
                    linestyle=style.line(number),
                    markersize=5,
                    capsize=3,
                    label=row,
                )
            panel.set_xscale("log", base=2)
            panel.set_xticks(counts, [str(k) for k in counts])
            panel.minorticks_off()
            panel.set_xlabel("shots (images a class)")
            panel.set_ylabel("accuracy (%)")
            panel.set_title(grid.title)
            # Below, not within: it would lie on the lines.
            style.legend(figure, *panel.get_legend_handles_labels())
    return paths


def loss_curves(results: list[Result], target: Path) -> list[Path]:
    """Each term of the loss by epoch, a line a trainer: mean over seeds, shaded from the smallest to the largest.

    Terms are drawn as they enter the loss, weights included.
    """
    groups: dict[tuple[str, str, int, str], list[tuple[str, Result]]] = {}
    for result in results:
        protocol = protocol_of(result.phase)
        phase = protocol.phase(result.phase) if protocol else None
        if len(result.history) < 2 or (phase is not None and phase.needs is not None):
            continue
        name, line = result.phase, result.trainer
        if protocol and phase and protocol.table.rows == "phases":
            name, line = protocol.name, phase.label
        groups.setdefault((name, result.dataset, result.shots, host_name(result.trainer)), []).append((line, result))
    paths: list[Path] = []
    for (phase_name, dataset, count, host), found in groups.items():
        members = [result for _, result in found]
        lines: dict[str, list[Result]] = {line: [] for line in _order_of_lines(phase_name, [name for name, _ in found])}
        for line, result in found:
            lines[line].append(result)
        known = ("cross_entropy", *TERMS)
        terms = [name for name in known if any(name in r.history[0] for r in members)]
        own = {name for r in members for name in r.history[0]} - {"epoch", "lr", "loss", *known}
        terms += sorted(own)
        title = f"losses: {phase_name} {dataset} {host}, {count_shots(count)}"
        with style.sheet(target, slug(title), 1, len(terms), 2.7 * len(terms) + 0.6, 2.9, paths) as (figure, axes):
            for panel, term in zip(axes[0], terms):
                for number, (name, runs) in enumerate(lines.items()):
                    curves = [[epoch[term] for epoch in run.history] for run in runs if term in run.history[0]]
                    length = min(map(len, curves), default=0)
                    if not length:
                        continue
                    epochs = [epoch["epoch"] for epoch in runs[0].history][:length]
                    at_epoch = list(zip(*(curve[:length] for curve in curves)))
                    mean = [sum(values) / len(values) for values in at_epoch]
                    label = f"{name} (n={len(curves)})"
                    panel.plot(epochs, mean, style.line(number), color=style.colour(number), label=label)
                    low, high = [min(v) for v in at_epoch], [max(v) for v in at_epoch]
                    panel.fill_between(epochs, low, high, color=style.colour(number), alpha=0.15, linewidth=0)
                panel.set_title(term.replace("_", " "))
                panel.set_xlabel("epoch")
                panel.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes[0, 0].set_ylabel("loss term, weighted")
            handles = {label: handle for panel in axes[0] for handle, label in zip(*panel.get_legend_handles_labels())}
            style.legend(figure, handles.values(), handles.keys())
            style.title(figure, title)
    return paths


def _order_of_lines(phase_or_protocol: str, names: list[str]) -> list[str]:
    """Phases in their protocol's order; trainers in that of tables."""
    protocol = PROTOCOLS.get(phase_or_protocol)
    if protocol and protocol.table.rows == "phases":
        return [phase.label for phase in protocol.phases if phase.label in names]
    return sorted(set(names), key=order)
