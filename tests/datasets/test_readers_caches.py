"""Caches of draws, splits and listings are believed only where they fit what is on the disk now."""

import json
import random
import shutil

import pytest

from craft.common.files import digest_json
from craft.datasets import split_file
from craft.datasets.readers.eurosat import EuroSAT
from tests.fixtures_data.trees import load, make_cfg, make_tree, private_copy, triples


@pytest.fixture(scope="module")
def eurosat(tmp_path_factory):
    return {s: make_tree(tmp_path_factory.mktemp("euro") / "data", "EuroSAT", splits=s) for s in (True, False)}


@pytest.fixture
def root(eurosat, tmp_path):
    return private_copy(eurosat[True], tmp_path / "data")


def drawn(root, **settings):
    data = load(root, "EuroSAT", **{"shots": 4, **settings})
    return triples(data.train_x, root), triples(data.val, root)


def test_draw_does_not_outlive_its_split(root, capsys):
    """With the split replaced, what was trained on may be tested on: the old draw must go."""
    before, _ = drawn(root)
    path = root / "eurosat" / "split_zhou_EuroSAT.json"
    split = json.loads(path.read_text())
    split["train"], split["test"] = split["test"], split["train"]
    path.write_text(json.dumps(split))
    data = load(root, "EuroSAT", shots=4)
    after, test = triples(data.train_x, root), triples(data.test, root)
    assert set(before) <= set(test) and not set(after) & set(test)
    assert "stale" in capsys.readouterr().out


def cut(text):
    return text[: len(text) // 2]


def other_images(text):
    """Valid in itself, but with images that are not in the training list."""
    content = json.loads(text)
    content["train"], content["val"] = content["val"], content["train"]
    return json.dumps(content)


@pytest.mark.parametrize(
    "damage", [cut, other_images, lambda text: "[]", lambda text: "", lambda text: '{"format": 1}']
)
def test_damaged_draw_is_drawn_again(root, damage, capsys):
    wanted = drawn(root)
    path = root / "eurosat" / "split_fewshot" / "shot_4-seed_1.json"
    good = path.read_text()
    path.write_text(damage(good))
    assert drawn(root) == wanted
    assert f"Not using {path}" in capsys.readouterr().out
    assert path.read_text() == good


def test_a_draw_by_the_run_that_made_the_split_is_not_believed(eurosat, tmp_path, capsys):
    """Earlier versions went on with the stream that the split had used, and kept what came of it."""
    root = private_copy(eurosat[False], tmp_path / "data")
    wanted = drawn(root)
    path = root / "eurosat" / "split_fewshot" / "shot_4-seed_1.json"
    content = json.loads(path.read_text())
    del content["sha256"], content["stream"]
    other, _ = drawn(root, seed=2)
    content["train"] = [[path.removeprefix("eurosat/"), label] for path, label, _ in other]
    path.write_text(json.dumps(content | {"sha256": digest_json(content)}))
    assert drawn(root) == wanted != (other, wanted[1])
    assert "stale: drawn with another stream" in capsys.readouterr().out


def test_root_may_move(root, tmp_path):
    train, _ = drawn(root)
    text = (root / "eurosat" / "split_fewshot" / "shot_4-seed_1.json").read_text()
    assert str(tmp_path) not in text
    moved = root.rename(tmp_path / "elsewhere")
    data = load(moved, "EuroSAT", shots=4)
    assert triples(data.train_x, moved) == train
    assert all(item.impath.startswith(str(moved)) for item in data.train_x)


def test_zero_is_a_seed_and_no_seed_is_none(root):
    assert drawn(root, seed=0) == drawn(root, seed=0) != drawn(root, seed=1)
    cached = sorted(p.name for p in (root / "eurosat" / "split_fewshot").iterdir())
    random.seed(5)
    first = drawn(root, seed=-1)
    assert drawn(root, seed=-1) != first
    assert sorted(p.name for p in (root / "eurosat" / "split_fewshot").iterdir()) == cached


def test_draw_leaves_the_global_stream_alone(root):
    """A run that reads its draw and one that makes it must go on alike."""
    states = []
    for _ in range(2):
        random.seed(7)
        EuroSAT(make_cfg(root, "EuroSAT", shots=4)).load()
        states.append(random.getstate())
    assert states[0] == states[1]


def test_cache_dir_keeps_the_root_clean(eurosat, tmp_path):
    """A split made here is shared by later seeds from there, like one in the root."""
    root = private_copy(eurosat[False], tmp_path / "data")
    before = sorted(root.rglob("*"))
    first = load(root, "EuroSAT", seed=1, CACHE_DIR=str(tmp_path / "caches"))
    later = load(root, "EuroSAT", seed=2, shots=4, CACHE_DIR=str(tmp_path / "caches"))
    assert triples(first.test, root) == triples(later.test, root)
    assert sorted(root.rglob("*")) == before


def test_log_says_who_made_the_split(eurosat, tmp_path, capsys):
    root = private_copy(eurosat[False], tmp_path / "data")
    load(root, "EuroSAT", seed=3)
    assert "making a split with seed 3" in capsys.readouterr().out
    load(root, "EuroSAT", seed=1)
    assert "made here by an earlier run with seed 3" in capsys.readouterr().out


def test_of_two_runs_that_make_a_split_one_wins(eurosat, tmp_path, monkeypatch):
    """The other reads the winner's file, and draws as any run that finds a split."""
    root = private_copy(eurosat[False], tmp_path / "data")
    publish = split_file.publish_split

    def late(path, split, image_dir, seed):
        if not path.exists():
            monkeypatch.setattr(split_file, "publish_split", publish)
            load(root, "EuroSAT", seed=1)
        return publish(path, split, image_dir, seed)

    monkeypatch.setattr(split_file, "publish_split", late)
    loser = load(root, "EuroSAT", seed=2, shots=4)
    again = load(root, "EuroSAT", seed=2, shots=4)
    assert json.loads((root / "eurosat" / "split_zhou_EuroSAT.json").read_text())["made_by"]["seed"] == 1
    assert triples(loser.train_x, root) == triples(again.train_x, root)
    assert triples(loser.test, root) == triples(again.test, root)


def test_imagenet_listing_follows_the_disk(tmp_path, monkeypatch):
    """Edited names, a new image and a removed one are seen, although the folders are not listed again for nothing."""
    from craft.datasets import listing

    monkeypatch.setattr(listing, "FRESH_NS", -1)  # the miniature is only seconds old
    root = make_tree(tmp_path / "data", "ImageNet")
    folder = root / "imagenet"
    first = load(root, "ImageNet")
    assert (folder / "listing-images-train.json").is_file()

    def counted(path, calls=[]):  # noqa: B006  (the list counts calls)
        calls.append(path)
        return listing.image_names(path)

    monkeypatch.setattr(listing, "class_images", counted)
    load(root, "ImageNet")
    assert not counted.__defaults__[0]

    names = (folder / "classnames.txt").read_text()
    (folder / "classnames.txt").write_text(names.replace(" missile\n", " rocket\n"))
    classes = sorted((folder / "images" / "train").glob("n*"))
    image = next(classes[0].glob("*.JPEG"))
    shutil.copy(image, image.with_name(f"{classes[0].name}_0.JPEG"))
    next(classes[1].glob("*.JPEG")).unlink()
    later = load(root, "ImageNet")
    assert [c.replace("missile", "rocket") for c in first.classnames] == later.classnames
    sizes = [[sum(i.label == label for i in d.train_x) for label in (0, 1, 2)] for d in (first, later)]
    assert [b - a for a, b in zip(*sizes)] == [1, -1, 0]
    assert {path.name for path in counted.__defaults__[0]} == {classes[0].name, classes[1].name}
