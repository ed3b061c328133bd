"""`craft data adopt`: miniatures as torchvision, Kaggle, Hugging Face and colleagues have them become what the readers
read; nothing is changed where they lie, nothing is half-written, and what could not be had is named."""

import dataclasses
import json
import os
import re
import shlex
import shutil
from itertools import chain
from pathlib import Path

import pytest
import torchvision.datasets as published

from craft.datasets import READERS
from craft.datasets.layouts.declared import layouts_of
from craft.datasets.sources import Counts
from craft.datasets.tools.adopt_plan import make_plan
from craft.datasets.tools.command import main
from tests.datasets.test_readers_train import run as one_epoch
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
    return {
        part: sorted((Path(i.impath).read_bytes(), i.label, i.classname) for i in items or [])
        for part, items in parts.items()
    }


# -- every layout ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layout"), sorted(FOREIGN))
def test_a_layout_is_adopted_as_coop_wants_it(coop, tmp_path, capsys, monkeypatch, name, layout):
    theirs, root = tmp_path / "theirs", tmp_path / "data"
    theirs.mkdir()
    FOREIGN[name, layout](coop / SETS[name], theirs)
    if layout == "torchvision":
        monkeypatch.setattr(published.Flowers102, "_check_integrity", lambda self: True)  # digests of the full set
        monkeypatch.setattr(published.CelebA, "_check_integrity", lambda self: True)
        if name != "CelebA":  # its class wants further lists that nothing here reads
            assert sum(len(kind(theirs, **options)) for kind, options in TORCHVISION[name]) > 0
        if name == "OxfordFlowers":  # the names are ours there, and the miniature's ninth flower is not the real one
            names = json.loads((coop / SETS[name] / "cat_to_name.json").read_text())
            monkeypatch.setitem(layouts_of(READERS[name]).made, "cat_to_name.json", names)
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
        mine, theirs = (sorted(chain(*contents(base, name).values())) for base in (root, original))
        assert mine == theirs
        return
    if split and not any(path.name == split for path in theirs.rglob(split)):
        (original / SETS[name] / split).unlink()
        assert json.loads((here / split).read_text())["made_by"]["seed"] == 1
    assert contents(root, name) == contents(original, name)
    relative = [
        triples(load(base, name).train_x, base / folder) for base, folder in ((root, here.name), (original, SETS[name]))
    ]
    assert relative[0] == relative[1], "paths below the data set's folder are those of CoOp's layout"


@pytest.mark.parametrize(("name", "layout"), sorted(FOREIGN))
def test_what_was_adopted_is_trained_on(coop, tmp_path, capsys, name, layout):
    theirs, root = tmp_path / "theirs", tmp_path / "data"
    theirs.mkdir()
    FOREIGN[name, layout](coop / SETS[name], theirs)
    if (name, layout) in NEEDS_SPLIT:
        extra = "classnames.txt" if name == "ImageNet" else f"split_zhou_{name}.json"
        shutil.copy(coop / SETS[name] / extra, theirs / extra)
    assert adopt(capsys, theirs, name, root, "--allow-subset")[0] == 0
    assert one_epoch(root, name, tmp_path / "out", "ZeroshotCLIP" if READERS[name].test_only else "CoOp") == 0
    assert "* accuracy:" in capsys.readouterr().out


# -- what is done and what is not --------------------------------------------------------------------------------------


@pytest.fixture
def kaggle(coop, tmp_path):
    """kaggle(set, layout): that set as the layout has it, in ``theirs`` below tmp_path."""

    def made(name, layout="kaggle"):
        folder = tmp_path / "theirs"
        folder.mkdir()
        FOREIGN[name, layout](coop / SETS[name], folder)
        return folder

    return made


def test_a_dry_run_shows_the_plan_and_writes_nothing(kaggle, tmp_path, capsys):
    theirs = kaggle("EuroSAT")
    before = everything(tmp_path)
    status, out = adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--dry-run", "--allow-subset")
    assert status == 0 and everything(tmp_path) == before
    count = sum(1 for path in theirs.rglob("*.jpg"))
    assert f"{count} images: images under their published names" in out
    assert "2750/" in out and "would be linked" in out and "made here" not in out


def test_folders_that_fit_are_one_link_and_copies_are_none(kaggle, tmp_path, capsys):
    theirs = kaggle("EuroSAT")
    assert adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--allow-subset")[0] == 0
    assert os.readlink(tmp_path / "data" / "eurosat" / "2750") == str(theirs / "EuroSAT")
    assert adopt(capsys, theirs, "EuroSAT", tmp_path / "copies", "--allow-subset", "--copy")[0] == 0
    shutil.rmtree(theirs)
    copies = list((tmp_path / "copies").rglob("*"))
    assert not any(path.is_symlink() for path in copies)
    assert main(["check", "EuroSAT", "--root", str(tmp_path / "copies"), "--allow-subset", "--images"]) == 0


def test_a_second_call_changes_nothing(kaggle, tmp_path, capsys):
    theirs = kaggle("OxfordPets")
    assert adopt(capsys, theirs, "OxfordPets", tmp_path / "data", "--allow-subset")[0] == 0
    before = everything(tmp_path)
    status, out = adopt(capsys, theirs, "OxfordPets", tmp_path / "data", "--allow-subset")
    assert status == 0 and "is in place already and stays" in out
    assert set(everything(tmp_path)) == set(before)


def test_what_is_in_place_is_completed(coop, kaggle, tmp_path, capsys):
    """The published split lies where it belongs, and the images come from elsewhere."""
    theirs, here = kaggle("StanfordCars"), tmp_path / "data" / "stanford_cars"
    here.mkdir(parents=True)
    split = here / "split_zhou_StanfordCars.json"
    shutil.copy(coop / "stanford_cars" / split.name, split)
    (here / "split_fewshot").mkdir()
    was = split.read_bytes()
    assert adopt(capsys, theirs, "StanfordCars", tmp_path / "data", "--allow-subset")[0] == 0
    assert split.read_bytes() == was and (here / "cars_train").is_symlink()
    assert contents(tmp_path / "data", "StanfordCars") == contents(coop, "StanfordCars")
    assert not list((tmp_path / "data").glob(".adopt-*"))


def test_an_interruption_leaves_nothing(kaggle, tmp_path, capsys, monkeypatch):
    theirs = kaggle("EuroSAT")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(READERS["EuroSAT"], "load", interrupted)
    status, _ = adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--allow-subset")
    assert status == 130 and list((tmp_path / "data").iterdir()) == []


def test_missing_images_are_counted_and_only_whole_folders_laid(coop, kaggle, tmp_path, capsys):
    theirs = kaggle("StanfordCars", "torchvision")
    shutil.copy(coop / "stanford_cars" / "split_zhou_StanfordCars.json", theirs)
    gone = sorted((theirs / "stanford_cars" / "cars_test").iterdir())[3]
    gone.unlink()
    status, out = adopt(capsys, theirs, "StanfordCars", tmp_path / "data")
    here = tmp_path / "data" / "stanford_cars"
    assert (
        status == 1
        and f"1 of {len(list((coop / 'stanford_cars/cars_test').iterdir()))} listed images are missing" in out
    )
    assert f"cars_test/{gone.name}" in out and "cars_test.tgz" in out, "what is missing and where it is"
    assert "--allow-subset lays folders that lack images" in out
    assert (here / "cars_train").is_dir() and not (here / "cars_test").exists()
    assert adopt(capsys, theirs, "StanfordCars", tmp_path / "data", "--allow-subset")[0] == 0, "all but one is read"
    assert (here / "cars_test").is_dir()


def test_a_copy_with_numbers_of_its_own_is_not_believed(coop, kaggle, tmp_path, capsys):
    """Folders of classes tell when the numbers in them are not the published ones."""
    theirs = kaggle("StanfordCars", "kaggle by class")
    images = sorted((theirs / "car_data" / "car_data" / "train").rglob("*.jpg"))
    names = [image.name for image in images]
    for image, name in zip(images, names[7:] + names[:7]):  # seven of each class get numbers of the next one
        image.rename(image.with_name(f"{name}.moved"))
    for image in theirs.rglob("*.moved"):
        image.rename(image.with_suffix(""))
    status, out = adopt(capsys, theirs, "StanfordCars", tmp_path / "data", "--allow-subset")
    assert status == 1 and "the numbers of this copy are not the published ones" in out
    assert not (tmp_path / "data/stanford_cars/cars_train").exists()


def test_two_images_for_one_place_are_named(kaggle, tmp_path, capsys):
    theirs = kaggle("EuroSAT")
    one = theirs / "EuroSAT" / "River" / "River_1.jpg"
    other = theirs / "more" / "River" / "River_1.jpg"
    other.parent.mkdir(parents=True)
    shutil.copy(theirs / "EuroSAT" / "Forest" / "Forest_1.jpg", other)
    _, out = adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--allow-subset")
    assert f"{one} and {other} are different images for 2750/River/River_1.jpg; remove one" in out
    assert (tmp_path / "data/eurosat/2750/River/River_1.jpg").read_bytes() == one.read_bytes()


def test_a_published_split_is_not_joined_by_images_that_it_does_not_know(coop, kaggle, tmp_path, capsys):
    theirs, here = kaggle("EuroSAT", "own names"), tmp_path / "data" / "eurosat"
    here.mkdir(parents=True)
    shutil.copy(coop / "eurosat" / "split_zhou_EuroSAT.json", here)
    before = everything(tmp_path)
    status, out = adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--allow-subset")
    assert status == 1 and "split_zhou_EuroSAT.json is in place, and the images" in out
    assert set(everything(tmp_path)) == set(before)
    (here / "split_zhou_EuroSAT.json").unlink()
    for _ in range(2):  # the second call finds everything in place
        assert adopt(capsys, theirs, "EuroSAT", tmp_path / "data", "--allow-subset")[0] == 0


# -- where links and folders would be in each other's way --------------------------------------------------------------


def test_a_folder_is_never_written_to(kaggle, tmp_path, capsys):
    theirs = kaggle("EuroSAT")
    before = everything(tmp_path)
    for root in (theirs, theirs / "data"):
        status, out = adopt(capsys, theirs, "EuroSAT", root)
        assert status == 1 and "where nothing is changed" in out
    status, out = adopt(capsys, theirs / "no", "EuroSAT", tmp_path / "data")
    assert status == 1 and "there is no folder" in out
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["StanfordCars", "EuroSAT", "SUN397"])
def test_check_proposes_what_helps(coop, tmp_path, capsys, name):
    """A doubled or divided copy lies where the set belongs: the proposed commands, typed, make it right."""
    root = tmp_path / "my data"
    here = root / SETS[name]
    here.mkdir(parents=True)
    FOREIGN[name, {"SUN397": "divided"}.get(name, "doubled" if name == "EuroSAT" else "kaggle")](
        coop / SETS[name], here
    )
    assert main(["check", name, "--root", str(root), "--allow-subset"]) == 1
    out = capsys.readouterr().out
    command = next(line.strip() for line in out.splitlines() if "craft data adopt" in line)
    move, adopting = command.split(" && ")
    os.rename(*shlex.split(move)[1:])
    assert main([*shlex.split(adopting)[2:], "--allow-subset", "--no-fetch"]) == 0
    assert main(["check", name, "--root", str(root), "--allow-subset", "--images"]) == 0


def test_check_sees_a_folder_by_another_name(coop, tmp_path, capsys):
    FOREIGN["OxfordFlowers", "torchvision"](coop / "oxford_flowers", tmp_path)
    assert main(["check", "OxfordFlowers", "--root", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert f"craft data adopt {tmp_path / 'flowers-102'} --as OxfordFlowers --root {tmp_path}" in out


def test_a_doubled_folder_is_not_called_found(coop, tmp_path, capsys):
    here = tmp_path / "stanford_cars"
    here.mkdir()
    FOREIGN["StanfordCars", "kaggle"](coop / "stanford_cars", here)
    assert main(["check", "StanfordCars", "--root", str(tmp_path), "--allow-subset"]) == 1
    said = r"cars_train +unexpected size: (0 of \d+ listed images|the folder cars_train in it)"
    assert re.search(said, capsys.readouterr().out)


# -- what cannot be had ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "remedy"),
    [
        ("Food101", "data/train-00000-of-00008.parquet", "such files are not read here"),
        ("EuroSAT", "data/dataset.arrow", "such files are not read here"),
        ("UCF101", "UCF-101/YoYo/v_YoYo_g01_c01.avi", "no frames are taken of videos here"),
        ("StanfordCars", "cars_train.tgz", "unpack it (anywhere) and adopt that folder"),
        ("StanfordCars", "car_ims/000001.jpg", "its numbers are not those of cars_train and cars_test"),
        ("EuroSAT", "EuroSATallBands/River/River_1.tif", "the RGB images are needed"),
        ("Waterbirds", "CUB_200_2011/images/001.Albatross/Albatross_1.jpg", "get waterbird_complete95_forest2water2"),
        ("CelebA", "img_celeba/000001.jpg", "the aligned faces are needed"),
        ("ImageNet", "val/ILSVRC2012_val_00000001.JPEG", "LOC_val_solution.csv"),
        ("ImageNetV2", "imagenetv2-top-images-format-val/0/abc.jpeg", "the matched-frequency version is needed"),
        ("OxfordPets", "notes/readme.md", "these layouts are known: images under their published names"),
    ],
)
def test_what_is_something_else_is_told_apart(tmp_path, capsys, name, file, remedy):
    path = tmp_path / "theirs" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    status, out = adopt(capsys, tmp_path / "theirs", name, tmp_path / "data")
    assert status == 1 and out.startswith("error: ") and out.count("\n") == 1 and remedy in out
    assert list((tmp_path / "data").iterdir()) == []


def test_lists_that_are_not_there_are_named_with_their_source(kaggle, tmp_path, capsys):
    theirs = kaggle("UCF101", "divided")
    shutil.rmtree(theirs / "ucfTrainTestlist")
    status, out = adopt(capsys, theirs, "UCF101", tmp_path / "data", "--allow-subset")
    assert status == 1 and "UCF101TrainTestSplits-RecognitionTask.zip" in out
    assert "ucfTrainTestlist/classInd.txt" in out and "lacking: not found" in out
    assert "split_zhou_UCF101.json, the published split, was not found; it comes from https://drive" in out
    assert (tmp_path / "data/ucf101/UCF-101-midframes").is_dir()


def test_class_numbers_of_folders_stand_for_the_labels(coop, kaggle, tmp_path, capsys, monkeypatch):
    """Kaggle's flowers come without imagelabels.mat; the split made of them is the one that the file would give."""
    theirs = kaggle("OxfordFlowers")
    (theirs / "imagelabels.mat").unlink()
    (theirs / "flower_data" / "cat_to_name.json").rename(theirs / "cat_to_name.json")
    count = sum(1 for _ in theirs.rglob("*.jpg"))
    files = READERS["OxfordFlowers"].files
    whole = tuple(dataclasses.replace(f, images=count) if f.kind == "dir" else f for f in files)
    monkeypatch.setattr(READERS["OxfordFlowers"], "files", whole)
    status, out = adopt(capsys, theirs, "OxfordFlowers", tmp_path / "data", "--allow-subset")
    assert status == 0 and re.search(r"imagelabels\.mat +taken +made of the folders of class numbers", out)
    original = tmp_path / "original"
    tree(coop / "oxford_flowers", original / "oxford_flowers", ["split_zhou_OxfordFlowers.json"])
    assert contents(tmp_path / "data", "OxfordFlowers") == contents(original, "OxfordFlowers")


def test_check_excuses_what_is_not_read(coop, tmp_path, capsys, monkeypatch):
    """The authors' folder of pets holds 41 images more than any list names; a copy without them is whole."""
    root = make_tree(tmp_path / "data", "OxfordPets")
    reader = READERS["OxfordPets"]
    counts = [len(part) for part in contents(root, "OxfordPets").values()]
    monkeypatch.setattr(reader, "expected", Counts(10, *counts))
    capsys.readouterr()
    assert main(["check", "OxfordPets", "--root", str(root)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"oxford_pets/images +found", out)
    next((root / "oxford_pets/images").glob("boxer_*.jpg")).unlink()
    assert main(["check", "OxfordPets", "--root", str(root)]) == 1


def test_another_file_of_a_published_name_is_left_out(kaggle, tmp_path, capsys):
    """The miniature's .mat files do not have the published digests."""
    theirs = kaggle("StanfordCars")
    status, out = adopt(capsys, theirs, "StanfordCars", tmp_path / "data")
    assert status == 1 and "is not the published cars_test_annos_withlabels.mat (another size or digest)" in out


def test_a_missing_split_is_fetched_and_images_never(coop, kaggle, tmp_path, capsys, monkeypatch):
    import gdown

    asked = []

    def drive(id, output, resume, quiet):
        asked.append(id)
        return shutil.copy(coop / "eurosat" / "split_zhou_EuroSAT.json", output)

    monkeypatch.setattr(gdown, "download", drive)
    theirs = kaggle("EuroSAT")
    arguments = ["adopt", str(theirs), "--as", "EuroSAT", "--allow-subset", "--root"]
    assert main([*arguments, str(tmp_path / "data")]) == 0
    assert len(asked) == 1 and "fetched from https://drive.google.com/file/d/1Ip7ya" in capsys.readouterr().out
    assert contents(tmp_path / "data", "EuroSAT") == contents(coop, "EuroSAT"), "the published split"
    assert sorted(path.name for path in (tmp_path / "data/eurosat").iterdir()) == ["2750", "split_zhou_EuroSAT.json"]

    def refuses(**_):
        raise RuntimeError("quota")

    monkeypatch.setattr(gdown, "download", refuses)
    assert main([*arguments, str(tmp_path / "without")]) == 0
    out = capsys.readouterr().out
    assert "problem: Google Drive would not give" in out and "made here with seed 1" in out


def test_a_set_without_declared_layouts_says_so(tmp_path, capsys):
    status, out = adopt(capsys, tmp_path, "Digits", tmp_path / "data")
    assert status == 1 and "Digits does not say which files it has" in out


# -- what is declared --------------------------------------------------------------------------------------------------


def test_every_published_set_declares_its_layouts():
    for name, reader in READERS.items():
        if reader.files:
            assert layouts_of(reader).images, name


def test_declared_classes_are_those_of_the_sets():
    counts = {"Caltech101": 102, "DescribableTextures": 47, "EuroSAT": 10, "OxfordPets": 37}
    for name, count in counts.items():
        classes = layouts_of(READERS[name]).classes
        assert len(set(classes)) == len(classes) == count
    species = [name.rstrip("?") for name in published.Flowers102.classes]
    assert list(layouts_of(READERS["OxfordFlowers"]).made["cat_to_name.json"].values()) == species


@pytest.mark.parametrize(
    ("name", "path", "place"),
    [
        (
            "ImageNet",
            "x/val/ILSVRC2012_val_00000293_n01440764.JPEG",
            "images/val/n01440764/ILSVRC2012_val_00000293.JPEG",
        ),
        ("ImageNet", "n01440764_10026_n01440764.JPEG", "images/train/n01440764/n01440764_10026.JPEG"),
        ("StanfordCars", "cars/cars_train/cars_train/7.jpg", "cars_train/00007.jpg"),
        ("StanfordCars", "test/Ram C-V Cargo Van Minivan 2012/00042.jpg", "cars_test/00042.jpg"),
        (
            "UCF101",
            "a/v_HandStandPushups_g08_c01.jpg",
            "UCF-101-midframes/Handstand_Pushups/v_HandStandPushups_g08_c01.jpg",
        ),
        ("SUN397", "SUN397/t/theater/indoor_seats/sun_abc.jpg", "SUN397/t/theater/indoor_seats/sun_abc.jpg"),
        ("EuroSAT", "train/SeaLake/SeaLake_12.jpg", "2750/SeaLake/SeaLake_12.jpg"),
        ("EuroSAT", "val/sea or lake/12.png", "2750/SeaLake/val_12.png"),
        ("Caltech101", "caltech101/Water Lilly/image_7.jpg", "101_ObjectCategories/water_lilly/image_0007.jpg"),
        ("DescribableTextures", "flat/polka-dotted_0123 (2).jpg", "images/polka-dotted/polka-dotted_0123.jpg"),
        ("OxfordPets", "test/Shiba Inu/shiba_inu_9.jpg", "images/shiba_inu_9.jpg"),
        ("CelebA", "img_align_celeba/img_align_celeba/000001.jpg", "img_align_celeba/000001.jpg"),
    ],
)
def test_a_path_is_read_as_declared(tmp_path, name, path, place):
    plan = make_plan(tmp_path, layouts_of(READERS[name]), [path], compare=False)
    assert plan.images == {place: path}
