"""Waterbirds."""

from pathlib import Path

from craft.common.errors import UserError
from craft.datasets.annotations import choice, inside, read_csv
from craft.datasets.groups import GroupDataset, listed
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Item, Split

PARTS = {"0": 0, "1": 1, "2": 2}
BINARY = {"0": 0, "1": 1}
BUNDLE = Source(
    url="https://worksheets.codalab.org/rest/bundles/0x505056d5cdea4e4eaa0e242cbfe2daa4/contents/blob/",
    page="https://wilds.stanford.edu",
    filename="waterbirds_v1.0.tar.gz",
    unpack="",
)
TARBALL = Source(
    url="https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz",
    page="https://github.com/kohpangwei/group_DRO",
    unpack="",
    strip="waterbird_complete95_forest2water2",
)


@register_reader
class Waterbirds(GroupDataset):
    """Land birds and water birds pasted on land and water; 95 % of the training birds stand where they belong.

    Splits: 4,795 train, 1,199 val, 5,794 test; in val and test each class stands on both places equally often.
    Input: RGB photographs of any size. Label y: landbird, waterbird. Attribute: place (0 land, 1 water).
    Group: 2 * y + place. Read from ``metadata.csv`` with the columns img_filename, y, split and place.
    Publication: Sagawa, Koh, Hashimoto, Liang, "Distributionally robust neural networks for group shifts", ICLR 2020
    (birds: CUB-200-2011, backgrounds: Places). Licence: non-commercial research and education.
    """

    dataset_dir = "waterbirds_v1.0"
    dataset_dirs = (
        "waterbirds_v1.0",
        "waterbird_complete95_forest2water2",
        "cub/data/waterbird_complete95_forest2water2",
    )
    template = "a photo of a {}."
    class_names = ("landbird", "waterbird")
    group_names = ["landbird on land", "landbird on water", "waterbird on land", "waterbird on water"]
    expected = Counts(2, 4795, 1199, 5794)
    expected_groups = {"train": (3498, 184, 56, 1057), "val": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)}
    files = (
        DataFile("metadata.csv", sources=(TARBALL, BUNDLE)),
        DataFile(".", "dir", images=11788, folders=200, sources=(TARBALL, BUNDLE)),
    )

    @classmethod
    def instead(cls, folder: Path, file: DataFile) -> tuple[str, str] | None:
        """Metadata of another Waterbirds (other shares of birds on the other ground) have the same name."""
        path = folder / file.path
        if file.path != "metadata.csv" or not path.is_file():
            return None
        sizes = {part: [0] * len(cls.group_names) for part in cls.expected_groups}
        try:
            for _, row in read_csv(path, ("img_filename", "y", "split", "place")):
                part = list(sizes)[PARTS[row["split"]]]
                sizes[part][2 * BINARY[row["y"]] + BINARY[row["place"]]] += 1
        except (UserError, KeyError):
            return None  # the reader names it by line
        wrong = [part for part, found in sizes.items() if tuple(found) != cls.expected_groups[part]]
        if not wrong:
            return None
        have, want = (listed(numbers[wrong[0]]) for numbers in (sizes, cls.expected_groups))
        return f"another split: {wrong[0]} has {have} images a group instead of {want}", file.origin

    def read(self) -> Split:
        path = self.folder / "metadata.csv"
        parts: tuple[list[Item], list[Item], list[Item]] = ([], [], [])
        for line, row in read_csv(path, ("img_filename", "y", "split", "place")):
            where = f"{path}, line {line}"
            label, place = choice(where, "y", row["y"], BINARY), choice(where, "place", row["place"], BINARY)
            image = inside(where, row["img_filename"], self.folder)
            item = Item(image, label, self.class_names[label], attribute=place, group=2 * label + place)
            parts[choice(where, "split", row["split"], PARTS)].append(item)
        return Split(*parts, origin=path.name)
