"""The readers return what CoOp's readers return on the same disk: same images, labels, names and order. The expected
values were recorded from CoOp's code; SPLITS_GOLDEN names another recording of the same format to check instead."""

import gzip
import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from craft.datasets.registry import READERS
from tests.fixtures_data.trees import linked_copy, load, make_tree, read_only, triples

OURS = sorted((Path(__file__).parent / "fixtures_data").glob("golden_splits*.json.gz"))
GOLDEN = [Path(os.environ["SPLITS_GOLDEN"])] if os.environ.get("SPLITS_GOLDEN") else OURS


def read_golden(path):
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as stream:
        return json.load(stream)["datasets"]


EXPECTED = {name: entry for path in GOLDEN for name, entry in read_golden(path).items()}
SPLIT_VARIANTS = [
    (name, variant)
    for name, entry in EXPECTED.items()
    for variant in entry["variants"]
    if variant != "without_split_file"
]
MADE = [name for name, entry in EXPECTED.items() if "without_split_file" in entry["variants"]]


@pytest.fixture(scope="session")
def trees():
    """{with split files: root} of the miniatures; outside pytest's private folder, so that any user can read it."""
    base = Path(tempfile.mkdtemp(prefix="miniatures-"))
    base.chmod(0o755)
    yield {True: make_tree(base / "with", *EXPECTED), False: make_tree(base / "without", *MADE, splits=False)}
    shutil.rmtree(base)


@pytest.fixture
def open_tmp():
    """A folder that any user can write to."""
    base = Path(tempfile.mkdtemp(prefix="readers-"))
    base.chmod(0o777)
    yield base
    shutil.rmtree(base)


def sha256(items):
    lines = "".join(f"{path}\t{label}\t{cname}\n" for path, label, cname in items)
    return hashlib.sha256(lines.encode()).hexdigest()


def expand(groups):
    return [(f"{folder}/{name}", label, cname) for label, cname, folder, names in groups for name in names]


def check(data, root, run, variant):
    """Compare a loaded data set with one recorded run."""
    train, test = triples(data.train_x, root), triples(data.test, root)
    assert data.num_classes == run["num_classes"]
    assert data.classnames == variant["classname_lists"][run["classnames"]]
    assert data.lab2cname == dict(enumerate(data.classnames))
    if "items" in run["train_x"]:
        assert train == expand(variant["item_lists"][run["train_x"]["items"]])
    for part, items in (("train_x", train), ("test", test)):
        assert (len(items), sha256(items)) == (run[part]["count"], run[part]["sha256"])
    if run["val"] is None:
        assert not data.val
    else:
        val = triples(data.val, root)
        assert (len(val), sha256(val)) == (run["val"]["count"], run["val"]["sha256"])


def settings(run):
    return {key: run[key] for key in ("seed", "shots", "subsample")}


@pytest.mark.parametrize(("name", "variant"), SPLIT_VARIANTS)
def test_same_as_coop(name, variant, trees, tmp_path):
    """One folder for all runs, so the caches of other seeds are there; a second pass reads this run's own."""
    expected = EXPECTED[name]["variants"][variant]
    root = linked_copy(trees[True], name, tmp_path / "data")
    for _ in range(2):
        for run in expected["runs"]:
            check(load(root, name, **settings(run)), root, run, expected)


def recording(name, run):
    """What a run without a split file must give of what CoOp was recorded to give; None where that was not recorded.

    Here a run draws the same shots whether it made the split or found it: as CoOp's runs that found it. And where a
    seed is known to give the published split, all runs make that.
    """
    whole = run["shots"] < 1
    wanted = {key: run[key] for key in ("shots", "subsample")} | {"split_seed": split_seed(name, run)}
    wanted |= {} if whole else {"seed": run["seed"], "split_made": "earlier run"}
    runs = EXPECTED[name]["variants"]["without_split_file"]["runs"]
    return next((one for one in runs if wanted.items() <= one.items()), None)


def split_seed(name, run):
    published = READERS[name].published_seed
    return run["split_seed"] if published is None else published


def check_made(data, root, name, run):
    """Compare what a run without a split file loaded with its recording, or with as much as there is of one."""
    expected = EXPECTED[name]["variants"]["without_split_file"]
    if recorded := recording(name, run):
        check(data, root, recorded, expected)
        return
    alike = {"shots": -1, "subsample": run["subsample"], "split_seed": split_seed(name, run)}
    recorded = next(one for one in expected["runs"] if alike.items() <= one.items())
    drawn = {"train_x": summary(data.train_x, root), "val": summary(data.val, root)}
    check(data, root, {**recorded, **drawn}, expected)
    train = expand(expected["item_lists"][recorded["train_x"]["items"]])
    assert set(triples(data.train_x, root)) <= set(train)


def summary(items, root):
    items = triples(items, root)
    return {"count": len(items), "sha256": sha256(items)}


@pytest.mark.parametrize("name", MADE)
def test_made_split_is_coops(name, trees, tmp_path):
    """The split made by this run or by an earlier one, as recorded; a repeated run draws the same images."""
    exact = 0
    for number, run in enumerate(EXPECTED[name]["variants"]["without_split_file"]["runs"]):
        root = linked_copy(trees[False], name, tmp_path / str(number))
        if run["split_made"] == "earlier run":
            load(root, name, seed=run["split_seed"])
        first = load(root, name, **settings(run))
        check_made(first, root, name, run)
        again = load(root, name, **settings(run))
        lists = [[triples(part, root) for part in (d.train_x, d.val, d.test)] for d in (first, again)]
        assert lists[0] == lists[1]
        exact += recording(name, run) is not None
    assert exact >= 10


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("maker", [1, 2])
def test_shots_do_not_depend_on_who_made_the_split(name, maker, trees, tmp_path):
    """A seed draws the same shots in the run that made the split and in one that found the very same split."""
    roots = [linked_copy(trees[False], name, tmp_path / which) for which in ("made", "found")]
    load(roots[1], name, seed=maker)
    made, found = (load(root, name, seed=maker, shots=4) for root in roots)
    for part in ("train_x", "val", "test"):
        assert triples(getattr(made, part), roots[0]) == triples(getattr(found, part), roots[1])


@pytest.mark.parametrize("name", MADE)
def test_the_published_split_is_made_whatever_the_seed(name, trees, tmp_path, capsys):
    roots = [linked_copy(trees[False], name, tmp_path / str(seed)) for seed in (1, 7)]
    lists = [triples(load(root, name, seed=seed).test, root) for root, seed in zip(roots, (1, 7))]
    trains = [triples(load(root, name, seed=seed).train_x, root) for root, seed in zip(roots, (1, 7))]
    said = capsys.readouterr().out
    if READERS[name].published_seed is None:
        assert trains[0] != trains[1] and "cannot be made anew" in said
    else:
        assert (lists[0], trains[0]) == (lists[1], trains[1])
        assert "with seed 1, as it was published" in said and "seed 7" not in said


@pytest.mark.parametrize(("name", "variant"), SPLIT_VARIANTS)
def test_read_only_root(name, variant, trees, open_tmp):
    """Nothing is written into the root; caches go beside the output and are used from there."""
    expected = EXPECTED[name]["variants"][variant]
    root = linked_copy(trees[True], name, open_tmp / "data")
    before = sorted(root.rglob("*"))
    with read_only(root):
        for run in expected["runs"][::5]:
            for _ in range(2):
                check(load(root, name, output=open_tmp / "output", **settings(run)), root, run, expected)
    assert sorted(root.rglob("*")) == before
    if expected["runs"][0]["val"] is not None:  # sets that only test have no draw to keep
        assert list((open_tmp / "output" / "cache" / name).rglob("shot_*.json"))


@pytest.mark.parametrize("name", MADE)
def test_read_only_root_without_split(name, trees, open_tmp):
    """Each run makes the split that its seed, or the published one, stands for, the same whenever and wherever."""
    expected = EXPECTED[name]["variants"]["without_split_file"]
    root = linked_copy(trees[False], name, open_tmp / "data")
    with read_only(root):
        for run in [r for r in expected["runs"] if r["split_made"] == "same run"][::5]:
            for _ in range(2):
                check_made(load(root, name, output=open_tmp / "output", **settings(run)), root, name, run)
