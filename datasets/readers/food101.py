"""Food101."""

from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Split

ARCHIVE = Source(
    url="http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz",
    page="https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/",
    md5="85eeb15f3717b99a5da872d97d918f87",
    unpack="",
    strip="food-101",
)


@register_reader
class Food101(SplitFileDataset):
    """Dishes of 101 kinds, 1,000 images each; the training images are noisy on purpose.

    Splits: 50,500 train, 20,200 val, 30,300 test (50/20/30 % of each class, ``split_zhou_Food101.json``; not the
    official 750/250).
    Input: RGB photographs, longer side at most 512 pixels. Label: dish.
    Publication: Bossard, Guillaumin, Van Gool, "Food-101: mining discriminative components with random forests",
    ECCV 2014. Licence: the images are Foodspotting users' and for research only.
    """

    dataset_dir = "food-101"
    image_dir = "images"
    split_file = "split_zhou_Food101.json"
    template = "a photo of {}, a type of food."
    examples = ("apple_pie", "grilled_salmon", "waffles")
    expected = Counts(classes=101, train=50500, val=20200, test=30300)
    files = (
        DataFile("images", "dir", images=101_000, folders=101, sources=(ARCHIVE,)),
        DataFile("meta", "dir", role="extra", sources=(ARCHIVE,)),
        DataFile(
            "split_zhou_Food101.json", role="split", sources=(Source(gdrive="1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl"),)
        ),
    )

    def make_split(self) -> Split:
        return self.split_folders()
