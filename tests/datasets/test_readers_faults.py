"""What is wrong with the files is said by name: the file, the line, the class, and where to get what is missing."""

import json
import shutil

import numpy as np
import pytest
from scipy.io import savemat

from craft import datasets
from craft.common.errors import UserError
from craft.datasets import READERS, Item, PromptDataset, Split
from craft.datasets.dassl_datasets import dassl_class
from tests.fixtures_data.trees import FOLDERS, load, make_cfg, make_tree, private_copy


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """tree(name, splits) -> (root, folder) of a private copy; each miniature is written once."""
    made = {}

    def copy(name, splits=True):
        if (name, splits) not in made:
            made[name, splits] = make_tree(tmp_path_factory.mktemp("made") / "data", name, splits=splits)
        root = tmp_path_factory.mktemp("copy")
        return root, private_copy(made[name, splits] / FOLDERS[name], root / FOLDERS[name])

    return copy


def error_of(root, name, **settings):
    with pytest.raises(UserError) as caught:
        load(root, name, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


# -- files and counts ------------------------------------------------------------


def test_missing_root_and_folder(tmp_path):
    assert "no data root given" in error_of("", "EuroSAT", output=tmp_path)
    assert "is not a folder" in error_of(tmp_path / "nowhere", "EuroSAT")
    message = error_of(tmp_path, "EuroSAT")
    assert str(tmp_path / "eurosat") in message and "EuroSAT.zip" in message


def test_missing_file_is_named_with_its_source(tree):
    root, folder = tree("OxfordPets", splits=False)
    (folder / "annotations" / "test.txt").unlink()
    message = error_of(root, "OxfordPets")
    assert "annotations/test.txt" in message and "annotations.tar.gz" in message and "trainval" not in message


def test_annotations_are_not_needed_beside_a_split(tree):
    root, folder = tree("OxfordPets")
    shutil.rmtree(folder / "annotations")
    assert load(root, "OxfordPets").num_classes == 10


def test_missing_image_is_named(tree):
    root, folder = tree("EuroSAT")
    (folder / "2750" / "River" / "River_7.jpg").unlink()
    message = error_of(root, "EuroSAT")
    assert "2750/River/River_7.jpg" in message and "1 of " in message and "EuroSAT.zip" in message


def test_counts_of_the_published_set_are_asserted(tree, capsys):
    root, _ = tree("EuroSAT")
    message = error_of(root, "EuroSAT", ALLOW_SUBSET=False)
    assert "13500" in message and "craft data check EuroSAT" in message and "ALLOW_SUBSET" in message
    assert "classes" not in message.split("(read from")[0].split("published set:")[1]  # ten classes are right
    load(root, "EuroSAT")
    assert "a subset of the published set" in capsys.readouterr().out


def test_a_split_of_a_wrong_tree_is_not_kept(tree):
    root, folder = tree("EuroSAT", splits=False)
    error_of(root, "EuroSAT", ALLOW_SUBSET=False)
    assert not list(folder.glob("split_*"))


def test_stray_files_are_no_images_and_no_classes(tree):
    root, folder = tree("EuroSAT", splits=False)
    wanted = load(root, "EuroSAT")
    (folder / "split_zhou_EuroSAT.json").unlink()
    (folder / "2750" / "River" / "Thumbs.db").write_text("no image")
    (folder / "2750" / "README.txt").write_text("no class")
    (folder / "2750" / ".cache").mkdir()
    found = load(root, "EuroSAT")
    assert [i.impath for i in found.train_x] == [i.impath for i in wanted.train_x]


def test_class_folder_without_images(tree):
    root, folder = tree("EuroSAT", splits=False)
    (folder / "2750" / "Airport").mkdir()
    assert "2750/Airport holds no image" in error_of(root, "EuroSAT")


# -- split files -------------------------------------------------------------------


def edit_split(folder, edit):
    path = next(folder.glob("split_zhou_*.json"))
    split = json.loads(path.read_text())
    edit(split)
    path.write_text(json.dumps(split))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda s: s.pop("val"), "no list 'val'"),
        (lambda s: s["train"].insert(3, ["River/River_1.jpg", 8]), "train[3]"),
        (lambda s: s["test"].insert(0, ["River/River_1.jpg", "eight", "River"]), "test[0]"),
        (lambda s: s["test"].insert(0, ["River/River_1.jpg", -1, "River"]), "labels start at 0"),
        (lambda s: s["test"].insert(0, ["../../../etc/passwd.jpg", 8, "River"]), "lies outside"),
        (lambda s: s["test"].insert(0, ["/etc/passwd.jpg", 8, "River"]), "lies outside"),
        (lambda s: s["test"].insert(0, ["River/River_1.jpg", 8, "Brook"]), "label 8 has two names"),
        (lambda s: s["test"].insert(0, ["River/River_1.jpg", 10, "Brook"]), "label 10 ('Brook'"),
        (lambda s: s.update(train=[e for e in s["train"] if e[1] != 4]), "label 4 ('Industrial Buildings'"),
        (lambda s: s.update(train=[]), "no training image"),
    ],
)
def test_split_file_faults(tree, edit, said):
    root, folder = tree("EuroSAT")
    edit_split(folder, edit)
    message = error_of(root, "EuroSAT")
    assert said in message and "split_zhou_EuroSAT.json" in message


def test_damaged_split_file_is_not_replaced(tree):
    root, folder = tree("EuroSAT")
    path = folder / "split_zhou_EuroSAT.json"
    path.write_text(path.read_text()[:1000])
    assert str(path) in error_of(root, "EuroSAT")
    assert path.stat().st_size == 1000


def test_images_in_train_and_test_are_reported(tree, capsys):
    root, folder = tree("EuroSAT")
    edit_split(folder, lambda s: s["test"].append(s["train"][0]))
    load(root, "EuroSAT")
    assert "1 image(s)" in capsys.readouterr().out


# -- annotation files ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "line", "text", "said"),
    [
        ("OxfordPets", "annotations/trainval.txt", 3, "Abyssinian_1 1 1", "Breed_12"),
        (
            "OxfordPets",
            "annotations/test.txt",
            1,
            "Abyssinian_1 0 1 1",
            "the class id is '0', not a whole number from 1",
        ),
        ("FGVCAircraft", "images_variant_val.txt", 2, "0012345 707-321", "707-320"),
        ("SUN397", "Testing_01.txt", 4, "/a/nowhere/sun_a.jpg", "a/nowhere"),
        ("UCF101", "ucfTrainTestlist/trainlist01.txt", 5, "Juggling/v_Juggling_g01_c01.avi 10", "Juggling"),
        (
            "UCF101",
            "ucfTrainTestlist/classInd.txt",
            2,
            "two BalanceBeam",
            "the number is 'two', not a whole number from 1",
        ),
        ("ImageNet", "classnames.txt", 7, "n00000001", "no class name"),
    ],
)
def test_annotation_faults_name_file_and_line(tree, name, path, line, text, said):
    root, folder = tree(name, splits=False)
    lines = (folder / path).read_text().splitlines()
    lines[line - 1] = text
    (folder / path).write_text("\n".join(lines))
    message = error_of(root, name)
    assert f"{folder / path}, line {line}:" in message and said in message


def test_blank_lines_are_no_fault(tree):
    root, folder = tree("FGVCAircraft")
    wanted = load(root, "FGVCAircraft").train_x
    path = folder / "images_variant_train.txt"
    path.write_text(path.read_text().replace("\n", "\n\n") + "\n")
    assert [i.impath for i in load(root, "FGVCAircraft").train_x] == [i.impath for i in wanted]


def test_cars_class_outside_the_list(tree):
    root, folder = tree("StanfordCars", splits=False)
    names = np.empty((1, 3), dtype=object)
    names[0] = ["A B 2000", "C D 2001", "E F 2002"]
    savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    message = error_of(root, "StanfordCars")
    assert "cars_train_annos.mat, entry" in message and "3 classes" in message


def test_damaged_mat_file(tree):
    root, folder = tree("OxfordFlowers", splits=False)
    (folder / "imagelabels.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b"\0" * 200)
    assert "imagelabels.mat" in error_of(root, "OxfordFlowers")


def test_flowers_class_without_name(tree):
    root, folder = tree("OxfordFlowers", splits=False)
    names = json.loads((folder / "cat_to_name.json").read_text())
    del names["6"]
    (folder / "cat_to_name.json").write_text(json.dumps(names))
    assert "class 6 is not in cat_to_name.json" in error_of(root, "OxfordFlowers")


@pytest.mark.parametrize("names", ["[]", '{"1": 2}', '{"1": null}', "7"])
def test_flowers_names_of_another_kind(tree, names):
    root, folder = tree("OxfordFlowers", splits=False)
    (folder / "cat_to_name.json").write_text(names)
    assert "cat_to_name.json should map class ids to names" in error_of(root, "OxfordFlowers")


@pytest.mark.parametrize(
    ("name", "file", "variable", "value"),
    [
        ("OxfordFlowers", "imagelabels.mat", "labels", np.array([["one", "two"]], dtype=object)),
        ("OxfordFlowers", "imagelabels.mat", "labels", np.array([[np.nan, 1.0]])),
        ("StanfordCars", "devkit/cars_meta.mat", "class_names", np.zeros((1, 3))),
        ("StanfordCars", "devkit/cars_train_annos.mat", "annotations", np.zeros((0, 3))),
        ("StanfordCars", "devkit/cars_train_annos.mat", "annotations", {"class": "x", "fname": "y"}),
    ],
)
def test_mat_files_of_another_build_are_named(tree, name, file, variable, value):
    root, folder = tree(name, splits=False)
    savemat(folder / file, {variable: value})
    assert file in error_of(root, name)


def test_lists_cannot_name_images_elsewhere(tree):
    root, folder = tree("FGVCAircraft")
    shutil.copyfile(next((folder / "images").glob("*.jpg")), root / "outside.jpg")
    path = folder / "images_variant_test.txt"
    _, variant = path.read_text().splitlines()[0].split(" ", 1)
    path.write_text(f"../../outside {variant}\n" + path.read_text())
    assert "names 'images/../../outside.jpg', which lies outside of" in error_of(root, "FGVCAircraft")


def test_images_one_folder_too_deep_are_named_with_what_to_move(tree):
    root, folder = tree("StanfordCars", splits=False)
    for name in ("cars_train", "cars_test"):
        (folder / name).rename(folder / "aside")
        (folder / name).mkdir()
        (folder / "aside").rename(folder / name / name)
    message = error_of(root, "StanfordCars")
    assert f"one folder too deep: move what is in {folder}/cars_train/cars_train up into {folder}/cars_train" in message


# -- the base ------------------------------------------------------------------------


@pytest.fixture
def in_memory(tmp_path, monkeypatch):
    """read(train, test, **settings): a reader of given (label, class name, group) triples."""
    (tmp_path / "data").mkdir()
    for name in ("a", "b"):
        (tmp_path / "data" / f"{name}.png").touch()

    def read(train, test, **settings):
        class InMemory(PromptDataset):
            def read(self):
                items = [
                    [Item(f"{name}.png", label, cname, group=group) for label, cname, group in part]
                    for name, part in (("a", train), ("b", test))
                ]
                return Split(items[0], None, items[1])

            @classmethod
            def locate(cls, cfg):
                return tmp_path / "data"

        return dassl_class(InMemory)(make_cfg(tmp_path, "InMemory", **settings))

    return read


def test_namesakes_stay_two_classes(in_memory):
    both = [(0, "missile", None), (1, "missile", None)]
    data = in_memory(both, both)
    assert data.classnames == ["missile", "missile"] and data.num_classes == 2


def test_shots_per_group_and_groups_survive_subsampling(in_memory):
    items = [(label, "ab"[label], 2 * label + g) for label in (0, 1) for g, n in ((0, 9), (1, 2)) for _ in range(n)]
    data = in_memory(items, items, shots=3, SHOTS_PER="group", subsample="new")
    assert sorted(item.group for item in data.train_x) == [2, 2, 2, 3, 3]
    assert {item.label for item in data.train_x} == {0} and data.classnames == ["b"]
    with pytest.raises(UserError, match="carry no group"):
        in_memory([(0, "a", None)], [(0, "a", None)], shots=1, SHOTS_PER="group")


@pytest.mark.parametrize(("key", "value"), [("SUBSAMPLE_CLASSES", "old"), ("SHOTS_PER", "domain")])
def test_unknown_settings(in_memory, key, value):
    with pytest.raises(UserError, match=f"DATASET.{key} is '{value}'"):
        in_memory([(0, "a", None)], [(0, "a", None)], shots=1, **{key: value})


# -- templates and names ---------------------------------------------------------------


def test_template_for():
    cfg = make_cfg("", "EuroSAT")
    assert datasets.template_for(cfg) == "a centered satellite photo of {}."
    assert datasets.template_for(cfg, READERS["Food101"]) == "a photo of {}, a type of food."
    assert datasets.template_for(cfg, object()) == "a photo of a {}."  # Dassl's own sets have none
    cfg.DATASET.TEMPLATE = "a sketch of {}."
    assert datasets.template_for(cfg) == "a sketch of {}."
    for wrong in ("a photo.", "{} and {}", "a {0} of {}"):
        cfg.DATASET.TEMPLATE = wrong
        with pytest.raises(UserError, match="exactly once"):
            datasets.template_for(cfg)
    cfg.DATASET.TEMPLATE, cfg.DATASET.NAME = "", "EuroSat"
    with pytest.raises(UserError, match="EuroSAT"):
        datasets.template_for(cfg)


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_declarations(name):
    """Every benchmark says where each of its files comes from, what it expects, and how it is cited and licensed."""
    reader = READERS[name]
    assert reader.dataset_dir == FOLDERS[name]
    for file in reader.files:
        assert file.kind in ("file", "dir") and file.role in ("required", "split", "annotations", "extra")
        assert file.sources and file.origin != "its authors"
    for word in ("Splits:", "Input:", "Label:", "Publication:", "Licence:"):
        assert word in reader.__doc__
