"""StanfordCars."""

from craft.common.errors import UserError
from craft.datasets.annotations import damage_named, read_mat
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Item, Split

# The original server is gone; the checksums are those that were published for its files.
PAGE = "https://github.com/pytorch/vision/issues/7545"
HOST = "http://ai.stanford.edu/~jkrause"
TRAIN = Source(
    f"{HOST}/car196/cars_train.tgz", page=PAGE, md5="065e5b463ae28d29e77c1b4b166cfe61", unpack=""
)  # fmt: skip
TEST = Source(f"{HOST}/car196/cars_test.tgz", page=PAGE, md5="4ce7ebf6a94d07f1952d94dd34c4d501", unpack="")
DEVKIT = Source(f"{HOST}/cars/car_devkit.tgz", page=PAGE, md5="c3b158d763b6e2245038c8ad08e45376", unpack="")
TEST_LABELS = Source(f"{HOST}/car196/cars_test_annos_withlabels.mat", page=PAGE, md5="b0a2b23655a3edd16d84508592a98d10")


@register_reader
class StanfordCars(SplitFileDataset):
    """Cars of 196 models.

    Splits: 6,509 train, 1,635 val (20 % of the official training list), 8,041 test (official list).
    Input: RGB photographs of any size. Label: make, model and year; the year is moved to the front of the name.
    Publication: Krause, Stark, Deng, Fei-Fei, "3D object representations for fine-grained categorization", ICCV
    workshop 2013. Licence: non-commercial research.
    """

    dataset_dir = "stanford_cars"
    split_file = "split_zhou_StanfordCars.json"
    published_seed = 1
    examples = ("2000 AM General Hummer SUV", "2012 FIAT 500 Abarth", "2012 smart fortwo Convertible")
    expected = Counts(classes=196, train=6509, val=1635, test=8041)
    files = (
        DataFile("cars_train", "dir", images=8144, sources=(TRAIN,)),
        DataFile("cars_test", "dir", images=8041, sources=(TEST,)),
        DataFile("devkit/cars_meta.mat", role="annotations", sources=(DEVKIT,)),
        DataFile("devkit/cars_train_annos.mat", role="annotations", sources=(DEVKIT,)),
        DataFile(
            "cars_test_annos_withlabels.mat",
            role="annotations",
            md5="b0a2b23655a3edd16d84508592a98d10",
            sources=(TEST_LABELS,),
        ),
        DataFile(
            "split_zhou_StanfordCars.json", role="split", sources=(Source(gdrive="1ObCFbaAgVu0I-k_Au-gIUcefirdAuizT"),)
        ),
    )

    def make_split(self) -> Split:
        path = self.folder / "devkit/cars_meta.mat"
        with damage_named(path):
            names = [str(name[0]) for name in read_mat(path, "class_names")[0]]
        trainval = self.read_list("cars_train", "devkit/cars_train_annos.mat", names)
        test = self.read_list("cars_test", "cars_test_annos_withlabels.mat", names)
        return self.split_lists(trainval, test, "the annotations of devkit")

    def read_list(self, folder: str, annotations: str, names: list[str]) -> list[Item]:
        """Items of an annotation file: a struct array with ``fname`` and ``class``, class ids from 1."""
        path = self.folder / annotations
        with damage_named(path):
            table = read_mat(path, "annotations")[0]
        if not {"class", "fname"} <= set(table.dtype.names or ()):
            raise UserError(f"{path} has no class for its images; it must be the file with labels")
        items = []
        for number, row in enumerate(table, start=1):
            with damage_named(path):
                class_id, image = int(row["class"][0, 0]), str(row["fname"][0])
            if not 1 <= class_id <= len(names):
                raise UserError(f"{path}, entry {number}: class {class_id}, but there are {len(names)} classes")
            model, _, year = names[class_id - 1].rpartition(" ")
            items.append(Item(f"{folder}/{image}", class_id - 1, f"{year} {model}"))
        return items
