"""What a protocol is: its phases, and the table that its runs become. Data only; the paper's own are in `catalogue`.

Every run's folder is ``<output>/<phase folder>/<data set>/shots_<K>/<trainer>/<config>/seed<N>``, which for
base-to-new is the layout that CoOp's scripts made common.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Options = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Phase:
    """One kind of run of a protocol.

    folder: below the output folder. options: configuration keys. needs: the phase whose learned prompts it evaluates;
    None: it trains, and tests. source: it runs on the protocol's source data set instead of on each of the sweep's.
    suffix: of the trainer, in place of the one asked for. label: what the table calls it, as a column or as a row.
    pictured: figures of features show what it learned.
    """

    folder: str
    options: Options = ()
    needs: Phase | None = None
    source: bool = False
    suffix: str | None = None
    label: str = ""
    pictured: bool = True

    @property
    def name(self) -> str:
        """The last part of its folder: what ``--phases`` takes."""
        return self.folder.rpartition("/")[2]

    @property
    def on_source(self) -> bool:
        """Whether its prompts are learned on the source data set, by itself or by the phase that it needs."""
        return self.source or (self.needs is not None and self.needs.source)


@dataclass(frozen=True)
class Metric:
    """A number of ``metrics.json``. head: of its column. published: its name in the published tables. less: the
    smaller, the better."""

    name: str
    head: str = ""
    published: str = ""
    less: bool = False

    @property
    def column(self) -> str:
        return self.head or self.name


@dataclass(frozen=True)
class Table:
    """How the runs of a protocol become tables.

    per: what one table is of, some of ``dataset``, ``family`` (a data set with all its target domains), ``shots`` and
    ``host``. columns: ``phases``, ``shots``, ``datasets``
    (the source first) or ``metrics``. rows: ``trainers``, or ``phases``, each compared with the first of them.
    metrics: where they are the columns. main: the metric of all cells where they are not, and the one that is missed
    where no run has any. harmonic: (column, of these two columns). average: over data sets, in a column where they are
    columns, else in a table of its own. published: whose numbers stand beside ours, a protocol of the files in
    lab/results/published. claims: where gains that Craft's paper names without a table are quoted, beside runs of
    their setting: ``beside`` published numbers, below the last table, or below ``each``. notes: below each table.
    """

    per: tuple[str, ...] = ("dataset", "shots")
    columns: str = "metrics"
    rows: str = "trainers"
    metrics: tuple[Metric, ...] = (Metric("accuracy"),)
    main: str = "accuracy"
    harmonic: tuple[str, str, str] | None = None
    average: bool = False
    published: str = ""
    claims: str = ""
    notes: tuple[str, ...] = ()


def _no_schedule(host: str, dataset: str, shots: int) -> Options:
    return ()


@dataclass(frozen=True)
class Protocol:
    """A protocol as data.

    config: name of the trainers' yaml. declared: its phases in their order, or a function that gives them, for phases
    that depend on what is registered. datasets, trainers, shots: what a sweep takes that names none. hosts_only:
    ``--trainers`` names prompt structures, and the phases their variants. each_domain: a data set that is named without
    a target domain stands for each of its domains in turn. source: the data set of its source phases.
    schedule: (host, data set, shots) -> options that a published schedule has there and one yaml cannot say.
    """

    name: str
    summary: str
    config: str
    declared: tuple[Phase, ...] | Callable[[], tuple[Phase, ...]]
    datasets: tuple[str, ...]
    trainers: tuple[str, ...]
    shots: tuple[int, ...] = (16,)
    hosts_only: bool = False
    each_domain: bool = False
    source: str = "imagenet"
    schedule: Callable[[str, str, int], Options] = _no_schedule
    table: Table = field(default_factory=Table)

    @property
    def phases(self) -> tuple[Phase, ...]:
        return self.declared() if callable(self.declared) else self.declared

    def phase(self, folder: str) -> Phase | None:
        """The phase whose runs lie below ``folder``; None where it is not this protocol's."""
        return next((phase for phase in self.phases if phase.folder == folder), None)
