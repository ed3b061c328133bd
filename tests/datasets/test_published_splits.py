"""The published splits as facts: digests and counts. The files themselves are not here; where CRAFT_PUBLISHED_SPLITS
names a folder that holds some of them (``split_zhou_*.json``, ImageNet's ``imagenet_classnames.txt``), they are
compared with the facts, and so is every draw that CoOp makes of them.

The digests of draws are those of linzhiqiu/cross_modal_adaptation's lists, which hold CoOp's draws: 15 a data set.
"""

import hashlib
import json
import os
import random
from pathlib import Path

import pytest

from craft.datasets import digests, published
from craft.datasets.few_shot import draw
from craft.datasets.readers.imagenet_family import CLASSES, CLASSNAMES_DIGEST, read_classnames
from craft.datasets.registry import READERS
from craft.datasets.split_file import SplitFileDataset, read_split
from craft.datasets.splits import Item, Split
from craft.datasets.tools.command import main
from tests.fixtures_data.trees import load, make_cfg, make_tree, private_copy

FACTS = json.loads((Path(__file__).parents[1] / "fixtures_data/published_splits.json").read_text())
FOLDER = os.environ.get("CRAFT_PUBLISHED_SPLITS", "")


def given(name):
    if not (Path(FOLDER) / name).is_file() or not FOLDER:
        pytest.skip(f"CRAFT_PUBLISHED_SPLITS names no folder with {name}")
    return Path(FOLDER) / name


@pytest.mark.parametrize("name", FACTS)
def test_a_published_file_is_what_the_facts_say(name):
    reader, facts = READERS[name], FACTS[name]
    split, maker = read_split(given(reader.split_file), reader.image_dir)
    names = digests.class_names(split)
    assert [len(names), *map(len, (split.train, split.val, split.test))] == facts["counts"]
    assert digests.of_parts(split) == facts["parts"] and maker == ""
    assert set(reader.examples) <= set(names)
    assert published.standing(name, split) == (True, "the published split")
    for key, (train, val) in facts["few_shot"].items():
        shots, seed = map(int, key.split("/"))
        rng = random.Random(seed)
        drawn = [
            draw(items, n, rng, lambda i: i.label) for items, n in ((split.train, shots), (split.val, min(4, shots)))
        ]
        assert [digests.members(items) for items in drawn] == [train, val], key


def test_published_class_names_of_imagenet():
    lines = given("imagenet_classnames.txt").read_text().splitlines()
    pairs = json.dumps([line.split(" ", 1) for line in lines], separators=(",", ":"))
    assert len(lines) == CLASSES and hashlib.sha256(pairs.encode()).hexdigest()[:16] == CLASSNAMES_DIGEST


def test_the_code_knows_the_facts():
    assert FACTS.keys() == published.PUBLISHED.keys()
    for name, facts in FACTS.items():
        known = published.PUBLISHED[name]
        assert known.parts == facts["parts"] and known.classnames == facts["classnames"]
        assert digests.of_split(known.parts) == facts["split"]
        assert list(READERS[name].expected) == facts["counts"]
    makers = {
        name for name, reader in READERS.items() if issubclass(reader, SplitFileDataset) and reader.published_seed
    }
    assert makers == {"OxfordPets", "OxfordFlowers", "UCF101", "StanfordCars", "SUN397"}


# -- how a split stands to the published one -----------------------------------------------


def regenerated(monkeypatch, root):
    """The split of a miniature, declared the published one."""
    split = READERS["EuroSAT"](make_cfg(root, "EuroSAT")).whole()
    parts = digests.of_parts(split)
    known = published.Published(
        *parts.values(),
        published.names_digest(digests.class_names(split)),
        digests.members(split.train),
        digests.members(split.val),
    )
    monkeypatch.setitem(published.PUBLISHED, "EuroSAT", known)
    return root / "eurosat/split_zhou_EuroSAT.json"


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("euro") / "data", "EuroSAT")


def reordered(content):
    content["train"].reverse()


def exchanged(content):
    content["train"][0], content["test"][0] = content["test"][0], content["train"][0]


def renamed(content):
    for part in ("train", "val", "test"):
        content[part] = [[path, label, name.replace("Forest", "Woods")] for path, label, name in content[part]]


@pytest.mark.parametrize(
    ("change", "same", "said"),
    [
        (lambda content: None, True, "(the published split)"),
        (lambda content: content["test"].reverse(), True, "(the published split)"),
        (reordered, False, "train in another order: the same seed draws other shots"),
        (exchanged, False, "not the published split: other images in train, test"),
        (renamed, True, "but with other class names"),
    ],
)
def test_a_split_file_is_known_by_what_is_in_it(tree, tmp_path, monkeypatch, capsys, change, same, said):
    root = private_copy(tree, tmp_path / "data")
    path = regenerated(monkeypatch, root)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    capsys.readouterr()
    data = load(root, "EuroSAT")
    assert data.told["published"] is same and said in capsys.readouterr().out


def test_a_split_made_here_does_not_pass_for_the_published_one(tmp_path, capsys):
    """Earlier versions made it with the run's seed: log and `check` say so, and how to have the published one."""
    root = make_tree(tmp_path / "data", "OxfordPets")
    path = root / "oxford_pets/split_zhou_OxfordPets.json"
    content = json.loads(path.read_text()) | {"made_by": {"seed": 3}}
    path.unlink()  # a link
    path.write_text(json.dumps(content))
    load(root, "OxfordPets")
    said = capsys.readouterr().out
    assert "not the published split" in said and "earlier run with seed 3" in said and f"delete {path}" in said
    assert main(["check", "OxfordPets", "--root", str(root), "--allow-subset"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "(split)" in line]
    assert "not the published split: other images in train, val, test; made here by an earlier run with seed 3" in row
    assert main(["show", "OxfordPets", "--root", str(root), "--out", str(tmp_path / "sheet.png")]) == 0
    said = capsys.readouterr().out
    told = load(root, "OxfordPets").told
    assert f"digest of split: {told['split']}" in said and f"digest of class names: {told['classnames']}" in said
    assert (
        main(["show", "OxfordPets", "--root", str(root), "--out", str(tmp_path / "a.png"), "DATASET.NUM_SHOTS", "2"])
        == 0
    )
    assert load(root, "OxfordPets", shots=2).told["few_shot"]["train"] in capsys.readouterr().out


def test_digests_depend_on_neither_root_nor_idle_order(tree, tmp_path):
    """A shot list is a set of images; a training list's order decides what is drawn from it."""
    one, other = (load(private_copy(tree, tmp_path / name), "EuroSAT", shots=4).told for name in ("a", "b"))
    assert one == other
    items = [Item("b.jpg", 1, "b"), Item("a.jpg", 0, "a")]
    assert digests.members(items) == digests.members(items[::-1]) == digests.in_order(items[::-1])
    assert digests.in_order(items) != digests.in_order(items[::-1])
    assert digests.in_order(items) == hashlib.sha256(b"b.jpg\t1\na.jpg\t0\n").hexdigest()[:16]
    swapped = Split(items, None, items[::-1])
    assert digests.of_parts(swapped)["test"] == digests.members(items) and digests.of_parts(swapped)["val"] == ""


def test_published_lists_are_drawn_by_seed_and_number(tree, tmp_path):
    """Other seeds, numbers and validation rules have other digests; base classes are taken from the same lists."""
    root = private_copy(tree, tmp_path / "data")
    told = [load(root, "EuroSAT", shots=k, seed=s).told["few_shot"] for k, s in ((4, 1), (4, 2), (2, 1))]
    assert len({entry["train"] for entry in told}) == 3
    assert load(root, "EuroSAT", shots=4, subsample="base").told["few_shot"] == told[0]
    assert load(root, "EuroSAT").told["few_shot"] is None


def test_other_names_of_imagenet_are_noticed(tmp_path, capsys):
    root = make_tree(tmp_path / "data", "ImageNet")
    data = load(root, "ImageNet")
    said = capsys.readouterr().out
    assert "classnames.txt is not CoOp's" in said and "prompts of classes" in said
    assert data.told["standing"].startswith("classnames.txt is not CoOp's")


def test_right_names_of_imagenet_raise_no_warning(tmp_path, monkeypatch, capsys):
    from craft.common.files import digest_json
    from craft.datasets.readers import imagenet_family

    root = make_tree(tmp_path / "data", "ImageNet")
    path = root / "imagenet/classnames.txt"
    pairs = list(read_classnames(path).items())
    monkeypatch.setattr(imagenet_family, "CLASSNAMES_DIGEST", digest_json(pairs)[:16])
    monkeypatch.setattr(imagenet_family, "CLASSES", len(pairs))
    path.write_text(path.read_text().replace("\n", "\r\n") + "\r\n")  # bytes do not count
    assert load(root, "ImageNet").told["standing"] == "classnames.txt is CoOp's"
    path.write_text(path.read_text().replace(pairs[0][1], "something else", 1))
    capsys.readouterr()
    load(root, "ImageNet")
    assert "other names: digest" in capsys.readouterr().out
