"""ImageNetR."""

from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetVariant
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source

ARCHIVE = Source(
    url="https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",
    page="https://github.com/hendrycks/imagenet-r",
    md5="a61312130a589d0ca1a8fca1f2bd3337",
    unpack="",
)


@register_reader
class ImageNetR(ImageNetVariant):
    """Paintings, cartoons, toys, sculptures and other renditions of 200 of ImageNet's classes.

    Splits: 30,000 test images. Input: RGB files of any size. Label: 0..199, place of the class folder among the sorted
    folders; ``imagenet_labels`` gives ImageNet's label of each.
    Publication: Hendrycks et al., "The many faces of robustness: a critical analysis of out-of-distribution
    generalization", ICCV 2021. Licence: MIT.
    """

    dataset_dir = "imagenet-rendition"
    image_dir = "imagenet-r"
    examples = ("goldfish", "great white shark", "hammerhead shark")
    expected = Counts(classes=200, train=30_000, val=None, test=30_000)
    files = (DataFile("imagenet-r", "dir", images=30_000, folders=200, sources=(ARCHIVE,)), CLASSNAMES)
