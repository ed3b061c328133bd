"""ImageNetSketch."""

from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetVariant
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source

ARCHIVE = Source(
    gdrive="1Mj0i5HBthqH1p_yeXzsg22gZduvgoNeA",
    page="https://github.com/HaohanWang/ImageNet-Sketch",
    filename="ImageNet-Sketch.zip",
    unpack="images",
    strip="sketch",
)


@register_reader
class ImageNetSketch(ImageNetVariant):
    """Black and white drawings of ImageNet's 1000 classes.

    Splits: 50,889 test images, about 51 a class. Input: RGB files of any size, without colour. Label: place of the
    class folder (WordNet id) among the sorted folders, which is ImageNet's label.
    Publication: Wang, Ge, Lipton, Xing, "Learning robust global representations by penalizing local predictive
    power", NeurIPS 2019. Licence: MIT.
    """

    dataset_dir = "imagenet-sketch"
    image_dir = "images"
    examples = ("tench", "cliff dwelling", "toilet paper")
    expected = Counts(classes=1000, train=50_889, val=None, test=50_889)
    files = (DataFile("images", "dir", images=50_889, folders=1000, sources=(ARCHIVE,)), CLASSNAMES)
