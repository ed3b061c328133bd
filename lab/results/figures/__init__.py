"""The figures of the paper, from real runs only, as PNG and PDF: each kind is drawn where the runs for it are there.

What is drawn is what tables declare (`craft.lab.sweeps.protocol.Table`), and a figure never trains a model.
"""

from __future__ import annotations

import sys
from pathlib import Path

from craft.common.errors import UserError, unknown
from craft.lab.results.collect import Result
from craft.lab.results.tables import build, of_protocol

OF_NUMBERS = ("gains", "few_shot", "ablation", "losses")
OF_MODELS = ("tsne", "channels", "predictions")
KINDS = (*OF_NUMBERS, *OF_MODELS)


def draw_all(results: list[Result], target: Path, protocol: str = "", only: tuple[str, ...] = ()) -> list[Path]:
    """Draw what the runs allow into ``target``; returns the files in the order of KINDS.

    only: some of KINDS. Those of OF_MODELS load checkpoints and data. UserError for an unknown kind.
    """
    return [path for _, path in draw_kinds(results, target, protocol, only)]


def draw_kinds(
    results: list[Result], target: Path, protocol: str = "", only: tuple[str, ...] = ()
) -> list[tuple[str, Path]]:
    """As `draw_all`, each file with its kind."""
    from craft.lab.results.figures import features, numbers

    for kind in only:
        if kind not in KINDS:
            raise unknown("figure", kind, KINDS)
    wanted = only or KINDS
    results = of_protocol(results, protocol)
    try:
        grids = build(results, protocol)
    except UserError:
        grids = []
    drawn: list[tuple[str, Path]] = []
    for kind, draw in (("gains", numbers.gains), ("few_shot", numbers.few_shot), ("ablation", numbers.ablation)):
        if kind in wanted:
            drawn += [(kind, path) for path in draw(grids, target)]
    if "losses" in wanted:
        drawn += [("losses", path) for path in numbers.loss_curves(results, target)]
    pairs = features.pairs_of(results) if set(OF_MODELS) & set(wanted) else []
    for kind in OF_MODELS:
        if kind in wanted:
            paths, reasons = features.attempt(getattr(features, kind), pairs, target)
            drawn += [(kind, path) for path in paths]
            for reason in reasons:
                print(f"not drawn: {reason}", file=sys.stderr)
    return drawn
