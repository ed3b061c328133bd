"""`craft data check` on data as people have them: copies inside copies, other folder names, sets that others sorted
anew, subsets, and what runs leave behind. Each has an answer that fits."""

import os
import re
import shutil

import pytest

from craft.datasets import READERS
from craft.datasets.sources import Counts
from tests.datasets.test_datasets_cli import run
from tests.datasets.test_image_folder import class_folders, table
from tests.fixtures_data.trees import load, make_tree

NAMES = ("Caltech101", "EuroSAT", "ImageNet", "OxfordPets", "StanfordCars", "SUN397", "Waterbirds")


@pytest.fixture(scope="module")
def miniatures(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("layouts") / "data", *NAMES)


@pytest.fixture
def root(miniatures, tmp_path):
    return shutil.copytree(miniatures, tmp_path / "data", copy_function=os.link)


@pytest.fixture
def published(root, monkeypatch):
    """The miniatures are the published sets: their sizes are the declared ones."""

    def declare(name):
        data = load(root, name)
        counts = Counts(data.num_classes, len(data.train_x), len(data.val) if data.val else None, len(data.test))
        monkeypatch.setattr(READERS[name], "expected", counts)
        return data

    return declare


def check(capsys, root, name, *more):
    return run(capsys, "check", name, "--root", root, *more)


# -- copies in the wrong place -------------------------------------------------------


def one_too_deep(folder, image_dir):
    """``cars_train/cars_train/…``, as Kaggle's archives unpack."""
    (folder / image_dir).rename(folder / "moved")
    (folder / image_dir).mkdir()
    (folder / "moved").rename(folder / image_dir / image_dir)


@pytest.mark.parametrize(
    ("name", "below", "image_dir"),
    [("StanfordCars", "stanford_cars", "cars_train"), ("EuroSAT", "eurosat", "2750"), ("SUN397", "sun397", "SUN397")],
)
@pytest.mark.parametrize("more", [(), ("--allow-subset",)])
def test_a_copy_inside_itself_is_named_with_what_helps(root, published, capsys, name, below, image_dir, more):
    published(name)
    one_too_deep(root / below, image_dir)
    status, out = check(capsys, root, name, *more)
    assert status == 1
    assert re.search(rf"{below}/{image_dir} +unexpected size: 0 of \d+ listed images", out)
    inner = root / below / image_dir / image_dir
    assert f"the images lie in {inner}, 1 folder too deep" in out
    place = root / below
    assert f"mv {place} {place}.original && craft data adopt {place}.original --as {name} --root {root}" in out
    assert "https" not in next(line for line in out.splitlines() if f"{below}/{image_dir} " in line)


def test_a_copy_behind_a_link_is_found_and_a_circle_of_links_is_no_trap(root, published, tmp_path, capsys):
    published("EuroSAT")
    shutil.move(root / "eurosat" / "2750", tmp_path / "elsewhere")
    (root / "eurosat" / "EuroSAT").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(root / "eurosat")
    status, out = check(capsys, root, "EuroSAT")
    assert status == 1 and f"the images lie in {root / 'eurosat' / 'EuroSAT'}, and should lie in" in out


def test_a_copy_beside_the_right_one_is_no_fault(root, published, capsys):
    published("StanfordCars")
    shutil.copytree(
        root / "stanford_cars/cars_train", root / "stanford_cars/cars_train/cars_train", copy_function=os.link
    )
    status, out = check(capsys, root, "StanfordCars")
    assert status == 0, out


def test_class_folders_one_too_high_are_named(root, published, capsys):
    published("Caltech101")
    folder = root / "caltech-101"
    for entry in (folder / "101_ObjectCategories").iterdir():
        entry.rename(folder / entry.name)
    (folder / "101_ObjectCategories").rmdir()
    status, out = check(capsys, root, "Caltech101")
    assert status == 1 and f"the images lie in {folder}, 1 folder too high" in out


@pytest.mark.parametrize(("name", "below", "images"), [("EuroSAT", "eurosat", "2750"), ("SUN397", "sun397", "SUN397")])
def test_a_set_that_was_split_anew_is_not_answered_with_a_download(root, published, capsys, name, below, images):
    """Training and test folders of class folders, as Kaggle and Hugging Face have it."""
    published(name)
    other = root / "kaggle" / "set"
    for number, path in enumerate(sorted((root / below / images).rglob("*.jpg"))):
        place = other / ("train" if number % 3 else "test") / path.parent.name
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)
    shutil.rmtree(root / below / images)
    status, out = check(capsys, root, name)
    assert status == 1 and f"images of the same names lie below {other}" in out
    assert f"craft data adopt {other} --as {name} --root {root}" in out
    assert "everything is there" not in out


def test_without_a_split_file_numbers_of_folders_and_images_tell(root, capsys, monkeypatch):
    """The miniature's own numbers stand for the published ones."""
    folder = root / "eurosat"
    (folder / "split_zhou_EuroSAT.json").unlink()
    count = sum(1 for _ in (folder / "2750").rglob("*.jpg"))
    files = READERS["EuroSAT"].files
    images = files[0].__class__("2750", "dir", images=count, folders=10, sources=files[0].sources)
    monkeypatch.setattr(READERS["EuroSAT"], "files", (images, *files[1:]))
    (folder / "2750").rename(folder / "EuroSAT_RGB")
    status, out = check(capsys, root, "EuroSAT", "--allow-subset")
    assert status == 1 and f"the images lie in {folder / 'EuroSAT_RGB'}" in out
    shutil.rmtree(folder / "EuroSAT_RGB")
    status, out = check(capsys, root, "EuroSAT", "--allow-subset")
    assert status == 1 and "https" in out and "adopt" not in out  # nothing is there


def test_the_other_half_of_the_cars_is_not_taken_for_the_lost_one(root, published, capsys):
    """00001.jpg is in cars_train and in cars_test."""
    published("StanfordCars")
    shutil.rmtree(root / "stanford_cars" / "cars_test")
    status, out = check(capsys, root, "StanfordCars")
    assert status == 1 and "adopt" not in out and re.search(r"cars_test +missing +http", out)


@pytest.mark.parametrize("form", ["set itself", "above", "other name"])
def test_a_root_that_is_not_the_right_one_is_named(root, capsys, form):
    if form == "set itself":
        given, said = root / "caltech-101", f"--root names the one above: --root {root}"
    elif form == "above":
        (root.parent / "more").mkdir()
        root = root.rename(root.parent / "more" / "data")
        given, said = root.parent, f"the folder of Caltech101 is {root / 'caltech-101'}: --root {root}"
    else:
        (root / "caltech-101").rename(root / "Caltech_101")
        given, said = (
            root,
            f"{root / 'Caltech_101'} holds what {root / 'caltech-101'} should. Rename it, or:\n    craft data adopt",
        )
    status, out = check(capsys, given, "Caltech101")
    assert status == 1 and said in out
    assert "https" not in out.partition("split_zhou")[0]


def test_a_whole_set_further_down_is_one_finding(root, capsys, monkeypatch):
    """As the archive of FGVCAircraft unpacks: lists and images in fgvc-aircraft-2013b/data."""
    make_tree(root / "more", "FGVCAircraft")
    inner = root / "fgvc_aircraft" / "fgvc-aircraft-2013b" / "data"
    inner.parent.mkdir(parents=True)
    (root / "more" / "fgvc_aircraft").rename(inner)
    reader = READERS["FGVCAircraft"]
    files = [f.__class__(f.path, f.kind, sources=f.sources) for f in reader.files]
    monkeypatch.setattr(reader, "files", tuple(files))
    status, out = check(capsys, root, "FGVCAircraft", "--allow-subset")
    assert status == 1 and f"what {root / 'fgvc_aircraft'} should hold lies in {inner}, 2 folders too deep" in out
    assert "https" not in out


def test_another_sets_folder_of_images_is_not_taken_for_it(root, capsys):
    """OxfordPets, DTD and Food101 all have ``images``."""
    for name in ("DescribableTextures", "Food101"):
        status, out = check(capsys, root, name)
        assert status == 1 and "https" in out and "adopt" not in out


# -- annotations, splits and metadata ------------------------------------------------


@pytest.mark.parametrize("lost", ["missing", "empty"])
def test_annotations_that_the_split_makes_unneeded_are_no_problem(root, published, capsys, lost):
    published("StanfordCars")
    path = root / "stanford_cars" / "cars_test_annos_withlabels.mat"
    path.unlink()
    if lost == "empty":
        path.touch()
    status, out = check(capsys, root, "StanfordCars")
    assert status == 0 and re.search(rf"cars_test_annos_withlabels\.mat +{lost}, not needed", out), out


def test_a_split_kept_elsewhere_makes_them_unneeded_too(root, tmp_path, published, capsys):
    published("StanfordCars")
    shutil.rmtree(root / "stanford_cars" / "devkit")
    kept = tmp_path / "cache" / "StanfordCars"
    kept.mkdir(parents=True)
    (root / "stanford_cars/split_zhou_StanfordCars.json").rename(kept / "split_zhou_StanfordCars.json")
    status, out = check(capsys, root, "StanfordCars", "DATASET.CACHE_DIR", tmp_path / "cache")
    assert status == 0 and "missing, not needed" in out, out


def test_a_split_that_was_made_here_is_called_so(root, published, capsys):
    published("EuroSAT")
    split = root / "eurosat" / "split_zhou_EuroSAT.json"
    assert re.search(r"split_zhou_EuroSAT\.json +found *$", check(capsys, root, "EuroSAT")[1], re.M)
    split.unlink()
    load(root, "EuroSAT", seed=3)
    out = check(capsys, root, "EuroSAT", "--allow-subset")[1]
    assert re.search(r"split_zhou_EuroSAT\.json +found: made here by an earlier run with seed 3", out)


def test_a_split_of_a_subset_that_outlives_it_is_named(root, published, capsys, monkeypatch):
    published("EuroSAT")
    folder, split = root / "eurosat", root / "eurosat" / "split_zhou_EuroSAT.json"
    files = READERS["EuroSAT"].files
    count = sum(1 for _ in (folder / "2750").rglob("*.jpg"))
    images = files[0].__class__("2750", "dir", images=count, folders=10, sources=files[0].sources)
    monkeypatch.setattr(READERS["EuroSAT"], "files", (images, *files[1:]))
    split.unlink()
    (folder / "2750" / "River").rename(root / "River")
    load(root, "EuroSAT")
    (root / "River").rename(folder / "2750" / "River")
    status, out = check(capsys, root, "EuroSAT")
    assert status == 1 and f"delete {split}" in out and "now there are more" in out
    split.unlink()
    load(root, "EuroSAT")
    assert "now there are more" not in check(capsys, root, "EuroSAT")[1]


def test_check_says_no_place_that_is_gone_when_it_ends(root, capsys):
    (root / "eurosat" / "split_zhou_EuroSAT.json").unlink()
    out = check(capsys, root, "EuroSAT", "--allow-subset", "DATASET.NUM_SHOTS", "2")[1]
    assert "saved the split" not in out and "kept in" not in out and "craft-datasets-" not in out
    assert not (root / "eurosat" / "split_fewshot").exists()
    assert not (root / "eurosat" / "split_zhou_EuroSAT.json").exists()


def test_what_runs_leave_behind_is_not_counted(root, capsys, monkeypatch):
    """The draws of few-shot runs lie in the data set's folder, which is the folder of images of Waterbirds."""
    reader = READERS["Waterbirds"]
    metadata, images = reader.files
    count = len([path for path in (root / "waterbirds_v1.0").iterdir() if path.is_dir()])
    number = sum(1 for _ in (root / "waterbirds_v1.0").rglob("*.jpg"))
    images = images.__class__(".", "dir", images=number, folders=count, sources=images.sources)
    monkeypatch.setattr(reader, "files", (metadata, images))
    load(root, "Waterbirds", shots=2)
    whole = load(root, "Waterbirds")
    sizes = {"train": whole.train_x, "val": whole.val, "test": whole.test}
    groups = {part: tuple(sum(i.group == g for i in items) for g in range(4)) for part, items in sizes.items()}
    monkeypatch.setattr(reader, "expected_groups", groups)
    assert (root / "waterbirds_v1.0" / "split_fewshot").is_dir()
    status, out = check(capsys, root, "Waterbirds")
    assert status == 0, out
    monkeypatch.setattr(reader, "expected_groups", {**groups, "train": (1, 2, 3, 4)})
    status, out = check(capsys, root, "Waterbirds")
    assert status == 1
    assert re.search(r"metadata\.csv +unexpected size: another split: train has .* instead of 1, 2, 3, 4", out)


def test_flat_validation_images_are_answered_with_how_to_sort_them(root, capsys):
    for folder in [path for path in (root / "imagenet/images/val").iterdir() if path.is_dir()]:
        for path in folder.iterdir():
            path.rename(root / "imagenet/images/val" / path.name)
        folder.rmdir()
    status, out = check(capsys, root, "ImageNet", "--allow-subset")
    assert status == 1 and re.search(r"images/val +unexpected size: \d+ images side by side", out)
    assert "valprep.sh" in out and "image-net.org" not in out


# -- names ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Caltech101", "caltech101", "CALTECH101", "caltech_101"])
def test_a_name_is_understood_in_any_case(root, capsys, name):
    assert check(capsys, root, name, "--allow-subset")[0] == 0


@pytest.mark.parametrize(
    ("name", "full"), [("OXFORD_PETS", "OxfordPets"), ("oxfordpets", "OxfordPets"), ("DTD", "DescribableTextures")]
)
def test_a_yamls_name_is_understood_in_any_case(root, capsys, name, full):
    assert re.search(rf"^{full} ", check(capsys, root, name, "--allow-subset")[1], re.M)


@pytest.mark.parametrize("command", ["check", "show", "download"])
def test_a_misspelt_name_is_answered_with_the_nearest_and_where_readers_are_shown(root, capsys, command):
    status, out = run(capsys, command, "oxfrd_pets", "--root", root)
    assert status == 1 and "did you mean: " in out and "OxfordPets" in out and "docs/extending.md" in out


# -- a folder of one's own -----------------------------------------------------------


def test_a_folder_of_ones_own_is_counted_and_what_lies_beside_is_named(tmp_path, capsys):
    base = class_folders(tmp_path / "mine", {"cat": 12, "dog": 6})
    (base / "notes.txt").write_text("x")
    (base / "cat" / "thumbs.db").write_text("x")
    status, out = check(capsys, base, "ImageFolder")
    assert status == 0
    assert "2 classes, 9 train, 3 val, 6 test" in out and "6 images ('dog') to 12 ('cat') a class" in out
    assert "2 file(s) that are no images, passed over: notes.txt, cat/thumbs.db" in out
    assert "'a photo of a cat.', 'a photo of a dog.'" in out


def test_images_that_a_csv_leaves_out_are_counted(tmp_path, capsys):
    base = class_folders(tmp_path / "mine", {"cat": 8})
    path = table(base, [f"cat/{i:02d}.jpg,{'tabby' if i % 2 else 'siamese'}" for i in range(6)])
    status, out = check(capsys, path, "ImageFolder")
    assert status == 0 and "2 image(s) that list.csv does not list, e.g. cat/06.jpg" in out
    assert re.search(r"3 images \('\w+'\) to 3 \('\w+'\) a class", out) and "stray" not in out


def test_images_that_are_validated_and_tested_on_are_counted_once(tmp_path, capsys):
    for part, count in (("train", 6), ("val", 5)):
        class_folders(tmp_path / part, {"a": count, "b": count + 1})
    out = check(capsys, tmp_path, "ImageFolder")[1]
    assert "11 images ('a') to 13 ('b') a class" in out


@pytest.mark.parametrize("layout", ["classes", "splits", "domains"])
def test_a_folder_too_deep_is_read(tmp_path, capsys, layout):
    place = tmp_path / "mine" / "archive" / "images"
    for part in {"classes": [""], "splits": ["train", "test"], "domains": ["photo", "sketch"]}[layout]:
        class_folders(place / part, {"cat": 4, "dog": 4})
    status, out = check(capsys, tmp_path / "mine", "ImageFolder")
    assert status == 0 and f"Reading {tmp_path / 'mine' / 'archive'}" in out and "which is all that" in out
    assert check(capsys, place, "ImageFolder")[0] == 0
