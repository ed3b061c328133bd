"""Waterbirds and CelebA: both layouts of each, groups and attributes, published sizes, shots, and damaged lists."""

import csv
import re
import shutil
from collections import Counter

import pytest

from craft import datasets
from craft.common.errors import UserError
from tests.fixtures_data.make_datasets import BIRD_GROUPS, FACE_GROUPS
from tests.fixtures_data.trees import load, make_tree

# Published sizes, from the tables of the group-robustness literature.
WATERBIRDS = {"train": "3498, 184, 56, 1057", "val": "467, 466, 133, 133", "test": "2255, 2255, 642, 642"}
CELEBA = {"train": "71629, 66874, 22880, 1387", "val": "8535, 8276, 2874, 182", "test": "9767, 7535, 2480, 180"}

LAYOUTS = [  # data set, folder of the miniature, folder to put it in
    ("Waterbirds", "waterbirds_v1.0", "waterbirds_v1.0"),
    ("Waterbirds", "waterbird_complete95_forest2water2", "waterbird_complete95_forest2water2"),
    ("Waterbirds", "waterbird_complete95_forest2water2", "cub/data/waterbird_complete95_forest2water2"),
    ("CelebA", "celebA_v1.0", "celebA_v1.0"),
    ("CelebA", "celeba", "celeba"),
    ("CelebA", "celeba", "celebA/data"),
]
GROUPS = {"Waterbirds": BIRD_GROUPS, "CelebA": FACE_GROUPS}


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("groups") / "data", "Waterbirds", "CelebA")


@pytest.fixture
def tree(miniatures, tmp_path):
    """tree(folder, place) -> root with a copy of one miniature at ``place``."""

    def copy(folder, place=None):
        shutil.copytree(miniatures / folder, tmp_path / (place or folder))
        return tmp_path

    return copy


def edit(path, pattern, replacement):
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)


@pytest.mark.parametrize(("name", "folder", "place"), LAYOUTS)
def test_each_layout_gives_every_group_its_images(tree, name, folder, place):
    data = load(tree(folder, place), name)
    for number, items in enumerate((data.train_x, data.val, data.test)):
        sizes = Counter(item.group for item in items)
        assert tuple(sizes[group] for group in range(4)) == GROUPS[name][number]
        assert all(item.group == 2 * item.label + item.attribute for item in items)
    assert len(data.group_names) == 4 and data.num_classes == 2


def test_birds_are_what_the_table_says(tree):
    root = tree("waterbirds_v1.0")
    data = load(root, "Waterbirds")
    with open(root / "waterbirds_v1.0" / "metadata.csv", newline="") as stream:
        rows = {row["img_filename"]: row for row in csv.DictReader(stream)}
    for part, items in enumerate((data.train_x, data.val, data.test)):
        for item in items:
            row = rows.pop(item.impath.removeprefix(f"{root}/waterbirds_v1.0/"))
            assert (int(row["split"]), int(row["y"]), int(row["place"])) == (part, item.label, item.attribute)
            assert item.classname == ("landbird", "waterbird")[item.label]
    assert not rows


def test_faces_are_the_same_from_text_and_csv(tree):
    root = tree("celeba")
    from_csv = load(root, "CelebA")
    for path in (root / "celeba").glob("*.csv"):
        path.unlink()
    from_text = load(root, "CelebA")
    for part in ("train_x", "val", "test"):
        one, two = ([(i.impath, i.label, i.group) for i in getattr(data, part)] for data in (from_csv, from_text))
        assert one == two


def test_a_blond_man_is_in_group_three(tree):
    root = tree("celeba")
    with open(root / "celeba" / "list_attr_celeba.csv", newline="") as stream:
        rows = {row["image_id"]: row for row in csv.DictReader(stream)}
    data = load(root, "CelebA")
    for item in data.train_x + data.test:
        row = rows[item.impath.rpartition("/")[2]]
        assert (item.group == 3) == (row["Blond_Hair"] == "1" and row["Male"] == "1")
        assert (item.group == 0) == (row["Blond_Hair"] == "-1" and row["Male"] == "-1")


@pytest.mark.parametrize(("name", "published"), [("Waterbirds", WATERBIRDS), ("CelebA", CELEBA)])
def test_sizes_other_than_the_published_are_an_error(miniatures, name, published):
    with pytest.raises(UserError) as error:
        load(miniatures, name, ALLOW_SUBSET=False)
    for part, sizes in published.items():
        assert re.search(rf"{part} has [\d, ]+ instead of {sizes}", str(error.value))
    assert "ALLOW_SUBSET" in str(error.value)


def test_shots_per_class_say_which_groups_they_reach(tree, capsys):
    data = load(tree("celebA_v1.0"), "CelebA", shots=4)
    assert Counter(item.label for item in data.train_x) == {0: 4, 1: 4}
    out = capsys.readouterr().out
    sizes = Counter(item.group for item in data.train_x)
    line = next(line for line in out.splitlines() if "groups drawn" in line)
    assert line.endswith(" / ".join(f"{name}: {sizes[g]}" for g, name in enumerate(data.group_names)))
    assert ("no shot of" in out) == (len(sizes) < 4)


def test_shots_per_group_reach_every_group(tree):
    data = load(tree("waterbirds_v1.0"), "Waterbirds", shots=5, SHOTS_PER="group")
    assert Counter(item.group for item in data.train_x) == dict.fromkeys(range(4), 5)
    other = load(tree("celebA_v1.0"), "CelebA", shots=5, SHOTS_PER="group")
    assert Counter(item.group for item in other.train_x) == {0: 5, 1: 5, 2: 5, 3: 3}  # all three blond men


def test_shots_per_group_need_groups():
    with pytest.raises(UserError, match="carry no group"):
        load("", "Digits", shots=2, SHOTS_PER="group")


@pytest.mark.parametrize(
    ("pattern", "replacement", "complaint"),
    [
        (r"^img_id,img_filename", "img_id,filename", r"metadata\.csv, line 1: no column 'img_filename'"),
        (r"^(7,[^,]*),\d", r"\1,2", r"metadata\.csv, line 8: y is '2'; it can be 0, 1"),
        (r"^(7,[^,]*,\d),\d", r"\1,3", r"line 8: split is '3'; it can be 0, 1, 2"),
        (r"^7,[^,]*", "7,../../secret.jpg", r"line 8: the path '../../secret.jpg' holds '..'"),
        (r"^7,[^,]*", "7,/etc/passwd", r"line 8: the path '/etc/passwd' lies outside of"),
        (r"^(7,.*)$", r"\1,more", r"line 8: 7 fields where the header has 6 columns"),
    ],
)
def test_a_damaged_table_is_named_with_its_line(tree, pattern, replacement, complaint):
    root = tree("waterbirds_v1.0")
    edit(root / "waterbirds_v1.0" / "metadata.csv", pattern, replacement)
    with pytest.raises(UserError, match=complaint):
        load(root, "Waterbirds")


def test_an_image_that_is_not_there_is_named_and_a_subset_goes_on_without_it(tree, capsys, monkeypatch):
    root = tree("waterbirds_v1.0")
    edit(root / "waterbirds_v1.0" / "metadata.csv", r"^7,[^,]*", "7,gone.jpg")
    data = load(root, "Waterbirds")
    assert len(data.train_x) + len(data.val) + len(data.test) == 210
    assert "going on without 1 of 211 images" in capsys.readouterr().out
    monkeypatch.setattr(datasets.READERS["Waterbirds"], "expected_groups", {})
    with pytest.raises(UserError, match=r"1 of 211 images listed in metadata\.csv are not in .*gone\.jpg"):
        load(root, "Waterbirds", ALLOW_SUBSET=False)


@pytest.mark.parametrize(
    ("file", "pattern", "replacement", "complaint"),
    [
        ("list_attr_celeba.txt", "Blond_Hair", "Blonde", r"list_attr_celeba\.txt, line 2: no attribute 'Blond_Hair'"),
        ("list_attr_celeba.txt", r"^(000005\.jpg .*) \S+$", r"\1", "line 7: 40 fields instead of 41"),
        ("list_eval_partition.txt", r"^000005\.jpg \d", "000005.jpg 7", "line 5: partition is '7'; it can be 0, 1, 2"),
        ("list_eval_partition.txt", r"^000005\.jpg \d\n", "", r"line 7: 000005\.jpg is not in list_eval_partition"),
    ],
)
def test_damaged_lists_of_faces_are_named_with_their_line(tree, file, pattern, replacement, complaint):
    root = tree("celeba")
    for path in (root / "celeba").glob("*.csv"):
        path.unlink()
    edit(root / "celeba" / file, pattern, replacement)
    with pytest.raises(UserError, match=complaint):
        load(root, "CelebA")


def test_a_missing_list_is_named_with_where_it_comes_from(tree):
    root = tree("celebA_v1.0")
    (root / "celebA_v1.0" / "list_attr_celeba.csv").unlink()
    with pytest.raises(UserError, match=r"missing in .*list_attr_celeba\.csv \(from https://worksheets"):
        load(root, "CelebA")
