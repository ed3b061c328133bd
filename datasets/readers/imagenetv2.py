"""ImageNetV2 (matched frequency)."""

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetVariant
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Item, Split

ARCHIVE = Source(
    url="https://huggingface.co/datasets/vaishaal/ImageNetV2/resolve/main/imagenetv2-matched-frequency.tar.gz",
    page="https://github.com/modestyachts/ImageNetV2",
    unpack="",
)


@register_reader
class ImageNetV2(ImageNetVariant):
    """A new test set for ImageNet's 1000 classes, collected as the first one was.

    Splits: 10,000 test images, 10 a class. Input: RGB photographs of any size. Label: the number that the class folder
    is called, a row of ``classnames.txt`` counted from 0 (the folders' text order, 0, 1, 10, 100, is another).
    Publication: Recht, Roelofs, Schmidt, Shankar, "Do ImageNet classifiers generalize to ImageNet?", ICML 2019.
    Licence: MIT.
    """

    dataset_dir = "imagenetv2"
    image_dir = "imagenetv2-matched-frequency-format-val"
    examples = ("tench", "cliff dwelling", "toilet paper")
    expected = Counts(classes=1000, train=10_000, val=None, test=10_000)
    files = (DataFile(image_dir, "dir", images=10_000, folders=1000, sources=(ARCHIVE,)), CLASSNAMES)

    def read(self) -> Split:
        names = list(self.read_names().values())
        found = listing.class_folders(self, self.image_dir)
        odd = [folder for folder in found if not folder.isdecimal() or int(folder) >= len(names)]
        if odd:
            raise UserError(
                f"{self.name}: the folder {self.image_dir}/{odd[0]} is not a label: {self.classnames_path} has rows "
                f"0 to {len(names) - 1}"
            )
        gone = sorted(set(range(len(names))) - set(map(int, found)))
        if gone:
            raise UserError(
                f"{self.name}: {len(gone)} class folder(s) missing in {self.folder / self.image_dir}: "
                f"{', '.join(map(str, gone[:3]))}; they come from {ARCHIVE}"
            )
        data = [
            Item(f"{self.image_dir}/{folder}/{image}", int(folder), names[int(folder)])
            for folder in sorted(found, key=int)
            for image in found[folder]
        ]
        return Split(train=data, val=None, test=data, listed=True, origin=f"the folders of {self.image_dir}")

    def wnid_of(self, folder: str) -> str:
        return list(self.names_by_wnid)[int(folder)]
