"""ImageNetV2 (matched frequency)."""

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetVariant
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source, mirrored
from craft.datasets.splits import Item, Split

ARCHIVE = Source(
    url="https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/imagenetv2-matched-frequency.tar.gz",
    page="https://github.com/modestyachts/ImageNetV2",
    unpack="",
)
MIRROR = mirrored("imagenetv2.zip", "imagenetv2")  # its digest is not known


@register_reader
class ImageNetV2(ImageNetVariant):
    """A new test set for ImageNet's 1000 classes, collected as the first one was.

    Splits: 10,000 test images, 10 a class. Input: RGB photographs of any size. Label: the number that the class folder
    is called, a row of ``classnames.txt`` counted from 0 (the folders' text order, 0, 1, 10, 100, is another). Copies
    whose folders are called after WordNet ids are read alike; with ALLOW_SUBSET labels count what folders there are.
    Publication: Recht, Roelofs, Schmidt, Shankar, "Do ImageNet classifiers generalize to ImageNet?", ICML 2019.
    Licence: MIT.
    """

    rows: dict[str, int]

    dataset_dir = "imagenetv2"
    image_dir = "imagenetv2-matched-frequency-format-val"
    examples = ("tench", "cliff dwelling", "toilet paper")
    expected = Counts(classes=1000, train=10_000, val=None, test=10_000)
    files = (DataFile(image_dir, "dir", images=10_000, folders=1000, sources=(ARCHIVE, MIRROR)), CLASSNAMES)

    def read(self) -> Split:
        self.rows = {wnid: row for row, wnid in enumerate(self.read_names())}
        names = list(self.names_by_wnid.values())
        found = listing.class_folders(self, self.image_dir)
        folders: dict[int, str] = {}
        for folder in found:
            row = self.row_of(folder)
            if row is None:
                raise UserError(
                    f"{self.name}: the folder {self.image_dir}/{folder} is not a label: {self.classnames_path} has "
                    f"rows 0 to {len(names) - 1}, and names no such WordNet id"
                )
            if row in folders:
                raise UserError(f"{self.name}: {self.image_dir}/{folder} and {folders[row]} are one class; keep one")
            folders[row] = folder
        self.require_folders(self.image_dir, set(map(str, folders)), set(map(str, range(len(names)))))
        data = [
            Item(f"{self.image_dir}/{folders[row]}/{image}", label, names[row])
            for label, row in enumerate(sorted(folders))
            for image in found[folders[row]]
        ]
        return Split(train=data, val=None, test=data, listed=True, origin=f"the folders of {self.image_dir}")

    def row_of(self, folder: str) -> int | None:
        """The row of ``classnames.txt`` that a class folder stands for: its number, or the row of its WordNet id."""
        if folder in self.rows:
            return self.rows[folder]
        return int(folder) if folder.isdecimal() and int(folder) < len(self.rows) else None

    def wnid_of(self, folder: str) -> str:
        row = self.row_of(folder)
        assert row is not None, "every folder was looked up when it was read"
        return list(self.names_by_wnid)[row]
