"""DescribableTextures (DTD)."""

from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Split

ARCHIVE = Source(
    url="https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz",
    page="https://www.robots.ox.ac.uk/~vgg/data/dtd/",
    md5="fff73e5086ae6bdbea199a49dfb8a4c1",
    unpack="",
    strip="dtd",
)


@register_reader
class DescribableTextures(SplitFileDataset):
    """Textures of 47 kinds, 120 images each.

    Splits: 2,820 train, 1,128 val, 1,692 test (50/20/30 % of each class, ``split_zhou_DescribableTextures.json``; none
    of the ten official folds).
    Input: RGB photographs of 300 to 640 pixels. Label: the adjective people used for the texture.
    Publication: Cimpoi, Maji, Kokkinos, Mohamed, Vedaldi, "Describing textures in the wild", CVPR 2014.
    Licence: research use.
    """

    dataset_dir = "dtd"
    image_dir = "images"
    split_file = "split_zhou_DescribableTextures.json"
    template = "{} texture."
    examples = ("banded", "marbled", "zigzagged")
    expected = Counts(classes=47, train=2820, val=1128, test=1692)
    files = (
        DataFile("images", "dir", images=5640, folders=47, sources=(ARCHIVE,)),
        DataFile("labels", "dir", role="extra", sources=(ARCHIVE,)),
        DataFile("imdb", "dir", role="extra", sources=(ARCHIVE,)),
        DataFile(
            "split_zhou_DescribableTextures.json",
            role="split",
            sources=(Source(gdrive="1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x"),),
        ),
    )

    def make_split(self) -> Split:
        return self.split_folders()
