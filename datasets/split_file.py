"""The base of the benchmarks that come with a ready-made split file, ``split_zhou_*.json``. Where the file is missing,
a split is made from the raw annotations as CoOp's readers make it, and saved under the same name, so that later runs
(and CoOp itself) read it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets import listing, splits
from craft.datasets.base import PromptDataset
from craft.datasets.splits import Item, Split


class SplitFileDataset(PromptDataset):
    """Base of readers with a split file; subclasses set ``image_dir``, ``split_file`` and write ``make_split``.

    image_dir       folder that paths in the split file are relative to, below the data set's folder; may be ""
    split_file      name of the split file in the data set's folder
    """

    image_dir: str = ""
    split_file: str = ""
    made: bool = False

    def split_paths(self) -> list[Path]:
        """Where a split file is looked for, best first."""
        paths = [self.folder / self.split_file]
        if self.cfg.DATASET.CACHE_DIR:
            paths.append(self.caches.places[0] / self.split_file)
        return paths

    def split_ready(self) -> bool:
        return any(path.is_file() for path in self.split_paths())

    def read(self) -> Split:
        for path in self.split_paths():
            if path.is_file():
                split, who = splits.read_split(path, self.image_dir)
                print(f"{self.name}: reading the split {path} ({who})")
                return split
        origin = next((f.origin for f in self.files if f.role == "split"), "its authors")
        print(
            f"{self.name}: there is no {self.split_file} (it comes from {origin}); making a split with "
            f"{splits.seed_phrase(self.cfg.SEED)}, which is not the one that published numbers stand on"
        )
        self.made = True
        return self.make_split()

    def make_split(self) -> Split:
        """A split of the raw data, drawn from ``self.rng``."""
        raise NotImplementedError

    def settle(self, split: Split) -> Split:
        """Save a split that was made here, now that it has passed the checks; a concurrent run's wins."""
        if not self.made:
            return split
        path = self.split_paths()[-1]
        try:
            first = splits.publish_split(path, split, self.image_dir, self.cfg.SEED)
        except UserError:
            print(
                f"{self.name}: {path.parent} cannot be written, so the split is not saved: each seed makes its own, "
                "the same in every run. DATASET.CACHE_DIR names a folder to share one split between seeds"
            )
            return split
        if first:
            print(f"{self.name}: saved the split as {path}; runs with other seeds will use it too")
            return split
        if self.cfg.SEED >= 0:
            self.rng = random.Random(self.cfg.SEED)  # as every run does that finds a split
        split = self.read()
        self.check_labels(split)
        return split

    # -- ways to make a split ----------------------------------------------------

    def split_folders(self, ignored: tuple[str, ...] = (), names: Mapping[str, str] | None = None) -> Split:
        """50/20/30 of every class folder of ``image_dir``; labels follow the sorted folder names.

        ``names`` maps folders to class names where they differ.
        """
        base = self.folder / self.image_dir
        classes = []
        for folder in listing.subfolders(base):
            if folder not in ignored:
                paths = [f"{self.image_dir}/{folder}/{name}" for name in listing.class_images(base / folder)]
                classes.append((len(classes), (names or {}).get(folder, folder), paths))
        split = splits.split_by_class(classes, self.rng)
        split.listed, split.origin = True, f"the folders of {self.image_dir}"
        return split

    def split_lists(self, trainval: list[Item], test: list[Item], origin: str) -> Split:
        """The given test list, and the given training list less 20 % of every class for validation."""
        train, val = splits.split_trainval(trainval, self.rng)
        return Split(train, val, test, origin=origin)
