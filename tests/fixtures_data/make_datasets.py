#!/usr/bin/env python3
# ruff: noqa
# fmt: off
"""Write miniature copies of image datasets in their raw on-disk layout.

    python make_datasets.py ROOT [--only NAME ...] [--seed 0] [--no-splits]

ROOT then holds one folder per dataset, with the folder names, annotation files
and file naming that the full datasets have once they are prepared for few-shot
prompt tuning. Images are distinct 48x40 JPEGs.

Every choice (counts, names, order, membership of a split) comes from a SHA-256
of the seed and a fixed key, so the tree is the same on every machine. Only the
JPEG bytes may differ between Pillow builds; nothing depends on them.

With --no-splits the ready-made split_zhou_*.json files are left out; all other
files are identical.
"""

import argparse
import csv
import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

WIDTH, HEIGHT, BLOCK = 48, 40, 8
MAT_HEADER_BYTES = 116


class Tree:
    """A dataset folder under construction."""

    def __init__(self, root, folder, seed=0, splits=True):
        self.base = Path(root) / folder
        self.seed = seed
        self.splits = splits
        if self.base.exists():
            raise FileExistsError(f"{self.base} already exists; choose another ROOT")

    # -- deterministic choices -------------------------------------------------

    def digest(self, *key):
        text = "|".join(str(part) for part in (self.seed, *key))
        return hashlib.sha256(text.encode("utf-8")).digest()

    def number(self, low, high, *key):
        """An integer in [low, high]."""
        return low + int.from_bytes(self.digest(*key)[:8], "big") % (high - low + 1)

    def mixed(self, items, *key):
        """The items in a fixed pseudo-random order."""
        return sorted(items, key=lambda item: (self.digest("mix", *key, item), str(item)))

    def numbers(self, count, low, high, *key):
        """Distinct integers in [low, high], in no particular order."""
        found, attempt = [], 0
        seen = set()
        while len(found) < count:
            value = self.number(low, high, *key, attempt)
            attempt += 1
            if value not in seen:
                seen.add(value)
                found.append(value)
        return found

    # -- files -----------------------------------------------------------------

    def path(self, name):
        path = self.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def image(self, name, tint):
        """A blocky image: the colour of its class plus noise of its own."""
        rows, cols = HEIGHT // BLOCK, WIDTH // BLOCK
        seed_text = f"{self.seed}|{name}".encode("utf-8")
        noise = hashlib.shake_256(seed_text).digest(rows * cols * 3)
        noise = np.frombuffer(noise, dtype=np.uint8).reshape(rows, cols, 3)
        colour = np.frombuffer(self.digest("tint", tint)[:3], dtype=np.uint8)
        blocks = 0.55 * colour.astype(float) + 0.45 * noise.astype(float)
        pixels = np.kron(blocks, np.ones((BLOCK, BLOCK, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(self.path(name), format="JPEG", quality=90)

    def text(self, name, lines):
        body = "".join(f"{line}\n" for line in lines)
        self.path(name).write_bytes(body.encode("utf-8"))

    def json(self, name, value):
        self.text(name, [json.dumps(value, indent=1)])

    def csv(self, name, header, rows):
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        self.path(name).write_bytes(buffer.getvalue().encode("utf-8"))

    def mat(self, name, variables):
        """A MATLAB 5 file without the creation time in its header."""
        buffer = io.BytesIO()
        savemat(buffer, variables)
        header = b"MATLAB 5.0 MAT-file, miniature dataset".ljust(MAT_HEADER_BYTES)
        self.path(name).write_bytes(header + buffer.getvalue()[MAT_HEADER_BYTES:])

    def split(self, name, train, val, test):
        """The ready-made split: lists of [path, label, class name]."""
        if self.splits:
            parts = {"train": train, "val": val, "test": test}
            self.json(f"split_zhou_{name}.json", parts)


def stray_file(tree, name):
    """A file that must never be taken for an image of a class."""
    tree.text(name, ["not an image"])


# -- shared shapes ---------------------------------------------------------------


def ready_made_split(tree, name, classes):
    """Divide (label, class name, paths) triples and write the split file.

    The sizes differ from what a reader would choose by itself, so a reader that
    ignores the file cannot pass for one that uses it.
    """
    train, val, test = [], [], []
    for label, cname, paths in classes:
        paths = tree.mixed(paths, "split", name)
        n_test = len(paths) // 3
        n_val = max(3, len(paths) // 6)
        for path in paths[:n_test]:
            test.append([path, label, cname])
        for path in paths[n_test : n_test + n_val]:
            val.append([path, label, cname])
        for path in paths[n_test + n_val :]:
            train.append([path, label, cname])
    tree.split(name, train, val, test)


def split_from_lists(tree, name, trainval, test):
    """A ready-made split of datasets that come with a fixed test list.

    Items keep their order in the list except that validation items are taken
    out; `trainval` and `test` are lists of [path, label, class name].
    """
    by_label = {}
    for item in trainval:
        by_label.setdefault(item[1], []).append(item[0])
    held = set()
    for label, paths in by_label.items():
        count = max(2, len(paths) // 6)
        held.update(tree.mixed(paths, "held", name, label)[:count])
    train = [item for item in trainval if item[0] not in held]
    val = [item for item in trainval if item[0] in held]
    tree.split(name, train, val, test)


# -- the few-shot datasets -------------------------------------------------------

CALTECH = [  # folder, class name, images (None: the usual number)
    ("Faces", "face", None),
    ("Leopards", "leopard", None),
    ("Motorbikes", "motorbike", None),
    ("accordion", "accordion", None),
    ("airplanes", "airplane", None),
    ("anchor", "anchor", None),
    ("buddha", "buddha", None),
    ("car_side", "car_side", None),
    ("inline_skate", "inline_skate", 20),
    ("wild_cat", "wild_cat", 13),
    ("yin_yang", "yin_yang", None),
]


def caltech101(root, seed, splits):
    tree = Tree(root, "caltech-101", seed, splits)
    classes = []
    for label, (folder, cname, count) in enumerate(CALTECH):
        count = count or tree.number(51, 57, "count", folder)
        paths = [f"{folder}/image_{i:04d}.jpg" for i in range(1, count + 1)]
        for path in paths:
            tree.image(f"101_ObjectCategories/{path}", folder)
        classes.append((label, cname, paths))
    # Two categories that are not part of the benchmark, one with a stray file.
    for folder, count in (("BACKGROUND_Google", 5), ("Faces_easy", 6)):
        for i in range(1, count + 1):
            tree.image(f"101_ObjectCategories/{folder}/image_{i:04d}.jpg", folder)
    stray_file(tree, "101_ObjectCategories/BACKGROUND_Google/tmp")
    stray_file(tree, "101_ObjectCategories/anchor/.DS_Store")
    ready_made_split(tree, "Caltech101", classes)


PETS = [  # breed as spelt in file names, in class-id order, and its species
    ("Abyssinian", 1),
    ("american_pit_bull_terrier", 2),
    ("basset_hound", 2),
    ("Bengal", 1),
    ("Birman", 1),
    ("boxer", 2),
    ("British_Shorthair", 1),
    ("Egyptian_Mau", 1),
    ("newfoundland", 2),
    ("yorkshire_terrier", 2),
]


def oxford_pets(root, seed, splits):
    tree = Tree(root, "oxford_pets", seed, splits)
    listed, trainval, test = [], [], []
    trainval_items, test_items = [], []
    breed_ids = {1: 0, 2: 0}
    for class_id, (breed, species) in enumerate(PETS, start=1):
        breed_ids[species] += 1
        n_trainval = tree.number(32, 36, "trainval", breed)
        n_test = tree.number(8, 12, "test", breed)
        ids = sorted(tree.numbers(n_trainval + n_test, 1, 210, "ids", breed))
        chosen = set(tree.mixed(ids, "trainval", breed)[:n_trainval])
        for number in ids:
            stem = f"{breed}_{number}"
            tree.image(f"images/{stem}.jpg", breed)
            line = f"{stem} {class_id} {species} {breed_ids[species]}"
            item = [f"{stem}.jpg", class_id - 1, breed.lower()]
            listed.append(line)
            (trainval if number in chosen else test).append(line)
            (trainval_items if number in chosen else test_items).append(item)
        tree.text(f"annotations/xmls/{breed}_{ids[0]}.xml", ["<annotation/>"])
        stray_file(tree, f"annotations/trimaps/._{breed}_{ids[0]}.png")
    stray_file(tree, "images/Abyssinian_100.mat")
    tree.text("annotations/trainval.txt", trainval)
    tree.text("annotations/test.txt", test)
    comments = ["#Image CLASS-ID SPECIES BREED ID", "#SPECIES: 1:Cat 2:Dog"]
    tree.text("annotations/list.txt", comments + listed)
    tree.text("annotations/README", ["Miniature annotations."])
    split_from_lists(tree, "OxfordPets", trainval_items, test_items)


CARS = [
    "AM General Hummer SUV 2000",
    "Acura RL Sedan 2012",
    "Acura TL Type-S 2008",
    "Audi S6 Sedan 2011",
    "BMW M6 Convertible 2010",
    "Chevrolet Silverado 1500 Hybrid Crew Cab 2012",
    "Dodge Ram Pickup 3500 Crew Cab 2010",
    "Eagle Talon Hatchback 1998",
    "Ram C/V Cargo Van Minivan 2012",
    "Volvo 240 Sedan 1993",
    "smart fortwo Convertible 2012",
]
CARS_FIELDS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")


def year_first(model):
    rest, _, year = model.rpartition(" ")
    return f"{year} {rest}"


def cars_annotations(entries, with_class=True):
    """A 1xN MATLAB struct array, as in the development kit."""
    fields = [f for f in CARS_FIELDS if with_class or f != "class"]
    table = np.empty((1, len(entries)), dtype=[(f, object) for f in fields])
    for i, (name, class_id) in enumerate(entries):
        row = table[0, i]
        row["bbox_x1"] = np.array([[2]], dtype=np.uint8)
        row["bbox_y1"] = np.array([[3]], dtype=np.uint8)
        row["bbox_x2"] = np.array([[WIDTH - 2]], dtype=np.uint16)
        row["bbox_y2"] = np.array([[HEIGHT - 3]], dtype=np.uint16)
        if with_class:
            row["class"] = np.array([[class_id]], dtype=np.uint8)
        row["fname"] = name
    return {"annotations": table}


def stanford_cars(root, seed, splits):
    tree = Tree(root, "stanford_cars", seed, splits)
    entries, items = {}, {}
    for part, low, high in (("train", 32, 36), ("test", 8, 12)):
        owners = []
        for class_id, model in enumerate(CARS, start=1):
            count = tree.number(low, high, part, model)
            if part == "train" and model.startswith("Eagle"):
                count = 11  # fewer than 16 images for training
            owners += [(class_id, i) for i in range(count)]
        owners = tree.mixed(owners, "order", part)  # classes are interleaved
        entries[part], items[part] = [], []
        for i, (class_id, _) in enumerate(owners, start=1):
            name, model = f"{i:05d}.jpg", CARS[class_id - 1]
            tree.image(f"cars_{part}/{name}", model)
            entries[part].append((name, class_id))
            items[part].append([f"cars_{part}/{name}", class_id - 1, year_first(model)])
    names = np.empty((1, len(CARS)), dtype=object)
    for i, model in enumerate(CARS):
        names[0, i] = model
    tree.mat("devkit/cars_meta.mat", {"class_names": names})
    tree.mat("devkit/cars_train_annos.mat", cars_annotations(entries["train"]))
    tree.mat("devkit/cars_test_annos.mat", cars_annotations(entries["test"], with_class=False))
    tree.mat("cars_test_annos_withlabels.mat", cars_annotations(entries["test"]))
    tree.text("devkit/README.txt", ["Miniature development kit."])
    tree.text("devkit/train_perfect_preds.txt", [str(c) for _, c in entries["train"]])
    split_from_lists(tree, "StanfordCars", items["train"], items["test"])


FLOWERS = [  # class ids 1, 2, ...
    "pink primrose",
    "hard-leaved pocket orchid",
    "canterbury bells",
    "sweet pea",
    "english marigold",
    "tiger lily",
    "moon orchid",
    "bird of paradise",
    "colt's foot",
]
FLOWERS_ORDER = [7, 3, 9, 1, 6, 2, 8, 5, 4]  # order in which the classes are numbered


def oxford_flowers(root, seed, splits):
    tree = Tree(root, "oxford_flowers", seed, splits)
    labels = []
    for class_id in FLOWERS_ORDER:
        count = tree.number(51, 57, "count", class_id)
        labels += [class_id] * (25 if class_id == 2 else count)
    # The classes come in blocks, but a few images stand elsewhere.
    for k in range(6):
        i = tree.number(0, len(labels) - 1, "stray from", k)
        j = tree.number(0, len(labels) - 1, "stray to", k)
        labels.insert(j, labels.pop(i))
    paths = {}
    for i, class_id in enumerate(labels, start=1):
        name = f"image_{i:05d}.jpg"
        tree.image(f"jpg/{name}", FLOWERS[class_id - 1])
        paths.setdefault(class_id, []).append(name)
    tree.mat("imagelabels.mat", {"labels": np.array([labels], dtype=np.uint8)})
    mapping = {str(k): FLOWERS[k - 1] for k in tree.mixed(paths, "mapping")}
    tree.json("cat_to_name.json", mapping)
    classes = [(k - 1, FLOWERS[k - 1], p) for k, p in paths.items()]
    ready_made_split(tree, "OxfordFlowers", classes)


FOOD = [
    "apple_pie",
    "baby_back_ribs",
    "beef_tartare",
    "bibimbap",
    "creme_brulee",
    "french_onion_soup",
    "macaroni_and_cheese",
    "pho",
    "waffles",
]


def food101(root, seed, splits):
    tree = Tree(root, "food-101", seed, splits)
    classes, official = [], {"train": {}, "test": {}}
    for label, cname in enumerate(FOOD):
        count = tree.number(51, 57, "count", cname)
        # The numbers differ in length, so text order is not numeric order.
        short = tree.numbers(count // 3, 10_000, 99_999, "short", cname)
        long = tree.numbers(count - count // 3, 100_000, 3_999_999, "long", cname)
        stems = [f"{cname}/{n}" for n in tree.mixed(short + long, "ids", cname)]
        for stem in stems:
            tree.image(f"images/{stem}.jpg", cname)
        cut = len(stems) * 3 // 4
        official["train"][cname], official["test"][cname] = stems[:cut], stems[cut:]
        classes.append((label, cname, [f"{stem}.jpg" for stem in stems]))
    for part, table in official.items():
        tree.json(f"meta/{part}.json", table)
        tree.text(f"meta/{part}.txt", [stem for stems in table.values() for stem in stems])
    tree.text("meta/classes.txt", FOOD)
    tree.text("meta/labels.txt", [c.replace("_", " ").capitalize() for c in FOOD])
    tree.text("license_agreement.txt", ["Miniature licence."])
    tree.text("README.txt", ["Miniature readme."])
    stray_file(tree, "images/pho/.DS_Store")
    ready_made_split(tree, "Food101", classes)


AIRCRAFT = [  # variant, family, manufacturer; sorted by variant as in the real list
    ("707-320", "Boeing 707", "Boeing"),
    ("727-200", "Boeing 727", "Boeing"),
    ("A310", "A310", "Airbus"),
    ("An-12", "An-12", "Antonov"),
    ("DC-9-30", "DC-9", "McDonnell Douglas"),
    ("DH-82", "DH-82", "de Havilland"),
    ("DR-400", "DR-400", "Robin"),
    ("Dornier 328", "Dornier 328", "Dornier"),
    ("Eurofighter Typhoon", "Eurofighter Typhoon", "Eurofighter"),
    ("F-16A/B", "F-16", "Lockheed Corporation"),
    ("F/A-18", "F/A-18", "McDonnell Douglas"),
]


def fgvc_aircraft(root, seed, splits):
    tree = Tree(root, "fgvc_aircraft", seed, splits)
    lines = {
        (level, part): []
        for level in ("", "_variant", "_family", "_manufacturer")
        for part in ("train", "val", "trainval", "test")
    }
    boxes = []
    total = tree.numbers(60 * len(AIRCRAFT), 0, 2_299_999, "ids")
    for row, (variant, family, maker) in enumerate(AIRCRAFT):
        pool = total[60 * row : 60 * (row + 1)]
        sizes = {"train": tree.number(24, 30, "train", variant)}
        sizes["val"] = 3 if variant == "DH-82" else tree.number(6, 10, "val", variant)
        sizes["test"] = tree.number(8, 12, "test", variant)
        start = 0
        for part, size in sizes.items():
            for number in sorted(pool[start : start + size]):
                stem = f"{number:07d}"
                tree.image(f"images/{stem}.jpg", variant)
                boxes.append(f"{stem} 1 1 {WIDTH} {HEIGHT}")
                names = {"": "", "_variant": variant, "_family": family, "_manufacturer": maker}
                for level, name in names.items():
                    line = f"{stem} {name}".strip()
                    lines[level, part].append(line)
                    if part != "test":
                        lines[level, "trainval"].append(line)
            start += size
    for (level, part), rows in lines.items():
        tree.text(f"images{level}_{part}.txt", rows)
    tree.text("images_box.txt", sorted(boxes))
    tree.text("variants.txt", [variant for variant, _, _ in AIRCRAFT])
    tree.text("families.txt", sorted({family for _, family, _ in AIRCRAFT}))
    tree.text("manufacturers.txt", sorted({maker for _, _, maker in AIRCRAFT}))


SUN = [
    "a/abbey",
    "a/airplane_cabin",
    "a/apse/indoor",
    "b/bow_window/indoor",
    "b/bow_window/outdoor",
    "c/church/indoor",
    "c/church/outdoor",
    "h/hot_spring",
    "t/theater/indoor_procenium",
    "t/theater/indoor_seats",
    "y/youth_hostel",
]


def scene_name(folder):
    return " ".join(reversed(folder.split("/")[1:]))


def sun397(root, seed, splits):
    tree = Tree(root, "sun397", seed, splits)
    lines = {}
    trainval_items, test_items = [], []
    for label, folder in enumerate(SUN):
        n_trainval = tree.number(32, 36, "trainval", folder)
        n_test = tree.number(8, 12, "test", folder)
        names = []
        for i in range(n_trainval + n_test):
            code = tree.digest("name", folder, i).hex()[:16]
            names.append(f"{folder}/sun_a{code}.jpg")
        for name in names:
            tree.image(f"SUN397/{name}", folder)
        for partition in ("01", "02"):
            order = tree.mixed(names, "partition", partition)
            training, testing = order[:n_trainval], order[n_trainval:]
            lines.setdefault(f"Training_{partition}.txt", []).extend(f"/{n}" for n in training)
            lines.setdefault(f"Testing_{partition}.txt", []).extend(f"/{n}" for n in testing)
            if partition == "01":
                trainval_items += [[n, label, scene_name(folder)] for n in training]
                test_items += [[n, label, scene_name(folder)] for n in testing]
    for name, rows in lines.items():
        tree.text(name, rows)
    tree.text("ClassName.txt", [f"/{folder}" for folder in SUN])
    split_from_lists(tree, "SUN397", trainval_items, test_items)


TEXTURES = [
    "banded",
    "blotchy",
    "chequered",
    "cobwebbed",
    "crosshatched",
    "lacelike",
    "polka-dotted",
    "waffled",
    "zigzagged",
]


def describable_textures(root, seed, splits):
    tree = Tree(root, "dtd", seed, splits)
    classes, labelled = [], []
    for label, cname in enumerate(TEXTURES):
        count = tree.number(51, 57, "count", cname)
        numbers = sorted(tree.numbers(count, 1, 220, "ids", cname))
        paths = [f"{cname}/{cname}_{n:04d}.jpg" for n in numbers]
        for path in paths:
            tree.image(f"images/{path}", cname)
            labelled.append((path, cname))
        classes.append((label, cname, paths))
    for fold in (1, 2):
        order = tree.mixed([path for path, _ in labelled], "fold", fold)
        third = len(order) // 3
        tree.text(f"labels/train{fold}.txt", sorted(order[:third]))
        tree.text(f"labels/val{fold}.txt", sorted(order[third : 2 * third]))
        tree.text(f"labels/test{fold}.txt", sorted(order[2 * third :]))
    tree.text("labels/labels_joint_anno.txt", [f"{path} {cname}" for path, cname in labelled])
    tree.mat("imdb/imdb.mat", {"meta": {"classes": np.array(TEXTURES, dtype=object)}})
    stray_file(tree, "images/waffled/.directory")
    ready_made_split(tree, "DescribableTextures", classes)


EUROSAT = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}


def eurosat(root, seed, splits):
    tree = Tree(root, "eurosat", seed, splits)
    classes = []
    for label, (folder, cname) in enumerate(EUROSAT.items()):
        count = tree.number(51, 57, "count", folder)
        paths = [f"{folder}/{folder}_{i}.jpg" for i in range(1, count + 1)]
        for path in paths:
            tree.image(f"2750/{path}", folder)
        classes.append((label, cname, paths))
    ready_made_split(tree, "EuroSAT", classes)


UCF = {  # action in the lists, folder of its middle frames
    "ApplyEyeMakeup": "Apply_Eye_Makeup",
    "BalanceBeam": "Balance_Beam",
    "CleanAndJerk": "Clean_And_Jerk",
    "HandstandPushups": "Handstand_Pushups",
    "JumpRope": "Jump_Rope",
    "PlayingTabla": "Playing_Tabla",
    "TaiChi": "Tai_Chi",
    "WritingOnBoard": "Writing_On_Board",
    "YoYo": "Yo_Yo",
}


def ucf101(root, seed, splits):
    tree = Tree(root, "ucf101", seed, splits)
    lists = {f"{kind}list{fold:02d}.txt": [] for fold in (1, 2) for kind in ("train", "test")}
    trainval_items, test_items = [], []
    for label, (action, folder) in enumerate(UCF.items()):
        # One action spells its clips unlike its folder, as in the real data.
        spelling = action.replace("Handstand", "HandStand")
        clips = {"test": [], "train": []}
        for group in range(1, 26):
            part = "test" if group <= 7 else "train"
            for clip in range(1, tree.number(1, 3, "clips", action, group) + 1):
                clips[part].append(f"v_{spelling}_g{group:02d}_c{clip:02d}")
        for clip in range(4, 12):  # at least 32 clips for training
            if len(clips["train"]) < 32:
                clips["train"].append(f"v_{spelling}_g25_c{clip:02d}")
        clips["train"] = clips["train"][:36]
        for part, names in clips.items():
            for clip in names:
                tree.image(f"UCF-101-midframes/{folder}/{clip}.jpg", action)
                item = [f"{folder}/{clip}.jpg", label, folder]
                if part == "train":
                    trainval_items.append(item)
                    lists["trainlist01.txt"].append(f"{action}/{clip}.avi {label + 1}")
                    lists["testlist02.txt"].append(f"{action}/{clip}.avi")
                else:
                    test_items.append(item)
                    lists["testlist01.txt"].append(f"{action}/{clip}.avi")
                    lists["trainlist02.txt"].append(f"{action}/{clip}.avi {label + 1}")
    for name, rows in lists.items():
        tree.text(f"ucfTrainTestlist/{name}", rows)
    index = [f"{i} {action}" for i, action in enumerate(UCF, start=1)]
    tree.text("ucfTrainTestlist/classInd.txt", index)
    split_from_lists(tree, "UCF101", trainval_items, test_items)


# -- ImageNet and its variants -----------------------------------------------------

COLOURS = (
    "amber azure beige black blond blue brown coral cream crimson ebony golden green grey "
    "indigo ivory maroon olive orange pearl pink purple red silver violet"
).split()
THINGS = (
    "anvil's bench|badger|barn owl|bell jar|bicycle-built-for-two|bottle cap|candle|canoe|"
    "clock tower|coffee mug|drum|dung beetle|fountain pen|fox|garden spider|hammer|harp|"
    "ice cream|jack-o'-lantern|jellyfish|kettle|ladder|lemon|lighthouse|mountain tent|"
    "mushroom|oboe|paddle wheel|parrot|pickup truck|quilt|rain barrel|shepherd dog|"
    "space shuttle|tabby cat|T-shirt|umbrella|violin case|water jug|yurt"
).split("|")
REPEATED = {  # different classes that share a name, as in the real list
    "n03773504": "missile",
    "n04008634": "missile",
    "n04355933": "sunglasses",
    "n04356056": "sunglasses",
}
N_NAMES = 1000
USED_ROWS = (0, 57, 210, 333, 430, 700, 990)  # among the names that are not repeated


def imagenet_names():
    """1000 (folder, class name) pairs sorted by folder."""
    names = [f"{colour} {thing}" for thing in THINGS for colour in COLOURS]
    names = names[: N_NAMES - len(REPEATED)]
    table = {f"n{1_400_000 + 6_000 * i:08d}": name for i, name in enumerate(names)}
    table.update(REPEATED)
    return sorted(table.items())


def imagenet_folders():
    """The 11 folders that the miniatures hold, sorted."""
    plain = [folder for folder, _ in imagenet_names() if folder not in REPEATED]
    return sorted([plain[i] for i in USED_ROWS] + list(REPEATED))


def write_classnames(tree):
    tree.text("classnames.txt", [f"{folder} {name}" for folder, name in imagenet_names()])


def imagenet(root, seed, splits):
    tree = Tree(root, "imagenet", seed, splits)
    write_classnames(tree)
    folders = imagenet_folders()
    serials = tree.numbers(20 * len(folders), 1, 50_000, "val")
    for row, folder in enumerate(folders):
        count = tree.number(24, 30, "train", folder)
        if folder == "n04355933":
            count = 12
        for number in tree.numbers(count, 1, 29_999, "train ids", folder):
            tree.image(f"images/train/{folder}/{folder}_{number}.JPEG", folder)
        count = tree.number(5, 8, "val", folder)
        for number in serials[20 * row : 20 * row + count]:
            tree.image(f"images/val/{folder}/ILSVRC2012_val_{number:08d}.JPEG", folder)
    stray_file(tree, f"images/train/{folders[1]}/.DS_Store")
    stray_file(tree, f"images/val/{folders[2]}/.DS_Store")
    stray_file(tree, "images/train/.DS_Store")
    stray_file(tree, "images/val/valprep.sh")


def imagenet_v2(root, seed, splits):
    tree = Tree(root, "imagenetv2", seed, splits)
    write_classnames(tree)
    used = set(imagenet_folders())
    for label, (folder, _) in enumerate(imagenet_names()):
        for i in range(3 if folder in used else 1):
            stem = tree.digest("name", label, i).hex()[:40]
            tree.image(f"imagenetv2-matched-frequency-format-val/{label}/{stem}.jpeg", folder)
    stray_file(tree, "imagenetv2-matched-frequency-format-val/7/.DS_Store")


def imagenet_sketch(root, seed, splits):
    tree = Tree(root, "imagenet-sketch", seed, splits)
    write_classnames(tree)
    for folder in imagenet_folders():
        for number in tree.numbers(tree.number(24, 30, "count", folder), 0, 50, "ids", folder):
            tree.image(f"images/{folder}/sketch_{number}.JPEG", folder)
    stray_file(tree, "images/.DS_Store")


def imagenet_a(root, seed, splits):
    tree = Tree(root, "imagenet-adversarial", seed, splits)
    write_classnames(tree)
    names = dict(imagenet_names())
    folders = [f for f in imagenet_folders() if f not in ("n01400000", "n03773504")]
    for folder in folders:
        for i in range(tree.number(24, 30, "count", folder)):
            first = tree.number(1, 999_999, "first", folder, i)
            last = tree.number(100_000, 999_999, "last", folder, i)
            guess = names[tree.mixed(folders, "guess", folder, i)[0]]
            name = f"0.{first:06d}_{names[folder]} _ {guess}_0.{last}.jpg"
            tree.image(f"imagenet-a/{folder}/{name}", folder)
    tree.text("imagenet-a/README.txt", ["Miniature readme."])
    stray_file(tree, f"imagenet-a/{folders[0]}/.DS_Store")


def imagenet_r(root, seed, splits):
    tree = Tree(root, "imagenet-rendition", seed, splits)
    write_classnames(tree)
    kinds = ("art", "cartoon", "graphic", "misc", "painting", "sketch", "toy")
    folders = [f for f in imagenet_folders() if f not in ("n01400000", "n04356056", "n07340000")]
    for folder in folders:
        counts = dict.fromkeys(kinds, 0)
        for i in range(tree.number(24, 30, "count", folder)):
            kind = kinds[tree.number(0, len(kinds) - 1, "kind", folder, i)]
            tree.image(f"imagenet-r/{folder}/{kind}_{counts[kind]}.jpg", folder)
            counts[kind] += 1
    tree.text("imagenet-r/README.txt", ["Miniature readme."])


# -- datasets with spurious attributes ---------------------------------------------

BIRDS = [  # folder, 0 for a land bird and 1 for a water bird
    ("004.Groove_billed_Ani", 0),
    ("014.Indigo_Bunting", 0),
    ("073.Blue_Jay", 0),
    ("118.House_Sparrow", 0),
    ("001.Black_footed_Albatross", 1),
    ("046.Gadwall", 1),
    ("059.California_Gull", 1),
    ("086.Pacific_Loon", 1),
]
PLACES = {0: ("b/bamboo_forest", "f/forest/broadleaf"), 1: ("o/ocean", "l/lake/natural")}
BIRD_GROUPS = {  # split: images with (y, place) = (0,0), (0,1), (1,0), (1,1)
    0: (70, 11, 5, 28),
    1: (13, 12, 4, 5),
    2: (24, 22, 9, 8),
}


def bird_rows(tree):
    """Rows of metadata.csv, in a mixed order and with ids from 1."""
    cells = []
    for part, counts in BIRD_GROUPS.items():
        for group, count in enumerate(counts):
            cells += [(part, group // 2, group % 2, i) for i in range(count)]
    rows, used = [], {}
    for number, (part, y, place, i) in enumerate(tree.mixed(cells, "birds"), start=1):
        choices = [folder for folder, kind in BIRDS if kind == y]
        folder = choices[tree.number(0, len(choices) - 1, "species", number)]
        used[folder] = used.get(folder, 0) + 1
        species = folder.split(".", 1)[1].title()
        image = f"{folder}/{species}_{used[folder]:04d}_{1000 + number}.jpg"
        scene = PLACES[place][tree.number(0, 1, "scene", number)]
        scene_file = f"/{scene}/{tree.number(1, 5000, 'scene file', number):08d}.jpg"
        rows.append((number, image, y, part, place, scene_file))
    return rows


def waterbirds(root, seed, splits):
    header = ("img_id", "img_filename", "y", "split", "place", "place_filename")
    for folder in ("waterbirds_v1.0", "waterbird_complete95_forest2water2"):
        tree = Tree(root, folder, seed, splits)
        rows = bird_rows(tree)
        for row in rows:
            tree.image(row[1], f"bird {row[2]} place {row[4]}")
        tree.csv("metadata.csv", header, rows)
        if folder.endswith("_v1.0"):
            tree.text("RELEASE_v1.0.txt", [])


ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose "
    "Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses "
    "Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache "
    "Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick "
    "Wearing_Necklace Wearing_Necktie Young"
).split()
FACE_GROUPS = {  # split: images with (Blond_Hair, Male) = (0,0), (0,1), (1,0), (1,1)
    0: (48, 44, 17, 3),
    1: (10, 9, 4, 2),
    2: (14, 11, 6, 4),
}


def face_rows(tree):
    """(file name, split, 40 attributes of -1 or 1); the splits follow each other."""
    rows = []
    for part, counts in FACE_GROUPS.items():
        cells = [(group, i) for group, count in enumerate(counts) for i in range(count)]
        for group, _ in tree.mixed(cells, "faces", part):
            name = f"{len(rows) + 1:06d}.jpg"
            values = [2 * tree.number(0, 1, name, attribute) - 1 for attribute in ATTRIBUTES]
            values[ATTRIBUTES.index("Blond_Hair")] = 1 if group // 2 else -1
            values[ATTRIBUTES.index("Male")] = 1 if group % 2 else -1
            rows.append((name, part, values))
    return rows


def celeba(root, seed, splits):
    for folder in ("celeba", "celebA_v1.0"):
        tree = Tree(root, folder, seed, splits)
        rows = face_rows(tree)
        for name, _, values in rows:
            blond = values[ATTRIBUTES.index("Blond_Hair")]
            male = values[ATTRIBUTES.index("Male")]
            tree.image(f"img_align_celeba/{name}", f"face {blond} {male}")
        tree.csv("list_attr_celeba.csv", ["image_id", *ATTRIBUTES], [[n, *v] for n, _, v in rows])
        tree.csv("list_eval_partition.csv", ["image_id", "partition"], [r[:2] for r in rows])
        if folder.endswith("_v1.0"):
            tree.text("RELEASE_v1.0.txt", [])
            continue
        lines = [" ".join([name, *(f"{v:2d}" for v in values)]) for name, _, values in rows]
        tree.text("list_attr_celeba.txt", [len(rows), " ".join(ATTRIBUTES) + " ", *lines])
        tree.text("list_eval_partition.txt", [f"{name} {part}" for name, part, _ in rows])


DATASETS = {
    "Caltech101": caltech101,
    "OxfordPets": oxford_pets,
    "StanfordCars": stanford_cars,
    "OxfordFlowers": oxford_flowers,
    "Food101": food101,
    "FGVCAircraft": fgvc_aircraft,
    "SUN397": sun397,
    "DescribableTextures": describable_textures,
    "EuroSAT": eurosat,
    "UCF101": ucf101,
    "ImageNet": imagenet,
    "ImageNetV2": imagenet_v2,
    "ImageNetSketch": imagenet_sketch,
    "ImageNetA": imagenet_a,
    "ImageNetR": imagenet_r,
    "Waterbirds": waterbirds,
    "CelebA": celeba,
}


def make_datasets(root, only=None, seed=0, splits=True):
    """Write the named datasets (default: all) under `root`."""
    for name in only or DATASETS:
        DATASETS[name](root, seed, splits)


def main(argv=None):
    parser = argparse.ArgumentParser(description="Write miniature image datasets.")
    parser.add_argument("root", metavar="ROOT", help="folder to write the datasets into")
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=sorted(DATASETS), help="these datasets only"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other data")
    parser.add_argument(
        "--no-splits", action="store_true", help="leave out the split_zhou_*.json files"
    )
    args = parser.parse_args(argv)
    try:
        make_datasets(args.root, args.only, args.seed, not args.no_splits)
    except FileExistsError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
