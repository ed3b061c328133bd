"""OxfordPets."""

from craft.common.errors import UserError
from craft.datasets.annotations import read_lines, whole_number
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Item, Split

PAGE = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
IMAGES = Source(url=f"{PAGE}data/images.tar.gz", page=PAGE, md5="5c4f3ee8e5d25df40f4fd59a7f44e54c", unpack="")
ANNOTATIONS = Source(url=f"{PAGE}data/annotations.tar.gz", page=PAGE, md5="95a8c909bbe2e81eed6a22bccdf3f68f", unpack="")


@register_reader
class OxfordPets(SplitFileDataset):
    """Cats and dogs of 37 breeds, about 200 images each.

    Splits: 2,944 train, 736 val (20 % of the official trainval list), 3,669 test (official list).
    Input: RGB photographs of any size. Label: breed.
    Publication: Parkhi, Vedaldi, Zisserman, Jawahar, "Cats and dogs", CVPR 2012. Licence: CC BY-SA 4.0.
    """

    dataset_dir = "oxford_pets"
    image_dir = "images"
    split_file = "split_zhou_OxfordPets.json"
    published_seed = 1
    template = "a photo of a {}, a type of pet."
    examples = ("abyssinian", "keeshond", "yorkshire_terrier")
    expected = Counts(classes=37, train=2944, val=736, test=3669)
    files = (
        DataFile("images", "dir", images=7390, sources=(IMAGES,)),
        DataFile("annotations/trainval.txt", role="annotations", sources=(ANNOTATIONS,)),
        DataFile("annotations/test.txt", role="annotations", sources=(ANNOTATIONS,)),
        DataFile(
            "split_zhou_OxfordPets.json", role="split", sources=(Source(gdrive="1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs"),)
        ),
    )

    def make_split(self) -> Split:
        return self.split_lists(
            self.read_list("trainval.txt"), self.read_list("test.txt"), "annotations/trainval.txt and test.txt"
        )

    def read_list(self, name: str) -> list[Item]:
        """Items of an annotation file: lines ``Breed_name_12 class-id species breed-id``, class ids from 1."""
        path = self.folder / "annotations" / name
        items = []
        for number, line in read_lines(path):
            fields = line.split()
            if line.startswith("#"):
                continue
            if len(fields) != 4 or "_" not in fields[0]:
                raise UserError(f"{path}, line {number}: expected 'Breed_12 class-id species breed-id', found {line!r}")
            class_id = whole_number(f"{path}, line {number}", "the class id", fields[1], least=1)
            breed = fields[0].rpartition("_")[0].lower()
            items.append(Item(f"images/{fields[0]}.jpg", class_id - 1, breed))
        return items
