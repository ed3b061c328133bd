"""What ImageNet and its variants share: ``classnames.txt``, folders named after WordNet ids, and the relation of each
set's labels to the 1000 of ImageNet. Everything is keyed by folder or label, never by class name: two pairs of ImageNet
classes have the same name."""

from __future__ import annotations

import posixpath
from pathlib import Path

from craft.common.errors import UserError
from craft.common.files import digest_json
from craft.datasets import listing
from craft.datasets.annotations import read_lines
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.published import Standing
from craft.datasets.sources import DataFile, Source
from craft.datasets.splits import Item, Split

CLASSES = 1000
#: of CoOp's classnames.txt: of the list of its pairs [WordNet id, name], so that blank lines and line ends do not count
CLASSNAMES_DIGEST = "465d255ab9983fb1"
CLASSNAMES = DataFile("classnames.txt", sources=(Source(gdrive="1-61f_ol79pViBFDG_IDlUQSwoLcn2XXF"),))


def read_classnames(path: Path) -> dict[str, str]:
    """{WordNet id: class name} in the order of the file, which is that of ImageNet's labels.

    Lines are ``n01440764 tench``. Raises UserError for a line without a name and for an id that occurs twice.
    """
    names: dict[str, str] = {}
    for number, line in read_lines(path):
        wnid, _, name = line.partition(" ")
        if not name.strip():
            raise UserError(f"{path}, line {number}: {line!r} has no class name after the folder")
        if wnid in names:
            raise UserError(f"{path}, line {number}: the folder {wnid} occurs twice")
        names[wnid] = name
    return names


class ImageNetFamily(PromptDataset):
    """Base of ImageNet and its variants.

    After loading, in the order of the labels (after base or new classes were taken):

    wnids           the WordNet id of each class
    imagenet_labels the label, 0..999, that each class has in the full ImageNet
    """

    wnids: list[str]
    imagenet_labels: list[int]

    def finish(self, split: Split) -> Split:
        split = super().finish(split)
        folders = {item.label: posixpath.basename(posixpath.dirname(item.path)) for item in split.train}
        rows = {wnid: row for row, wnid in enumerate(self.names_by_wnid)}
        self.wnids = [self.wnid_of(folders[label]) for label in sorted(folders)]
        self.imagenet_labels = [rows[wnid] for wnid in self.wnids]
        return split

    def wnid_of(self, folder: str) -> str:
        """The WordNet id of a class folder's name."""
        return folder

    @property
    def classnames_path(self) -> Path:
        return self.folder / "classnames.txt"

    def read_names(self) -> dict[str, str]:
        """``read_classnames`` of this set's file, kept because labels are related to its rows; a warning where they are
        not CoOp's."""
        self.names_by_wnid = read_classnames(self.classnames_path)
        if self.other_names:
            print(
                f"Warning: {self.classnames_path} is not CoOp's ({self.other_names}). Images, labels and shots are the "
                "same, but the prompts of classes that are called otherwise are not, and neither is any accuracy"
            )
        return self.names_by_wnid

    @property
    def other_names(self) -> str:
        """In what ``classnames.txt`` is not CoOp's, "" where it is."""
        if len(self.names_by_wnid) != CLASSES:
            return f"{len(self.names_by_wnid)} classes instead of {CLASSES}"
        found = digest_json(list(self.names_by_wnid.items()))[:16]
        return "" if found == CLASSNAMES_DIGEST else f"other names: digest {found} instead of {CLASSNAMES_DIGEST}"

    def standing(self, split: Split, parts: dict[str, str]) -> Standing:
        other = self.other_names
        return Standing(None, f"classnames.txt is not CoOp's: {other}" if other else "classnames.txt is CoOp's")

    def read_folders(self, relative: str, labels: dict[str, int] | None = None) -> list[Item]:
        """Items of a folder of class folders; labels number the sorted folders unless they are given.

        Raises UserError for a folder that classnames.txt does not name, or that ``labels`` does not know.
        """
        found = listing.class_folders(self, relative)
        unnamed = [folder for folder in found if folder not in self.names_by_wnid]
        if unnamed:
            raise UserError(
                f"{self.name}: {relative}/{unnamed[0]} is not a class: {self.classnames_path} does not name it "
                f"({len(unnamed)} such folder(s)); move it elsewhere"
            )
        if labels is None:
            labels = {folder: label for label, folder in enumerate(sorted(found))}
        unknown = [folder for folder in found if folder not in labels]
        if unknown:
            raise UserError(f"{self.name}: {relative} has {unknown[0]}, which the training images lack")
        return [
            Item(f"{relative}/{folder}/{image}", labels[folder], self.names_by_wnid[folder])
            for folder, images in found.items()
            for image in images
        ]

    def require_folders(self, relative: str, found: set[str], wanted: set[str]) -> None:
        """Name the class folders that are missing, unless a subset is accepted."""
        gone = sorted(wanted - found)
        if gone and not self.cfg.DATASET.ALLOW_SUBSET:
            first = ", ".join(gone[:3]) + (", …" if len(gone) > 3 else "")
            raise UserError(
                f"{self.name}: {len(gone)} class folder(s) missing in {self.folder / relative}: {first}; they come "
                f"from {self.origin_of(relative)}. DATASET.ALLOW_SUBSET True goes on without them"
            )


class ImageNetVariant(ImageNetFamily):
    """Base of the variants that only test: ``train_x`` is the test list, as in CoOp's readers, so that the class names
    are known; ``test_only`` says that nobody may train on it.

    image_dir   the folder of class folders
    """

    image_dir: str = ""
    test_only = True

    def read(self) -> Split:
        self.read_names()
        data = self.read_folders(self.image_dir)
        return Split(train=data, val=None, test=data, listed=True, origin=f"the folders of {self.image_dir}")
