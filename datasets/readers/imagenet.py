"""ImageNet (ILSVRC 2012)."""

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetFamily
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Split

ARCHIVE = Source(page="https://image-net.org/download.php")


@register_reader
class ImageNet(ImageNetFamily):
    """Photographs of 1000 kinds of things.

    Splits: 1,281,167 train; the 50,000 official validation images are both val and test, because the official test
    labels are secret. Shots are drawn from train only.
    Input: RGB photographs of any size. Label: place of the class folder (WordNet id) among the sorted folders of
    ``images/train``. Class names are those that CLIP's authors curated.
    Publication: Russakovsky et al., "ImageNet large scale visual recognition challenge", IJCV 2015.
    Licence: non-commercial research, on application.
    """

    dataset_dir = "imagenet"
    examples = ("tench", "cliff dwelling", "toilet paper")
    expected = Counts(classes=1000, train=1_281_167, val=None, test=50_000)
    files = (
        DataFile("images/train", "dir", images=1_281_167, folders=1000, sources=(ARCHIVE,)),
        DataFile("images/val", "dir", images=50_000, folders=1000, sources=(ARCHIVE,)),
        CLASSNAMES,
    )

    def read(self) -> Split:
        self.read_names()
        val = self.folder / "images/val"
        if not listing.subfolders(val) and listing.image_names(val):
            raise UserError(f"{self.name}: the images in {val} must lie in class folders; sort them with valprep.sh")
        train = self.read_folders("images/train")
        labels = {item.path.split("/")[2]: item.label for item in train}
        self.require_folders("images/train", set(labels), set(self.names_by_wnid))
        test = self.read_folders("images/val", labels)
        self.require_folders("images/val", {item.path.split("/")[2] for item in test}, set(labels))
        return Split(train, val=test, test=test, draw_val=False, listed=True, origin="the folders of images")
