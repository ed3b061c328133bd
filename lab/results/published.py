"""The published numbers: one file a published table in ``published/``, with the setting that they are of. They stand
beside ours in columns of their own, only where that setting is the runs', and each names its paper and table."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from craft.lab.results.collect import Result
from craft.lab.results.layouts import stock_name
from craft.lab.sweeps.protocol import Protocol
from craft.trainers.structures import host_name, structure_of

FOLDER = Path(__file__).resolve().parent / "published"
CLAIMS = FOLDER / "claims.yaml"


@dataclass(frozen=True)
class Published:
    """A number in per cent. source: paper, table and setting, and whether the original table was looked at."""

    value: float
    source: str


@dataclass(frozen=True)
class PaperTable:
    """One published table.

    protocol: `Table.published` of the protocols that it belongs to. backbone, shots, source (the data set that prompts
    were learned on, where that is another): its setting. epochs: by method, then by data set, ``default`` for the rest;
    none where the paper's is not known here. datasets: what ``average`` is over. table: number, or README. note: what
    must be said beside each number. values: data set (registered name, or ``average``) -> method -> metric -> per cent.
    """

    file: str
    protocol: str
    backbone: str
    shots: int
    paper: str
    arxiv: str
    table: str
    values: dict[str, dict[str, dict[str, float]]] = field(repr=False)
    source: str = ""
    epochs: dict[str, dict[str, int]] = field(default_factory=dict)
    datasets: tuple[str, ...] = ()
    note: str = ""

    @property
    def cited(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"{self.paper} (arXiv {self.arxiv}), {self.table}, {self.backbone}, {self.shots} shots{note}"

    def against(self, method: str, run: Result, protocol: Protocol) -> str:
        """In what a run is not of this table's setting; empty where it is."""
        if run.backbone != self.backbone:
            return f"their backbone is {self.backbone}, here {run.backbone or 'not recorded'}"
        trained = (found := structure_of(method)) is None or found.trainable
        if trained and run.shots != self.shots:
            return f"they are of {self.shots} shots, these of {run.shots}"
        if not run.data.stock:
            return f"{run.dataset} is not the published data set"
        if not run.on_test:
            return "these were tested on validation images"
        if self.source and (wrong := self._other_source(run, protocol, trained)):
            return wrong
        epochs, ours = self.epochs_of(method, run.data.name), run.settings.get("OPTIM.MAX_EPOCH", "")
        if trained and epochs and ours and ours != str(epochs):
            return f"they are of {epochs} epochs, these of {ours}"
        return ""

    def _other_source(self, run: Result, protocol: Protocol, trained: bool) -> str:
        phase = protocol.phase(run.phase)
        if phase is not None and phase.source:
            same = run.data.name == stock_name(self.source)
        else:
            same = not trained or run.source == self.source
        return "" if same else f"their prompts were learned on {stock_name(self.source)}, not on {run.source or '?'}"

    def epochs_of(self, method: str, dataset: str) -> int | None:
        known = self.epochs.get(method, {})
        return known.get(dataset, known.get("default"))


@functools.cache
def tables() -> tuple[PaperTable, ...]:
    """All published tables, by file name."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        if path != CLAIMS:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            content["datasets"] = tuple(content.get("datasets", ()))
            found.append(PaperTable(file=path.name, **content))
    return tuple(found)


def _candidates(
    protocol: Protocol, method: str, metric: str, runs: list[list[Result]], averaged: bool
) -> list[tuple[PaperTable, float]]:
    """Tables that have a number for the data sets of ``runs``, and the number."""
    names = {run.data.name for part in runs for run in part}
    found = []
    for table in tables():
        if table.protocol != protocol.table.published:
            continue
        if averaged and (set(table.datasets) != names or len(runs) != len(table.datasets)):
            continue
        key = "average" if averaged else next(iter(names)) if len(names) == 1 else ""
        value = table.values.get(key, {}).get(method, {}).get(metric)
        if value is not None:
            found.append((table, value))
    return found


def published(
    protocol: Protocol, method: str, metric: str, runs: list[list[Result]], averaged: bool = False
) -> Published | None:
    """The number that a paper has for ``method`` where it is of the setting of all ``runs`` (by data set).

    averaged: the average over exactly these data sets. None where there is none, or more than one would fit.
    """
    fitting = [
        (table, value)
        for table, value in _candidates(protocol, method, metric, runs, averaged)
        if not any(table.against(method, run, protocol) for part in runs for run in part)
    ]
    if len({value for _, value in fitting}) != 1:
        return None
    table, value = fitting[0]
    return Published(value, table.cited)


def why_not(protocol: Protocol, method: str, metric: str, runs: list[list[Result]], averaged: bool = False) -> str:
    """Why a number that a paper has is not shown; empty where none has one."""
    for table, _ in _candidates(protocol, method, metric, runs, averaged):
        for part in runs:
            for run in part:
                if wrong := table.against(method, run, protocol):
                    return wrong
    return ""


def claims(protocol: Protocol, results: list[Result]) -> list[str]:
    """What was published of Craft itself without a table, its largest gains: beside runs of Craft in their setting."""
    content = yaml.safe_load(CLAIMS.read_text(encoding="utf-8"))
    known = {stock_name(label.partition(":")[0]) for label in protocol.datasets}
    fitting = [
        run
        for run in results
        if run.metrics
        and host_name(run.trainer) != run.trainer
        and run.data.stock
        and run.data.name in known
        and run.backbone == content["backbone"]
        and run.shots == content["shots"]
        and run.source in ("", protocol.source, run.data.stem)
    ]
    value = content["largest_gain"].get(protocol.table.published)
    if not fitting or value is None:
        return []
    return [f"published of Craft ({content['source']}): largest gain {value:g} points"]
