"""How figures look, once: Okabe and Ito's colours, which the colour-blind tell apart, with hatches and markers that
survive a black-and-white print, and files that a paper and a web page can both use."""

from __future__ import annotations

import contextlib
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures go to files; a machine without a screen must do

import matplotlib.pyplot as plt

from craft.common.files import atomic_path

#: Okabe & Ito, Color Universal Design (2008), without yellow, which vanishes on paper
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
LINES = ("-", "--", "-.", ":")
SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.6,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "pdf.fonttype": 42,  # text stays text; journals ask for it
    "svg.hashsalt": "craft",
}


@contextlib.contextmanager
def sheet(target: Path, name: str, rows: int, columns: int, width: float, height: float, paths: list[Path], **options):
    """``(figure, axes)`` of a sheet of panels, saved as ``name``.png and .pdf at the end; their paths are appended."""
    with plt.rc_context(SETTINGS):
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, height), squeeze=False, layout="constrained", **options
        )
        try:
            yield figure, axes
            for ending in ("png", "pdf"):
                path = target / f"{name}.{ending}"
                # No dates in the files: the same numbers give the same bytes.
                metadata = {"CreationDate": None} if ending == "pdf" else {"Software": None}
                with atomic_path(path) as temporary:
                    figure.savefig(temporary, format=ending, metadata=metadata)
                paths.append(path)
        finally:
            plt.close(figure)


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def hatch(number: int) -> str:
    return HATCHES[number % len(HATCHES)]


def line(number: int) -> str:
    return LINES[number % len(LINES)]
