"""The colours, markers and settings of every figure here, once: Okabe and Ito's colours, which the colour-blind tell
apart. No library is loaded for them."""

from __future__ import annotations

from typing import Any

#: Okabe & Ito, Color Universal Design (2008), without yellow, which vanishes on paper
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "--")
LINES = ("-", "--", "-.", ":")
#: of matplotlib
SETTINGS: Any = {  # matplotlib names each key in its types
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


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    return MARKERS[number % len(MARKERS)]


def hatch(number: int) -> str:
    return HATCHES[number % len(HATCHES)]


def line(number: int) -> str:
    return LINES[number % len(LINES)]
