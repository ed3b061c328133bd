"""Which images are the shots: lists that others published, a share of the data, the natural proportion of the classes,
and how many validation images a draw has."""

import json
import random
import re
from collections import Counter

import pytest

from craft.common.errors import UserError
from craft.datasets.few_shot import numbers
from craft.datasets.splits import Item
from craft.datasets.tools.command import main
from tests.fixtures_data.trees import load, make_cfg, make_tree, private_copy, triples
from tests.runs import QUICK, metrics, run


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("shots") / "data", "EuroSAT", "Caltech101", "OxfordPets", "ImageNet")


@pytest.fixture
def root(tree, tmp_path):
    return private_copy(tree, tmp_path / "data")


def lists(data, root):
    return triples(data.train_x, root), triples(data.val or [], root)


def as_cross_modal(train, val):
    """A list in the form of linzhiqiu/cross_modal_adaptation's ``indices/``."""

    def part(items):
        data = [{"impath": f"./data/{path}", "label": label, "classname": name} for path, label, name in items]
        return {"data": data, "indices": list(range(len(items)))}

    return {"train": part(train), "val": part(val)}


def as_lines(items):
    """A list in the form of FarinaMatteo/rethinking_fewshot_vlms's ``split_fewshot/*.jsonl``."""
    keys = ("_impath", "_label", "_classname")
    rows = [{**dict(zip(keys, item)), "_impath": f"/theirs/sets/{item[0]}", "_domain": 0} for item in items]
    return "".join(json.dumps(row) + "\n" for row in rows)


# -- lists that others published -----------------------------------------------------------


@pytest.mark.parametrize("form", ["json", "plain", "jsonl"])
@pytest.mark.parametrize("name", ["EuroSAT", "Caltech101", "OxfordPets"])
def test_a_published_list_is_trained_on_as_it_is(root, tmp_path, name, form):
    """Whatever the seed of the run: the images, and their order, are those of the file."""
    wanted = lists(load(root, name, shots=4, seed=3), root)
    shuffled = [random.Random(0).sample(part, len(part)) for part in wanted]
    file = tmp_path / f"theirs.{form.replace('plain', 'json')}"
    if form == "json":
        file.write_text(json.dumps(as_cross_modal(*shuffled)))
    elif form == "plain":  # paths as split files have them
        below = load(root, name).dataset_dir.rpartition("/")[2]
        strip = {"EuroSAT": "2750", "Caltech101": "101_ObjectCategories", "OxfordPets": "images"}[name]
        content = {
            part: [[path.removeprefix(f"{below}/{strip}/"), label, cname] for path, label, cname in items]
            for part, items in zip(("train", "val"), shuffled)
        }
        file.write_text(json.dumps(content))
    else:
        for part, items in zip(("train", "val"), shuffled):
            file.with_name(f"theirs_{part}.jsonl").write_text(as_lines(items))
    data = load(root, name, shots=4, seed=1, FEWSHOT_FILE=str(file))
    assert lists(data, root) == tuple(shuffled) and wanted != lists(load(root, name, shots=4, seed=1), root)
    assert data.told["few_shot"] == load(root, name, shots=4, seed=3).told["few_shot"]
    assert "theirs" in data.told["draw"] and "validation images: listed" in data.told["draw"]


def test_shots_and_seed_stand_in_the_name(root, tmp_path):
    """One setting serves a sweep over seeds and shots."""
    wanted = {}
    for shots, seed in ((1, 1), (2, 5)):
        wanted[shots, seed] = lists(load(root, "EuroSAT", shots=shots, seed=seed + 1), root)
        (root / f"eurosat/shot_{shots}-seed_{seed}.json").write_text(json.dumps(as_cross_modal(*wanted[shots, seed])))
    for (shots, seed), expected in wanted.items():
        data = load(root, "EuroSAT", shots=shots, seed=seed, FEWSHOT_FILE="shot_{shots}-seed_{seed}.json")
        assert lists(data, root) == expected


def write(tmp_path, train, val=()):
    (tmp_path / "list.json").write_text(json.dumps(as_cross_modal(train, val)))
    return str(tmp_path / "list.json")


def test_a_wrong_list_is_named(root, tmp_path):
    train, val = lists(load(root, "EuroSAT", shots=2), root)
    other = lists(load(root, "Caltech101", shots=2), root)
    test = triples(load(root, "EuroSAT").test, root)
    path, label, cname = train[0]
    wrong = {
        "none of its .* is the list of another data set|none of its .* list of another data set": other,
        "there is no image ./data/eurosat/2750/Forest/gone.jpg in EuroSAT .1 of": (
            [("eurosat/2750/Forest/gone.jpg", label, cname), *train[1:]], val),
        "has the label 7, in EuroSAT it has 0": ([(path, 7, cname), *train[1:]], val),
        "lists 1 test image.s. of EuroSAT": ([test[0], *train[1:]], val),
        "in train and in val": (train, train[:1]),
        "no training image of 1 of": ([item for item in train if item[1] != 0], val),
    }  # fmt: skip
    for message, (listed, held_out) in wrong.items():
        with pytest.raises(UserError, match=message):
            load(root, "EuroSAT", shots=2, FEWSHOT_FILE=write(tmp_path, listed, held_out))
    with pytest.raises(UserError, match=r"has 2 images a class, and DATASET\.NUM_SHOTS is 16: set it to 2"):
        load(root, "EuroSAT", shots=16, FEWSHOT_FILE=write(tmp_path, train, val))
    for name, text, message in (
        ("list.json", "[1, 2]", "no few-shot list"),
        ("list.json", '{"train": [["a.jpg"]]}', r"train\[0\]: .* is no image"),
        ("bad.jsonl", '{"_impath": "a"}\n', "line 1: .* is no image"),
        ("bad.jsonl", "{\n", "line 1 is not JSON"),
        ("draw.pkl", "", "a pickle may run any code"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(UserError, match=message):
            load(root, "EuroSAT", shots=2, FEWSHOT_FILE=str(tmp_path / name))
    with pytest.raises(UserError, match=r"there is no file absent\.json"):
        load(root, "EuroSAT", shots=2, FEWSHOT_FILE="absent.json")


def test_other_class_names_are_said_and_ours_stay(root, tmp_path, capsys):
    train, val = lists(load(root, "EuroSAT", shots=2), root)
    alike = [(path, label, cname.upper().replace(" ", "_")) for path, label, cname in train]
    named = load(root, "EuroSAT", shots=2, FEWSHOT_FILE=write(tmp_path, alike, val))
    assert "Warning" not in capsys.readouterr().out  # CLIP reads both alike
    other = [(path, label, "woods" if cname == "Forest" else cname) for path, label, cname in train]
    data = load(root, "EuroSAT", shots=2, FEWSHOT_FILE=write(tmp_path, other, val))
    assert "other names for 1 classes, e.g. 'woods'" in capsys.readouterr().out
    assert data.classnames == named.classnames


def test_validation_images_of_a_list(root, tmp_path):
    """Those of the file; none where it has none; never one that is trained on."""
    train, val = lists(load(root, "EuroSAT", shots=2), root)
    whole = triples(load(root, "EuroSAT").val, root)
    file = write(tmp_path, train, val)
    assert load(root, "EuroSAT", shots=2, FEWSHOT_FILE=file, SHOTS_VAL="none").val is None
    assert lists(load(root, "EuroSAT", shots=2, FEWSHOT_FILE=file, SHOTS_VAL="all"), root)[1] == whole
    (tmp_path / "bare.json").write_text(json.dumps({"train": as_cross_modal(train, [])["train"]}))
    bare = load(root, "EuroSAT", shots=2, FEWSHOT_FILE=str(tmp_path / "bare.json"))
    assert bare.val is None and bare.told["draw"].endswith("validation images: none")
    moved = [whole[0], *train[1:]]
    data = load(root, "EuroSAT", shots=2, FEWSHOT_FILE=write(tmp_path, moved, val), SHOTS_VAL="all")
    assert whole[0] in lists(data, root)[0] and lists(data, root)[1] == whole[1:]
    # ImageNet's validation images are its test images, and stay so
    train, _ = lists(load(root, "ImageNet", shots=2), root)
    data = load(root, "ImageNet", shots=2, FEWSHOT_FILE=write(tmp_path, train))
    assert lists(data, root)[0] == train and not data.val


# -- writing them --------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["json", "jsonl"])
@pytest.mark.parametrize("name", ["EuroSAT", "OxfordPets"])
def test_what_is_written_is_read_again(root, tmp_path, capsys, name, ending):
    wanted = load(root, name, shots=2, seed=5)
    before = sorted(root.rglob("*"))
    file = tmp_path / f"ours.{ending}"
    words = ["fewshot", name, "--root", root, "--shots", "2", "--seed", "5", "--to", file, "--prefix", "./data"]
    assert main([str(word) for word in words]) == 0
    said = capsys.readouterr().out
    assert "craft-datasets-" not in said and wanted.told["few_shot"]["train"] in said and wanted.told["split"] in said
    assert sorted(root.rglob("*")) == before
    again = load(root, name, shots=2, seed=1, FEWSHOT_FILE=str(file))
    assert lists(again, root) == lists(wanted, root)
    if ending == "json":
        content = json.loads(file.read_text())
        assert content == {
            part: {"data": theirs["data"], "indices": content[part]["indices"]}
            for part, theirs in as_cross_modal(*lists(wanted, root)).items()
        }
        train = triples(load(root, name).train_x, root)
        assert [train[i] for i in content["train"]["indices"]] == lists(wanted, root)[0]
    else:
        first = json.loads((tmp_path / "ours_train.jsonl").read_text().splitlines()[0])
        assert list(first) == ["_impath", "_label", "_domain", "_classname"]


def test_nothing_to_write_is_said(root, tmp_path, capsys):
    for words, message in (
        (["EuroSAT", "--to", tmp_path / "a.json"], "give their number with --shots"),
        (["EuroSAT", "--shots", "1", "--to", tmp_path / "a.csv"], "is a .json or .jsonl file"),
        (["ImageNetA", "--shots", "1", "--to", tmp_path / "a.json"], "it only tests"),
    ):
        assert main([str(word) for word in ["fewshot", *words, "--root", root]]) == 1
        assert re.search(message, capsys.readouterr().err)


# -- further draws -------------------------------------------------------------------------


def sizes(items):
    return Counter(label for _, label, _ in items)


def test_a_share_of_every_class(root):
    whole = sizes(lists(load(root, "Caltech101"), root)[0])
    train, val = lists(load(root, "Caltech101", SHOTS_FRACTION=0.25), root)
    assert sizes(train) == {label: max(1, round(count / 4)) for label, count in whole.items()}
    assert all(count <= 4 for count in sizes(val).values())
    assert (train, val) == lists(load(root, "Caltech101", SHOTS_FRACTION=0.25), root)  # from its cache
    assert train != lists(load(root, "Caltech101", SHOTS_FRACTION=0.25, seed=2), root)[0]


def test_the_natural_proportion_shares_out_as_many_shots():
    class Node:
        NUM_SHOTS, SHOTS_FRACTION, SHOTS_PRIOR = 4, 0.0, "natural"

    counts = {0: 60, 1: 25, 2: 14, 3: 1}
    items = [Item(f"{label}/{i}", label, str(label)) for label, count in counts.items() for i in range(count)]
    assert numbers(items, Node, lambda item: item.label) == {0: 9, 1: 4, 2: 2, 3: 1}  # 9.6, 4, 2.24, 0.16 -> 1
    assert sum(numbers(items[:99], Node, lambda item: item.label).values()) == 12


def test_a_natural_draw_keeps_every_class(root):
    whole = sizes(lists(load(root, "Caltech101"), root)[0])
    data = load(root, "Caltech101", shots=3, SHOTS_PRIOR="natural")
    drawn = sizes(lists(data, root)[0])
    assert drawn.keys() == whole.keys() and max(drawn.values()) > 3 > min(drawn.values())
    assert max(whole, key=whole.get) in [label for label, count in drawn.items() if count == max(drawn.values())]
    assert "in their natural proportion" in data.told["draw"]


@pytest.mark.parametrize("shots", [2, 8])
def test_validation_images_of_a_draw(root, shots):
    """CoOp draws as many as training shots, but at most four; training shots are the same whatever is asked."""
    plain = lists(load(root, "Caltech101", shots=shots), root)
    whole = lists(load(root, "Caltech101"), root)[1]
    assert sizes(plain[1]) == {label: min(4, shots, count) for label, count in sizes(whole).items()}
    found = {rule: load(root, "Caltech101", shots=shots, SHOTS_VAL=rule) for rule in ("as_train", "all", "none")}
    assert all(lists(data, root)[0] == plain[0] for data in found.values())
    assert found["none"].val is None and lists(found["all"], root)[1] == whole
    assert sizes(lists(found["as_train"], root)[1]) == {k: min(shots, n) for k, n in sizes(whole).items()}
    told = [data.told["draw"].rpartition("; ")[2] for data in found.values()]
    assert told == [
        "validation images: drawn as the training images",
        "validation images: all",
        "validation images: none",
    ]
    assert lists(load(root, "Caltech101", shots=shots), root) == plain


def test_keys_that_contradict_each_other(root):
    for keys, message in (
        ({"SHOTS_FRACTION": 0.5, "shots": 4}, "set DATASET.NUM_SHOTS -1"),
        ({"SHOTS_PRIOR": "natural"}, "there are none; set DATASET.NUM_SHOTS"),
        ({"SHOTS_FRACTION": 0.5, "FEWSHOT_FILE": "x.json"}, "FEWSHOT_FILE and DATASET.SHOTS_FRACTION say different"),
    ):
        with pytest.raises(UserError, match=message):
            load(root, "EuroSAT", **keys)


def test_no_seed_draws_anew_whatever_the_rule(root):
    cfg = {"seed": -1, "SHOTS_FRACTION": 0.3}
    random.seed(3)
    from craft.datasets.readers.caltech101 import Caltech101

    first, second = (Caltech101(make_cfg(root, "Caltech101", **cfg)).load().train for _ in range(2))
    assert first != second


# -- in a run ------------------------------------------------------------------------------


def test_a_run_knows_its_list(tmp_path, capsys):
    """The record says which shots; a folder that holds a run on other shots is not taken for this one."""
    words = ["--root", "", "--to", tmp_path / "theirs.json"]
    assert main([str(word) for word in ["fewshot", "Digits", "--shots", "1", "--seed", "9", *words]]) == 0
    listed = (*QUICK, "DATASET.FEWSHOT_FILE", tmp_path / "theirs.json")
    assert run(tmp_path / "run", "CoOp", settings=listed) == 0
    record = json.loads((tmp_path / "run/run.json").read_text())
    told = record["split"]["told"]
    assert "the list theirs.json" in told["draw"] and told["few_shot"]["train"] in capsys.readouterr().out
    assert record["config"]["DATASET"]["FEWSHOT_FILE"] == str(tmp_path / "theirs.json")
    assert metrics(tmp_path / "run")["split"]["told"] == told
    assert run(tmp_path / "run", "CoOp", settings=listed) == 0
    assert "Already done" in capsys.readouterr().out
    # the same list elsewhere is the same run; another list, or a draw, is not
    (tmp_path / "moved.json").write_text((tmp_path / "theirs.json").read_text())
    assert run(tmp_path / "run", "CoOp", settings=(*QUICK, "DATASET.FEWSHOT_FILE", tmp_path / "moved.json")) == 0
    assert "Already done" in capsys.readouterr().out
    assert run(tmp_path / "run", "CoOp", settings=QUICK) == 1
    assert "train: as many images, but other ones" in capsys.readouterr().err
