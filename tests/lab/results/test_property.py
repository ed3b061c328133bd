"""Trees of runs, drawn: each printed number is the mean of exactly the runs that its title, row and column name.

What belongs together is written here anew, from what was drawn; nothing of the tables' own notion of it is used. Every
run has a number that no other has, so that each number in a cell leads back to its run.
"""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from craft.lab.results.collect import collect
from craft.lab.results.sheets import each
from craft.lab.results.tables import build
from craft.lab.sweeps.catalogue import PROTOCOLS
from tests.lab.results.fake import checkpoint, write_run

#: (label of its yaml, registered name, PATH, target domains)
SETS = [
    ("caltech101", "Caltech101", "", ()),
    ("dtd", "DescribableTextures", "", ()),
    ("birds", "ImageFolder", "", ()),
    ("shapes", "ImageFolder", "", ()),
    ("my-set", "Caltech101", "", ()),
    ("image_folder", "ImageFolder", "a", ()),
    ("image_folder", "ImageFolder", "b", ()),
    ("image_folder-x", "ImageFolder", "a", ("x",)),
    ("image_folder-y", "ImageFolder", "a", ("y",)),
]
PHASES = {"few_shot": "all", "base2new/train_base": "base", "base2new/test_new": "new", "ood": "all"}
COLUMNS = {"base2new/train_base": "base", "base2new/test_new": "new"}


@dataclass(frozen=True)
class Drawn:
    """One run: where it lies (output, phase, set, shots, trainer, config, seed), what it is, and how it ended."""

    output: str
    phase: str
    data: tuple
    shots: int
    trainer: str
    config: str
    seed: int
    backbone: str = "ViT-B/16"
    epochs: int = 50
    rate: float = 0.002
    classes: int = 100
    shots_drawn: str = "x"
    ending: str = "done"

    @property
    def folder(self):
        return self.output, self.phase, self.data[0], self.shots, self.trainer, self.config, self.seed

    @property
    def counts(self):
        return self.ending == "done"


VALUES = {
    "output": ["one", "two"],
    "phase": list(PHASES),
    "data": SETS,
    "shots": [16, 1, 2],
    "trainer": ["CoOp", "CoOpCraft", "ZeroshotCLIP", "MaPLe"],
    "config": ["few_shot", "mine"],
    "seed": [1, 2, 3],
    "backbone": ["ViT-B/16", "demo"],
    "epochs": [50, 2],
    "rate": [0.002, 0.1],
    "classes": [100, 4],
    "shots_drawn": ["x", "y"],
    "ending": ["done", "failed", "damaged record", "damaged metrics", "nothing"],
}
OFTEN = {"seed": 3, "phase": 2, "trainer": 2, "data": 2}  # values of a tree; of all else mostly one


@st.composite
def trees(draw):
    """Runs that have much in common, or few would meet in a cell."""
    pools = {}
    varied = draw(st.sampled_from(list(VALUES)))  # of this there are two in any case: runs that differ in it alone meet
    for name, values in VALUES.items():
        least, most = (2, 2) if name == varied else (1, OFTEN.get(name) or draw(st.sampled_from([1, 1, 1, 2])))
        pools[name] = draw(st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=True))
    pools["ending"] = ["done", "done", "done", *pools["ending"]]
    one = st.builds(Drawn, **{name: st.sampled_from(pool) for name, pool in pools.items()})
    return draw(st.lists(one, min_size=1, max_size=12, unique_by=lambda run: run.folder))


def written(root: Path, tree: list[Drawn]) -> dict[float, Drawn]:
    """Writes the tree; number -> its run. A failed run may have left numbers, which do not count."""
    numbers = {}
    for number, run in enumerate(tree):
        value = 20.0 + number + 0.0625 * number
        label, name, path, targets = run.data
        folder = write_run(
            root / run.output, run.phase, label, run.trainer, run.seed, value, name=name, path=path, targets=targets,
            shots=run.shots, config=run.config, backbone=run.backbone, half=PHASES[run.phase], classes=run.classes,
            settings=[("OPTIM.MAX_EPOCH", run.epochs), ("OPTIM.LR", run.rate)],
            digests={"parts": {"train": run.shots_drawn}},
            state="failed" if run.ending == "failed" else "done", metrics=run.ending != "nothing",
            model=checkpoint(Path("elsewhere")) if run.phase == "base2new/test_new" else None,
        )  # fmt: skip
        if run.ending.startswith("damaged"):
            (folder / ("run.json" if run.ending == "damaged record" else "metrics.json")).write_text('{"state": ')
        numbers[value] = run
    return numbers


def setting(run: Drawn):
    """What must be one within a cell: all that the number depends on but the seed."""
    return run.phase, run.data, run.shots, run.trainer, run.config, run.backbone, run.epochs, run.rate, run.classes


NAMED = {
    "OPTIM.MAX_EPOCH": lambda run: str(run.epochs),
    "OPTIM.LR": lambda run: f"{run.rate:g}",
    "MODEL.BACKBONE.NAME": lambda run: run.backbone,
}


def check_cell(grid, row, column, cell, numbers):
    found = {seed: numbers[value] for seed, value in cell.items()}
    assert all(run.seed == seed and run.counts for seed, run in found.items())
    assert len({setting(run) for run in found.values()}) <= 1
    for run in found.values():
        trainer, _, inside = row.partition(" (")
        assert run.trainer == trainer and run.phase.startswith(grid.protocol)
        for word in inside.rstrip(")").split(", ") if inside else ():
            key, _, value = word.rpartition(" ")
            assert NAMED[key](run) == value if key else run.config == value
        if shots := re.search(r"(\d+) shots?", f"{grid.title} {column}"):
            assert run.shots == int(shots[1])
        if grid.protocol == "base2new":
            assert COLUMNS[run.phase] == column
    mean = sum(cell.values()) / len(cell) if cell else None
    part = each([grid])[0].parts[0]
    printed = next(line for line in part.rows if line.label == row).cells[part.columns.index(column)].main
    assert printed == (f"{mean:.2f}" if cell else "–")
    return found.values()


def name_of(grid, column):
    return column if grid.table.columns == "datasets" else grid.of["dataset"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=trees())
def test_each_number_is_the_mean_of_the_runs_that_it_names(tree):
    root = Path(tempfile.mkdtemp())
    try:
        numbers = written(root, tree)
        grids = build(collect(root))
        shown, sets_by_name = [], {}
        for grid in grids:
            if "average over" in grid.title:
                check_average(grid, grids)
                continue
            for (row, column), cell in grid.values.items():
                if column in grid.derived:
                    check_derived(grid, row, column, cell)
                    continue
                for run in check_cell(grid, row, column, cell, numbers):
                    shown.append(run)
                    # Two data sets never share a name, in whatever table.
                    assert sets_by_name.setdefault(name_of(grid, column), run.data) == run.data
                check_published(grid, row, column, cell, numbers)
            for column in grid.columns:  # rows that are compared were tested on the same
                cells = [grid.values.get((row, column), {}) for row in grid.rows if column not in grid.derived]
                assert len({numbers[value].classes for cell in cells for value in cell.values()}) <= 1
            for row, other, column, difference in grid.differences():
                if column not in grid.derived:
                    check_difference(grid, row, other, column, difference, numbers)
        check_that_nothing_is_lost(grids, tree, shown)
    finally:
        shutil.rmtree(root)


def check_derived(grid, row, column, cell):
    if column == "H":
        base, new = grid.values.get((row, "base"), {}), grid.values.get((row, "new"), {})
        assert cell == {
            seed: 2 * base[seed] * new[seed] / (base[seed] + new[seed]) for seed in base.keys() & new.keys()
        }
    else:
        parts = [grid.values.get((row, one), {}) for one in grid.columns if one not in grid.derived]
        for seed, value in cell.items():
            assert abs(value - sum(part[seed] for part in parts) / len(parts)) < 1e-9


def check_average(grid, grids):
    members = [one for one in grids if one.protocol == grid.protocol and "average over" not in one.title]
    members = [one for one in members if one.of.get("shots") == grid.of.get("shots")]
    for (row, column), cell in grid.values.items():
        if column in grid.derived:
            check_derived(grid, row, column, cell)
            continue
        parts = [one.values.get((row, column), {}) for one in members]
        runs = [run for one in members for run in one.runs.get((row, column), {}).values()]
        assert len({run.backbone for run in runs}) <= 1
        for seed, value in cell.items():
            assert abs(value - sum(part[seed] for part in parts) / len(parts)) < 1e-9


def check_published(grid, row, column, cell, numbers):
    if (row, column) in grid.published:
        for run in (numbers[value] for value in cell.values()):
            assert run.data in SETS[:2] and run.backbone == "ViT-B/16"
            assert run.trainer == "ZeroshotCLIP" or run.shots == 16
            assert run.classes == 4 or run.data[0] != "caltech101" or PHASES[run.phase] == "all"


def check_difference(grid, row, other, column, difference, numbers):
    ours, host = grid.values[(row, column)], grid.values[(other, column)]
    pairs = [
        ours[seed] - host[seed]
        for seed in ours.keys() & host.keys()
        if PHASES[numbers[ours[seed]].phase] == "new"
        or numbers[ours[seed]].shots_drawn == numbers[host[seed]].shots_drawn
    ]
    assert difference.n == len(pairs) and abs(difference.mean - sum(pairs) / len(pairs)) < 1e-9
    assert (difference.low is None) == (len(pairs) < 3)


def check_that_nothing_is_lost(grids, tree, shown):
    """A run is in one cell, or a table says why not."""
    said = "\n".join(line for grid in grids for line in (*grid.missing, *grid.notes))
    for run in tree:
        times = sum(one is run for one in shown)
        assert times <= 1
        if not times:
            assert f"seed {run.seed}" in said or f"seed{run.seed}" in said
            if run.ending.startswith("damaged"):
                assert "unreadable" in said


def test_all_phases_that_are_drawn_exist():
    assert set(PHASES) <= {phase.folder for protocol in PROTOCOLS.values() for phase in protocol.phases}
