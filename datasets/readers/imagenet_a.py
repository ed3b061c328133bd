"""ImageNetA."""

from craft.datasets.readers.imagenet_family import CLASSNAMES, ImageNetVariant
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source

ARCHIVE = Source(
    url="https://people.eecs.berkeley.edu/~hendrycks/imagenet-a.tar",
    page="https://github.com/hendrycks/natural-adv-examples",
    md5="c3e55429088dc681f30d81f4726b6595",
    unpack="",
)


@register_reader
class ImageNetA(ImageNetVariant):
    """Photographs that a ResNet-50 gets wrong, of 200 of ImageNet's classes.

    Splits: 7,500 test images. Input: RGB photographs of any size. Label: 0..199, place of the class folder among the
    sorted folders; ``imagenet_labels`` gives ImageNet's label of each.
    Publication: Hendrycks, Zhao, Basart, Steinhardt, Song, "Natural adversarial examples", CVPR 2021. Licence: MIT.
    """

    dataset_dir = "imagenet-adversarial"
    image_dir = "imagenet-a"
    examples = ("stingray", "goldfinch", "junco")
    expected = Counts(classes=200, train=7500, val=None, test=7500)
    files = (DataFile("imagenet-a", "dir", images=7500, folders=200, sources=(ARCHIVE,)), CLASSNAMES)
