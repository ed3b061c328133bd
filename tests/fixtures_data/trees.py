"""Miniature data roots for tests, and what a test needs to load a reader on one."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from pathlib import Path

from dassl.config import get_cfg_default
from dassl.data.datasets import build_dataset

from craft import datasets
from tests.fixtures_data.make_datasets import DATASETS, make_datasets

FOLDERS = {
    "Caltech101": "caltech-101",
    "OxfordPets": "oxford_pets",
    "StanfordCars": "stanford_cars",
    "OxfordFlowers": "oxford_flowers",
    "Food101": "food-101",
    "FGVCAircraft": "fgvc_aircraft",
    "SUN397": "sun397",
    "DescribableTextures": "dtd",
    "EuroSAT": "eurosat",
    "UCF101": "ucf101",
    "ImageNet": "imagenet",
    "ImageNetV2": "imagenetv2",
    "ImageNetSketch": "imagenet-sketch",
    "ImageNetA": "imagenet-adversarial",
    "ImageNetR": "imagenet-rendition",
}


def make_cfg(root, name, seed=1, shots=-1, subsample="all", output="", **keys):
    """A config for one miniature: counts other than the published ones are accepted unless told otherwise."""
    datasets.enter_into_dassl()
    cfg = get_cfg_default()
    datasets.extend_cfg(cfg)
    cfg.DATASET.ROOT = str(root)
    cfg.DATASET.NAME = name
    cfg.DATASET.NUM_SHOTS = shots
    cfg.DATASET.SUBSAMPLE_CLASSES = subsample
    cfg.DATASET.ALLOW_SUBSET = True
    cfg.SEED = seed
    cfg.VERBOSE = False
    cfg.OUTPUT_DIR = str(output or Path(root) / "output")
    for key, value in keys.items():
        setattr(cfg.DATASET, key, value)
    return cfg


def load(root, name, **settings):
    """The data set, read as a run reads it: Python's stream seeded right before."""
    cfg = make_cfg(root, name, **settings)
    if cfg.SEED >= 0:
        random.seed(cfg.SEED)
    return build_dataset(cfg)


def make_tree(root, *names, splits=True):
    """Write the named miniatures under ``root`` and return it."""
    make_datasets(root, only=list(names) or [n for n in DATASETS if n in FOLDERS], splits=splits)
    return Path(root)


def linked_copy(root, name, copy):
    """A root of its own whose data set folder holds links to the original's files, so that writes stay apart."""
    folder = Path(copy) / FOLDERS[name]
    folder.mkdir(parents=True)
    for entry in (Path(root) / FOLDERS[name]).iterdir():
        (folder / entry.name).symlink_to(entry)
    return Path(copy)


def private_copy(tree, copy, **options):
    """A copy to damage: images are hard links, so replace one by a new file and never write into it."""

    def link_images(source, target):
        if source.lower().endswith((".jpg", ".jpeg")):
            os.link(source, target)
        else:
            shutil.copy(source, target)

    return shutil.copytree(tree, copy, copy_function=link_images, **options)


@contextlib.contextmanager
def read_only(folder):
    """No file or folder can be made in ``folder`` itself or its folders; the super-user becomes nobody for a while."""
    changed = [Path(folder), *(p for p in Path(folder).rglob("*") if p.is_dir() and not p.is_symlink())]
    modes = [(path, path.stat().st_mode) for path in changed]
    for path in changed:
        path.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes:
            path.chmod(mode)


def triples(items, root):
    """[(path relative to root with /, label, class name)] of Datum objects."""
    return [(os.path.relpath(i.impath, root).replace(os.sep, "/"), i.label, i.classname) for i in items]
