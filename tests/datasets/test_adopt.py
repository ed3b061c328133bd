"""`craft data adopt`: miniatures as torchvision, Kaggle, Hugging Face and colleagues have them become what the readers
read; nothing is changed where they lie, nothing is half-written, and what could not be had is named."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torchvision.datasets as published

from craft.datasets import READERS
from craft.datasets.tools.command import main
from tests.fixtures_data.foreign import FOREIGN, SETS, tree
from tests.fixtures_data.trees import load, make_tree, triples

#: torchvision's own class reads what the maker laid: (class, arguments, images that it must find in all of them).
TORCHVISION = {
    "Caltech101": [(published.Caltech101, {})],
    "OxfordPets": [(published.OxfordIIITPet, {"split": part}) for part in ("trainval", "test")],
    "StanfordCars": [(published.StanfordCars, {"split": part}) for part in ("train", "test")],
    "OxfordFlowers": [(published.Flowers102, {"split": part}) for part in ("train", "val", "test")],
    "Food101": [(published.Food101, {"split": part}) for part in ("train", "test")],
    "FGVCAircraft": [(published.FGVCAircraft, {"split": part}) for part in ("train", "val", "test")],
    "SUN397": [(published.SUN397, {})],
    "DescribableTextures": [(published.DTD, {"split": part}) for part in ("train", "val", "test")],
    "EuroSAT": [(published.EuroSAT, {})],
    "ImageNet": [(published.ImageNet, {"split": part}) for part in ("train", "val")],
    "CelebA": [(published.CelebA, {"split": "all"})],
}
#: What the miniatures of these layouts cannot bring, so that a split or lists have to be given.
NEEDS_SPLIT = {("SUN397", "torchvision"), ("ImageNet", "torchvision")}


@pytest.fixture(scope="module")
def coop(tmp_path_factory):
    """Every set in CoOp's layout."""
    return make_tree(tmp_path_factory.mktemp("coop") / "data", *SETS)


def everything(folder):
    """{path: (size, inode, time of change)} of a folder, links not followed."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        state = path.lstat()
        found[str(path)] = (state.st_size, state.st_ino, state.st_mtime_ns)
    return found


def adopt(capsys, folder, name, root, *options):
    status = main(["adopt", str(folder), "--as", name, "--root", str(root), "--no-fetch", *options])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def contents(root, name, **keys):
    """{part: sorted [(bytes of the image, label, class name)]}: what a run gets, whatever files are called."""
    dataset = load(root, name, CACHE_DIR=str(Path(root) / "caches"), **keys)
    parts = {"train": dataset.train_x, "val": dataset.val, "test": dataset.test}
    return {part: sorted((Path(i.impath).read_bytes(), i.label, i.classname) for i in items or []) for part, items in parts.items()}


# -- every layout ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layout"), sorted(FOREIGN))
def test_a_layout_is_adopted_as_coop_wants_it(coop, tmp_path, capsys, monkeypatch, name, layout):
    theirs, root = tmp_path / "theirs", tmp_path / "data"
    theirs.mkdir()
    FOREIGN[name, layout](coop / SETS[name], theirs)
    if layout == "torchvision":
        monkeypatch.setattr(published.Flowers102, "_check_integrity", lambda self: True)  # digests of the full set
        monkeypatch.setattr(published.CelebA, "_check_integrity", lambda self: True)
        monkeypatch.setattr(published.CelebA, "_load_csv", published.CelebA._load_csv)
        if name != "CelebA":  # its class wants further lists that nothing here reads
            assert sum(len(kind(theirs, **options)) for kind, options in TORCHVISION[name]) > 0
    if (name, layout) in NEEDS_SPLIT:
        extra = "classnames.txt" if name == "ImageNet" else f"split_zhou_{name}.json"
        shutil.copy(coop / SETS[name] / extra, theirs / extra)
    before = everything(theirs)
    status, out = adopt(capsys, theirs, name, root, "--allow-subset")
    assert status == 0, out
    assert everything(theirs) == before, "nothing of the folder may be changed"
    assert [path.name for path in root.iterdir()] == [READERS[name].dataset_dir], out
    assert main(["check", name, "--root", str(root), "--allow-subset", "--images"]) == 0, capsys.readouterr().out
    capsys.readouterr()

    original = tmp_path / "original"
    tree(coop / SETS[name], original / SETS[name])
    here = root / READERS[name].dataset_dir
    split = next((f.path for f in READERS[name].files if f.role == "split"), "")
    if layout == "own names":
        assert "made here with seed 1" in out and "names of their own" in out
        (original / SETS[name] / split).unlink()
        mine, theirs_too = contents(root, name), contents(original, name)
        assert sorted(sum(mine.values(), [])) == sorted(sum(theirs_too.values(), []))
        return
    if split and not any(path.name == split for path in theirs.rglob(split)):
        (original / SETS[name] / split).unlink()
        assert json.loads((here / split).read_text())["made_by"]["seed"] == 1
    assert contents(root, name) == contents(original, name)
    relative = [triples(load(base, name).train_x, base / folder) for base, folder in ((root, here.name), (original, SETS[name]))]
    assert relative[0] == relative[1], "paths below the data set's folder are those of CoOp's layout"
