"""Sheets of panels as PNG and PDF, which a paper and a web page can both use, in the colours of `craft.lab.palette`;
hatches and markers survive a black-and-white print."""

from __future__ import annotations

import contextlib
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # figures go to files; a machine without a screen must do

import matplotlib.pyplot as plt

from craft.common.files import atomic_path
from craft.lab.palette import COLOURS, SETTINGS, colour, hatch, line, marker

__all__ = ["COLOURS", "colour", "hatch", "legend", "line", "marker", "sheet", "title"]


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
                    # The paper is as large as what is on it, so that no legend or label is cut off.
                    figure.savefig(temporary, format=ending, metadata=metadata, bbox_inches="tight", pad_inches=0.06)
                paths.append(path)
        finally:
            plt.close(figure)


def legend(figure, handles, labels, **options) -> None:
    """A legend below all panels, in as many columns as the sheet has room for."""
    labels = list(labels)
    one = 0.45 + 0.066 * max(map(len, labels), default=1)  # inches: a handle, and letters of 8 points
    columns = max(1, min(len(labels), int(figure.get_figwidth() / one)))
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, **options)


def title(figure, text: str) -> None:
    """A title above all panels, in as many lines as the sheet's width asks for."""
    figure.suptitle(textwrap.fill(text, max(30, int(13 * figure.get_figwidth()))), fontsize=9.5)
