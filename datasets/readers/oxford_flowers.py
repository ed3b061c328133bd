"""OxfordFlowers."""

from craft.common.errors import UserError
from craft.common.files import read_json
from craft.datasets.annotations import damage_named, read_mat
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Split, split_by_class

PAGE = "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"
IMAGES = Source(url=f"{PAGE}102flowers.tgz", page=PAGE, md5="52808999861908f626f3c1f4e79d11fa", unpack="")
LABELS = Source(url=f"{PAGE}imagelabels.mat", page=PAGE, md5="e0620be6f572b9609742df49c70aed4d")


@register_reader
class OxfordFlowers(SplitFileDataset):
    """Flowers of 102 species, 40 to 258 images each.

    Splits: 4,093 train, 1,633 val, 2,463 test (50/20/30 % of each class, ``split_zhou_OxfordFlowers.json``; not the
    official split, which has 10 training images a class).
    Input: RGB photographs, shorter side 500 pixels. Label: species.
    Publication: Nilsback, Zisserman, "Automated flower classification over a large number of classes", ICVGIP 2008.
    Licence: none stated.
    """

    dataset_dir = "oxford_flowers"
    image_dir = "jpg"
    split_file = "split_zhou_OxfordFlowers.json"
    published_seed = 1
    template = "a photo of a {}, a type of flower."
    examples = ("pink primrose", "wild pansy", "blackberry lily")
    expected = Counts(classes=102, train=4093, val=1633, test=2463)
    files = (
        DataFile("jpg", "dir", images=8189, sources=(IMAGES,)),
        DataFile("imagelabels.mat", role="annotations", md5="e0620be6f572b9609742df49c70aed4d", sources=(LABELS,)),
        DataFile("cat_to_name.json", role="annotations", sources=(Source(gdrive="1AkcxCXeK_RCGCEC_GvmWxjcjaNhu-at0"),)),
        DataFile(
            "split_zhou_OxfordFlowers.json", role="split", sources=(Source(gdrive="1Pp0sRXzZFZq15zVOzKjKBu4A9i01nozT"),)
        ),
    )

    def make_split(self) -> Split:
        names = read_json(self.folder / "cat_to_name.json")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise UserError(f"{self.folder / 'cat_to_name.json'} should map class ids to names; fetch it again")
        path = self.folder / "imagelabels.mat"
        with damage_named(path):
            labels = [int(label) for label in read_mat(path, "labels")[0]]
        paths: dict[int, list[str]] = {}  # classes in the order in which they first appear: the draw depends on it
        for number, class_id in enumerate(labels, start=1):
            if str(class_id) not in names:
                raise UserError(f"{path}, entry {number}: class {class_id} is not in cat_to_name.json")
            paths.setdefault(class_id, []).append(f"jpg/image_{number:05d}.jpg")
        split = split_by_class([(k - 1, names[str(k)], listed) for k, listed in paths.items()], self.rng)
        split.origin = "imagelabels.mat"
        return split
