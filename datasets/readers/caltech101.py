"""Caltech101."""

from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Split

ARCHIVE = Source(
    page="https://data.caltech.edu/records/mzrjq-6wc02",
    filename="101_ObjectCategories.tar.gz",
    md5="b224c7392d521a49829488ab0f1120d9",
    unpack="",
)
IGNORED = ("BACKGROUND_Google", "Faces_easy")  # clutter, and a second version of the class Faces
NAMES = {"airplanes": "airplane", "Faces": "face", "Leopards": "leopard", "Motorbikes": "motorbike"}


@register_reader
class Caltech101(SplitFileDataset):
    """Objects of 100 categories, 31 to 800 images each, about 300 x 200 pixels.

    Splits: 4,128 train, 1,649 val, 2,465 test (50/20/30 % of each class, ``split_zhou_Caltech101.json``).
    Input: RGB and some greyscale photographs. Label: category; the clutter category and Faces_easy are left out.
    Publication: Fei-Fei, Fergus, Perona, "Learning generative visual models from few training examples", CVPR
    workshop 2004. Licence: CC BY 4.0.
    """

    dataset_dir = "caltech-101"
    image_dir = "101_ObjectCategories"
    split_file = "split_zhou_Caltech101.json"
    examples = ("face", "ibis", "yin_yang")
    expected = Counts(classes=100, train=4128, val=1649, test=2465)
    files = (
        DataFile("101_ObjectCategories", "dir", images=9144, folders=102, sources=(ARCHIVE,)),
        DataFile(
            "split_zhou_Caltech101.json", role="split", sources=(Source(gdrive="1hyarUivQE36mY6jSomru6Fjd-JzwcCzN"),)
        ),
    )

    def make_split(self) -> Split:
        return self.split_folders(ignored=IGNORED, names=NAMES)
