"""Which cells make up the table of each protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from craft.common.errors import UserError, unknown
from craft.lab.results import stats
from craft.lab.results.collect import Result
from craft.lab.results.grid import Filler, Grid, count_shots
from craft.lab.results.published import claims
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.trainers.structures import host_name

ABLATION = {
    "host": "host",
    "static": "+ static",
    "stochastic": "+ stochastic",
    "both": "+ both",
    "mmd": "+ MMD",
    "all": "+ all",
}
# The group evaluator's names, and how the tables head them.
GROUP_METRICS = {
    "accuracy_train_weighted": "average",
    "worst_group_accuracy": "worst group",
    "gap": "gap",
    "accuracy": "plain accuracy",
}


def build(results: list[Result], only: str = "") -> list[Grid]:
    """The tables of all protocols found among ``results``, or of one. UserError where that one has no run."""
    makers: dict[str, Callable[[list[Result]], list[Grid]]] = {
        "base2new": _base2new,
        "few_shot": _few_shot,
        "cross_dataset": _cross_dataset,
        "domain_generalization": _domain_generalization,
        "ood": _ood,
        "group_robustness": _groups,
        "ablation": _ablation,
        "runs": _single_runs,
    }
    if only and only not in makers:
        raise unknown("protocol", only, makers)
    grids = []
    for name, make in makers.items():
        if not only or name == only:
            grids += make(results)
    if not grids:
        known = ", ".join(sorted({result.phase for result in results}))
        raise UserError(f"no run of {only or 'any protocol'} was found; there are runs of {known}")
    return grids


def _of(results: Iterable[Result], phase: str) -> list[Result]:
    return [result for result in results if result.phase == phase]


def _groups_of(results: list[Result], *keys: str) -> dict[tuple, list[Result]]:
    out: dict[tuple, list[Result]] = {}
    for result in results:
        out.setdefault(tuple(getattr(result, key) for key in keys), []).append(result)
    return dict(sorted(out.items(), key=lambda pair: str(pair[0])))


def _title(protocol: str, what: str, shots: int = 0) -> str:
    return f"{protocol}: {what}" + (f", {count_shots(shots)}" if shots else "")


# -- the protocols ----------------------------------------------------------------------------------------------------


H_NOTE = "H is the harmonic mean of base and new, computed seed by seed and then averaged"


def _base2new(results: list[Result]) -> list[Grid]:
    phases = {"base": _of(results, "base2new/train_base"), "new": _of(results, "base2new/test_new")}
    every = phases["base"] + phases["new"]
    grids, by_shots = [], {}
    for (shots, dataset), group in _groups_of(every, "shots", "dataset").items():
        filler = Filler("base2new", _title("base2new", dataset, shots), group)
        for column, members in phases.items():
            for result in members:
                if result in group:
                    filler.add(result, column)
        grid = filler.grid
        grid.columns = ["base", "new", "H"]
        grid.derived = {"H"}
        for row in grid.rows:
            grid.values[(row, "H")] = stats.harmonic(
                grid.values.get((row, "base"), {}), grid.values.get((row, "new"), {})
            )
        filler.sort()
        # A row without any run of one half has not been evaluated there: its seeds are missing too.
        grids.append(filler.close(metrics={column: (dataset, column) for column in grid.columns}))
        grid.notes.append(H_NOTE)
        by_shots.setdefault(shots, []).append((dataset, filler))
    for shots, fillers in by_shots.items():
        if len(fillers) > 1:
            average = _average("base2new", fillers, ["base", "new"], shots)
            grid = average.grid
            grid.columns.append("H")
            grid.derived.add("H")
            for row in grid.rows:
                grid.values[(row, "H")] = stats.harmonic(grid.values[(row, "base")], grid.values[(row, "new")])
            all_eleven = len(fillers) == len(PROTOCOLS["base2new"].datasets)
            metrics = {column: ("average", column) for column in grid.columns} if all_eleven else None
            grids.append(average.close(metrics=metrics))
            grid.notes.append(H_NOTE + "; here of the averages over data sets")
    if any(grid.published for grid in grids):
        grids[-1].notes += claims("base2new")
    return grids


def _average(protocol: str, fillers: list[tuple[str, Filler]], columns: list[str], shots: int = 0) -> Filler:
    """Seed by seed the mean over data sets, for the rows and seeds that all of them have."""
    names = ", ".join(name for name, _ in fillers)
    out = Filler(protocol, _title(protocol, f"average over {len(fillers)} data sets", shots), [])
    out.grid.columns = list(columns)
    for _, filler in fillers:
        for row in filler.grid.rows:
            out.trainers[row] = filler.trainers.get(row, row)
    out.grid.rows = list(out.trainers)
    for row in out.grid.rows:
        for column in columns:
            parts = [filler.grid.values.get((row, column), {}) for _, filler in fillers]
            out.grid.values[(row, column)] = stats.across(parts)
            for (name, _), part in zip(fillers, parts):
                for seed in {seed for other in parts for seed in other} - set(part):
                    out.absent.setdefault((row, column, seed), f"it has no result on {name}")
    out.grid.notes.append(f"data sets: {names}")
    out.sort()
    return out


def _few_shot(results: list[Result]) -> list[Grid]:
    members = _of(results, "few_shot")
    shots = sorted({result.shots for result in members})
    fillers = []
    for (dataset,), group in _groups_of(members, "dataset").items():
        filler = Filler("few_shot", _title("few_shot", dataset), group)
        filler.grid.columns = [count_shots(k) for k in shots if any(result.shots == k for result in group)]
        for result in group:
            filler.add(result, count_shots(result.shots))
        filler.sort()
        filler.close(metrics={count_shots(k): (dataset, f"{k} shots") for k in shots})
        fillers.append((dataset, filler))
    grids = [filler.grid for _, filler in fillers]
    if len(fillers) > 1:
        grids.append(_average("few_shot", fillers, [count_shots(k) for k in shots]).close())
    return grids


def _across(protocol: str, results: list[Result], phase: str, source: bool) -> list[Grid]:
    """Rows methods, columns the source and every target, then the mean over targets."""
    targets = _of(results, phase)
    grids = []
    for (shots,), group in _groups_of(targets, "shots").items():
        trained = [r for r in _of(results, "cross_dataset/train") if r.shots == shots] if source else []
        filler = Filler(protocol, _title(protocol, "source and targets" if source else "targets", shots), group)
        for result in trained:
            filler.add(result, f"{result.dataset} (source)")
        names = list(dict.fromkeys(result.dataset for result in group))
        for result in group:
            filler.add(result, result.dataset)
        grid = filler.grid
        metrics = {f"{r.dataset} (source)": (r.dataset, "accuracy") for r in trained}
        metrics |= {name: (name, "accuracy") for name in names}
        if len(names) > 1:
            grid.columns.append("average")
            grid.derived.add("average")
            for row in grid.rows:
                grid.values[(row, "average")] = stats.across([grid.values.get((row, name), {}) for name in names])
            grid.notes.append(f"average: over the {len(names)} targets, seed by seed")
            catalogued = PROTOCOLS[protocol].datasets
            if len(names) == len(catalogued):
                metrics["average"] = ("average", "accuracy")
        filler.sort()
        grids.append(filler.close(metrics=metrics))
        if not all(name.startswith("Digits") for name in names):
            grid.notes += claims(protocol)
    return grids


def _cross_dataset(results: list[Result]) -> list[Grid]:
    return _across("cross_dataset", results, "cross_dataset/test", source=True)


def _domain_generalization(results: list[Result]) -> list[Grid]:
    return _across("domain_generalization", results, "domain_generalization/test", source=True)


def _ood(results: list[Result]) -> list[Grid]:
    return _across("ood", results, "ood", source=False)


def _groups(results: list[Result]) -> list[Grid]:
    grids = []
    for (dataset, shots), group in _groups_of(_of(results, "group_robustness"), "dataset", "shots").items():
        filler = Filler("group_robustness", _title("group_robustness", dataset, shots), group)
        for metric, column in GROUP_METRICS.items():
            if any(metric in result.metrics for result in group):
                for result in group:
                    filler.add(result, column, metric)
        if not filler.grid.rows:
            for result in group:
                filler.add(result, "worst group", "worst_group_accuracy")
        filler.sort()
        known = {"average": (dataset, "average"), "worst group": (dataset, "worst_group_accuracy")}
        grids.append(filler.close(metrics={c: known[c] for c in filler.grid.columns if c in known}))
        filler.grid.notes.append("average: groups weighted by their share of training images; gap = average − worst")
        if not dataset.startswith("Digits"):
            filler.grid.notes += claims("group_robustness")
    return grids


def _ablation(results: list[Result]) -> list[Grid]:
    members = [result for result in results if result.phase.startswith("ablation/")]
    grids = []
    for (dataset, shots), group in _groups_of(members, "dataset", "shots").items():
        for host in sorted({host_name(result.trainer) for result in group}):
            filler = Filler("ablation", _title("ablation", f"{host} on {dataset}", shots), [])
            mine = [result for result in group if host_name(result.trainer) == host]
            for variant, row in ABLATION.items():
                for result in mine:
                    if result.phase == f"ablation/{variant}":
                        filler.add(result, "accuracy", row=row)
            filler.grid.compare = [(row, "host") for row in filler.grid.rows if row != "host"]
            grids.append(filler.close())
            filler.grid.notes.append(f"host: {host}; every row is compared with it seed by seed")
    return grids


def _single_runs(results: list[Result]) -> list[Grid]:
    grids = []
    for (dataset, shots), group in _groups_of(_of(results, "runs"), "dataset", "shots").items():
        filler = Filler("runs", _title("runs", dataset, shots), group)
        for result in group:
            filler.add(result, "accuracy")
        filler.sort()
        grids.append(filler.close())
    return grids
