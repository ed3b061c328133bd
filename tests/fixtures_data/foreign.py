"""Miniatures as other people have them: each maker takes a data set's folder in CoOp's layout and lays the same images
as torchvision's downloads, Kaggle, Hugging Face's exports or a colleague's disk have them. Images are hard links."""

import csv
import json
import os
import shutil
from pathlib import Path

import torch

from tests.fixtures_data.trees import FOLDERS

SETS = FOLDERS | {"Waterbirds": "waterbirds_v1.0", "CelebA": "celeba"}


def tree(source, target, leave=()):
    """A copy of a folder, images as hard links; ``leave`` names entries of the top that are left out."""

    def copy(one, other):
        (os.link if str(one).lower().endswith((".jpg", ".jpeg")) else shutil.copy)(one, other)

    ignore = lambda at, _: leave if Path(at) == Path(source) else []  # noqa: E731
    shutil.copytree(source, target, copy_function=copy, ignore=ignore, dirs_exist_ok=True)


def each(source, pattern, target, name):
    """Every image that matches ``pattern`` below ``source``, linked to ``target / name(path)``."""
    for number, path in enumerate(sorted(Path(source).glob(pattern))):
        if path.suffix.lower() in (".jpg", ".jpeg"):
            to = Path(target) / name(path, number)
            to.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, to)


def part(number):
    return "test" if number % 4 == 0 else "train"


def file(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


# -- torchvision's downloads -----------------------------------------------------------------------------------------


def torchvision_caltech(coop, to):
    tree(coop / "101_ObjectCategories", to / "caltech101" / "101_ObjectCategories")
    for folder in (to / "caltech101" / "101_ObjectCategories").iterdir():
        (to / "caltech101" / "Annotations" / folder.name).mkdir(parents=True)


def torchvision_dtd(coop, to):
    tree(coop, to / "dtd" / "dtd", ["split_zhou_DescribableTextures.json"])


def torchvision_eurosat(coop, to):
    tree(coop / "2750", to / "eurosat" / "2750")


def torchvision_aircraft(coop, to):
    tree(coop, to / "fgvc-aircraft-2013b" / "data")


def torchvision_flowers(coop, to):
    from scipy.io import loadmat, savemat

    tree(coop / "jpg", to / "flowers-102" / "jpg")
    file(coop / "imagelabels.mat", to / "flowers-102" / "imagelabels.mat")
    count = loadmat(coop / "imagelabels.mat")["labels"].size
    savemat(
        to / "flowers-102" / "setid.mat",
        {
            "trnid": [list(range(1, count - 10))],
            "valid": [[count - 10, count - 9]],
            "tstid": [list(range(count - 8, count + 1))],
        },
    )


def torchvision_food(coop, to):
    tree(coop, to / "food-101", ["split_zhou_Food101.json"])


def torchvision_pets(coop, to):
    tree(coop, to / "oxford-iiit-pet", ["split_zhou_OxfordPets.json"])


def torchvision_cars(coop, to):
    tree(coop, to / "stanford_cars", ["split_zhou_StanfordCars.json"])


def torchvision_sun(coop, to):
    tree(coop / "SUN397", to / "SUN397")
    file(coop / "ClassName.txt", to / "SUN397" / "ClassName.txt")


def torchvision_imagenet(coop, to):
    tree(coop / "images" / "train", to / "train")
    tree(coop / "images" / "val", to / "val")
    for path in (to / "val" / "valprep.sh", to / "train" / ".DS_Store"):
        path.unlink()
    wnids = sorted(path.name for path in (to / "train").iterdir())
    torch.save(({wnid: (wnid,) for wnid in wnids}, wnids), to / "meta.bin")


def torchvision_celeba(coop, to):
    tree(coop / "img_align_celeba", to / "celeba" / "img_align_celeba")
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt"):
        file(coop / name, to / "celeba" / name)


# -- Kaggle ----------------------------------------------------------------------------------------------------------


def kaggle_caltech(coop, to):
    tree(coop / "101_ObjectCategories", to / "caltech-101" / "caltech-101")


def kaggle_pets(coop, to):
    tree(coop / "images", to / "images" / "images")
    tree(coop / "annotations", to / "annotations" / "annotations")


def kaggle_cars(coop, to):
    tree(coop / "cars_train", to / "cars_train" / "cars_train")
    tree(coop / "cars_test", to / "cars_test" / "cars_test")
    tree(coop / "devkit", to / "car_devkit" / "devkit")
    file(coop / "cars_test_annos_withlabels.mat", to / "cars_test_annos_withlabels (1).mat")


def kaggle_car_classes(coop, to):
    split = json.loads((coop / "split_zhou_StanfordCars.json").read_text())
    for path, _, name in (entry for entries in split.values() for entry in entries):
        folder, image = path.split("/")
        year, _, model = name.partition(" ")
        at = to / "car_data" / "car_data" / folder.removeprefix("cars_") / f"{model} {year}".replace("/", "-")
        at.mkdir(parents=True, exist_ok=True)
        os.link(coop / path, at / image)
    file(coop / "split_zhou_StanfordCars.json", to / "split_zhou_StanfordCars.json")


def kaggle_flowers(coop, to):
    split = json.loads((coop / "split_zhou_OxfordFlowers.json").read_text())
    for name, entries in split.items():
        for image, label, _ in entries:
            at = to / "flower_data" / {"val": "valid"}.get(name, name) / str(label + 1)
            at.mkdir(parents=True, exist_ok=True)
            os.link(coop / "jpg" / image, at / image)
    file(coop / "cat_to_name.json", to / "flower_data" / "cat_to_name.json")
    file(coop / "imagelabels.mat", to / "imagelabels.mat")


def kaggle_food(coop, to):
    tree(coop, to / "food-101" / "food-101", ["split_zhou_Food101.json"])


def kaggle_aircraft(coop, to):
    tree(coop, to / "fgvc-aircraft-2013b" / "fgvc-aircraft-2013b" / "data")


def kaggle_dtd(coop, to):
    tree(coop, to / "dtd", ["split_zhou_DescribableTextures.json"])


def kaggle_eurosat(coop, to):
    tree(coop / "2750", to / "EuroSAT")
    for folder in (to / "EuroSAT").iterdir():
        bands = to / "EuroSATallBands" / folder.name / f"{folder.name}_1.tif"
        bands.parent.mkdir(parents=True)
        bands.write_bytes(b"not read")


def kaggle_imagenet(coop, to):
    data = to / "ILSVRC" / "Data" / "CLS-LOC"
    tree(coop / "images" / "train", data / "train")
    rows = [["ImageId", "PredictionString"]]
    each(coop / "images" / "val", "*/*", data / "val", lambda path, _: path.name)
    for path in (coop / "images" / "val").glob("n*/*.JPEG"):
        rows.append([path.stem, f"{path.parent.name} 1 2 30 40 "])
    with open(to / "LOC_val_solution.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    file(coop / "classnames.txt", to / "classnames.txt")


def kaggle_celeba(coop, to):
    tree(coop / "img_align_celeba", to / "img_align_celeba" / "img_align_celeba")
    for name in ("list_attr_celeba.csv", "list_eval_partition.csv"):
        file(coop / name, to / name)


def kaggle_waterbirds(coop, to):
    tree(coop, to / "waterbird" / "waterbird_complete95_forest2water2")


# -- Hugging Face's and others' exports ------------------------------------------------------------------------------


def divided(folder, depth=1, classname=str):
    """train and test of class folders, file names kept."""

    def make(coop, to):
        pattern = "/".join("*" * depth) + "/*"
        each(coop / folder, pattern, to, lambda p, n: f"{part(n)}/{classname(p.parent.name)}/{p.name}")

    return make


def divided_pets(coop, to):
    each(coop / "images", "*", to, lambda p, n: f"{part(n)}/{p.stem.rpartition('_')[0]}/{p.name}")
    tree(coop / "annotations", to / "annotations")


def divided_sun(coop, to):
    each(coop / "SUN397", "*/*/*", to, lambda p, n: f"{part(n)}/{p.parent.name}/{p.name}")
    each(coop / "SUN397", "*/*/*/*", to, lambda p, n: f"{part(n)}/{p.parent.name}_{p.parent.parent.name}/{p.name}")
    file(coop / "split_zhou_SUN397.json", to / "split_zhou_SUN397.json")


def divided_sun_lists(coop, to):
    divided_sun(coop, to)
    (to / "split_zhou_SUN397.json").unlink()
    for name in ("ClassName.txt", "Training_01.txt", "Testing_01.txt"):
        file(coop / name, to / "Partitions" / name)


def divided_frames(coop, to):
    each(coop / "UCF-101-midframes", "*/*", to, lambda p, n: f"{part(n)}/{p.name.split('_')[1]}/{p.name}")
    tree(coop / "ucfTrainTestlist", to / "ucfTrainTestlist")


def own_names(folder, classname=str):
    """train and test of class folders, as an exported data set has them: images numbered anew."""

    def make(coop, to):
        each(coop / folder, "*/*", to, lambda p, n: f"{part(n)}/{classname(p.parent.name)}/{n:05d}.jpg")

    return make


def eurosat_names(folder):
    """As some exports call the classes."""
    return {"AnnualCrop": "annual crop land", "SeaLake": "Sea or Lake"}.get(folder, folder.lower())


def hugging_face_imagenet(coop, to):
    each(coop / "images/train", "*/*", to / "train", lambda p, _: f"{p.stem}_{p.parent.name}.JPEG")
    each(coop / "images/val", "*/*", to / "val", lambda p, _: f"{p.stem}_{p.parent.name}.JPEG")
    file(coop / "classnames.txt", to / "classnames.txt")


def v2_by_wnid(coop, to):
    wnids = [line.split()[0] for line in (coop / "classnames.txt").read_text().splitlines()]
    each(coop, "imagenetv2-*/*/*", to, lambda p, _: f"imagenetv2/{wnids[int(p.parent.name)]}/{p.name}")
    file(coop / "classnames.txt", to / "classnames.txt")


# -- a colleague's disk ----------------------------------------------------------------------------------------------


def deeper(coop, to):
    """One folder too deep, CoOp's layout otherwise."""
    tree(coop, to / "data" / coop.name)


def higher(coop, to):
    """What should lie in the data set's folder lies beside other things."""
    tree(coop, to, [])
    (to / "another_set").mkdir()
    (to / "another_set" / "notes.txt").write_text("none of it")


def doubled(coop, to):
    """Every folder of images in a folder of the same name, as some unpackers do."""
    for entry in coop.iterdir():
        (tree if entry.is_dir() else file)(entry, to / entry.name / entry.name if entry.is_dir() else to / entry.name)


def second_copies(coop, to):
    """Merged by a file manager: every fifth image is there twice, as ``a (1).jpg``, and every seventh only so."""
    tree(coop, to / coop.name)
    for number, path in enumerate(sorted((to / coop.name).rglob("*.[jJ]*[gG]"))):
        other = path.with_name(f"{path.stem} (1){path.suffix}")
        if number % 5 == 0:
            os.link(path, other)
        elif number % 7 == 0:
            path.rename(other)


#: (data set, layout): maker. Layouts called ``torchvision`` are read by torchvision's own class in the tests.
FOREIGN = {
    ("Caltech101", "torchvision"): torchvision_caltech,
    ("Caltech101", "kaggle"): kaggle_caltech,
    ("Caltech101", "own names"): own_names("101_ObjectCategories"),
    ("OxfordPets", "torchvision"): torchvision_pets,
    ("OxfordPets", "kaggle"): kaggle_pets,
    ("OxfordPets", "divided"): divided_pets,
    ("StanfordCars", "torchvision"): torchvision_cars,
    ("StanfordCars", "kaggle"): kaggle_cars,
    ("StanfordCars", "kaggle by class"): kaggle_car_classes,
    ("OxfordFlowers", "torchvision"): torchvision_flowers,
    ("OxfordFlowers", "kaggle"): kaggle_flowers,
    ("Food101", "torchvision"): torchvision_food,
    ("Food101", "kaggle"): kaggle_food,
    ("Food101", "divided"): divided("images"),
    ("Food101", "own names"): own_names("images"),
    ("FGVCAircraft", "torchvision"): torchvision_aircraft,
    ("FGVCAircraft", "kaggle"): kaggle_aircraft,
    ("SUN397", "torchvision"): torchvision_sun,
    ("SUN397", "divided"): divided_sun,
    ("SUN397", "divided, with lists"): divided_sun_lists,
    ("DescribableTextures", "torchvision"): torchvision_dtd,
    ("DescribableTextures", "kaggle"): kaggle_dtd,
    ("DescribableTextures", "divided"): divided("images"),
    ("DescribableTextures", "own names"): own_names("images"),
    ("EuroSAT", "torchvision"): torchvision_eurosat,
    ("EuroSAT", "kaggle"): kaggle_eurosat,
    ("EuroSAT", "divided"): divided("2750"),
    ("EuroSAT", "own names"): own_names("2750", eurosat_names),
    ("UCF101", "divided"): divided_frames,
    ("ImageNet", "torchvision"): torchvision_imagenet,
    ("ImageNet", "kaggle"): kaggle_imagenet,
    ("ImageNet", "hugging face"): hugging_face_imagenet,
    ("ImageNetV2", "by WordNet id"): v2_by_wnid,
    ("CelebA", "torchvision"): torchvision_celeba,
    ("CelebA", "kaggle"): kaggle_celeba,
    ("Waterbirds", "kaggle"): kaggle_waterbirds,
}
FOREIGN |= {(name, "deeper"): deeper for name in SETS}
FOREIGN |= {(name, "doubled"): doubled for name in ("EuroSAT", "OxfordPets", "ImageNetR", "SUN397", "UCF101")}
FOREIGN |= {(name, "higher"): higher for name in ("FGVCAircraft", "ImageNetSketch", "Waterbirds")}
FOREIGN |= {(name, "second copies"): second_copies for name in ("StanfordCars", "Caltech101", "ImageNetA", "CelebA")}
