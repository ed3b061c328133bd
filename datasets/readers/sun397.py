"""SUN397."""

from craft.common.errors import UserError
from craft.datasets.annotations import read_lines
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Item, Split

PAGE = "https://vision.princeton.edu/projects/2010/SUN/"
IMAGES = Source(
    url="http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz",
    page=PAGE,
    md5="8ca2778205c41d23104230ba66911c7a",
    unpack="",
)
PARTITIONS = Source(url=f"{PAGE}download/Partitions.zip", page=PAGE, unpack="")


@register_reader
class SUN397(SplitFileDataset):
    """Scenes of 397 categories, at least 100 images each.

    Splits: 15,880 train, 3,970 val (20 % of the first official training partition), 19,850 test (its test partition).
    Input: photographs of any size. Label: scene; ``/c/church/indoor`` is called "indoor church".
    Publication: Xiao, Hays, Ehinger, Oliva, Torralba, "SUN database: large-scale scene recognition from abbey to
    zoo", CVPR 2010. Licence: none stated; research use.
    """

    dataset_dir = "sun397"
    image_dir = "SUN397"
    split_file = "split_zhou_SUN397.json"
    published_seed = 1
    examples = ("abbey", "indoor chicken_coop", "youth_hostel")
    expected = Counts(classes=397, train=15880, val=3970, test=19850)
    files = (
        DataFile("SUN397", "dir", images=108_754, sources=(IMAGES,)),
        DataFile("ClassName.txt", role="annotations", sources=(PARTITIONS,)),
        DataFile("Training_01.txt", role="annotations", sources=(PARTITIONS,)),
        DataFile("Testing_01.txt", role="annotations", sources=(PARTITIONS,)),
        DataFile("split_zhou_SUN397.json", role="split", sources=(Source(gdrive="1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq"),)),
    )

    def make_split(self) -> Split:
        scenes = [line.removeprefix("/") for _, line in read_lines(self.folder / "ClassName.txt")]
        labels = {scene: label for label, scene in enumerate(scenes)}
        trainval = self.read_list("Training_01.txt", labels)
        test = self.read_list("Testing_01.txt", labels)
        return self.split_lists(trainval, test, "Training_01.txt and Testing_01.txt")

    def read_list(self, name: str, labels: dict[str, int]) -> list[Item]:
        """Items of a list: lines ``/c/church/indoor/sun_abc.jpg``."""
        items = []
        for number, line in read_lines(self.folder / name):
            image = line.removeprefix("/")
            scene = image.rpartition("/")[0]
            if scene not in labels:
                raise UserError(f"{self.folder / name}, line {number}: the scene {scene!r} is not in ClassName.txt")
            # The letter that scenes are sorted under goes, and what specifies the scene comes first.
            classname = " ".join(reversed(scene.split("/")[1:]))
            items.append(Item(f"SUN397/{image}", labels[scene], classname))
        return items
