"""CelebA, with hair colour as the class and gender as the spurious attribute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets.annotations import choice, inside, read_csv, read_lines
from craft.datasets.groups import GroupDataset
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Item, Split

TARGET, SPURIOUS = "Blond_Hair", "Male"
SIGNS = {"-1": 0, "1": 1}
PARTS = {"0": 0, "1": 1, "2": 2}
PAGE = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
BUNDLE = Source(
    url="https://worksheets.codalab.org/rest/bundles/0xfe55077f5cd541f985ebf9ec50473293/contents/blob/",
    page=PAGE,
    filename="celebA_v1.0.tar.gz",
    unpack="",
)


@register_reader
class CelebA(GroupDataset):
    """Faces of celebrities; the class is whether the hair is blond, which goes with gender (6 % of blonds are men).

    Splits: 162,770 train, 19,867 val, 19,962 test (official). Input: RGB faces, 178x218, aligned.
    Label: Blond_Hair. Attribute: Male (0, 1). Group: 2 * Blond_Hair + Male.
    Read from ``list_attr_celeba`` and ``list_eval_partition``, each as .csv or .txt.
    Publication: Liu, Luo, Wang, Tang, "Deep learning face attributes in the wild", ICCV 2015; the groups are those of
    Sagawa et al., ICLR 2020. Licence: non-commercial research.
    """

    dataset_dir = "celebA_v1.0"
    dataset_dirs = ("celebA_v1.0", "celeba", "celebA/data", "celebA")
    template = "a photo of a person with {}."
    class_names = ("hair that is not blond", "blond hair")
    group_names = ["not blond, female", "not blond, male", "blond, female", "blond, male"]
    expected = Counts(2, 162770, 19867, 19962)
    expected_groups = {
        "train": (71629, 66874, 22880, 1387),
        "val": (8535, 8276, 2874, 182),
        "test": (9767, 7535, 2480, 180),
    }
    files = (
        DataFile("list_attr_celeba.csv", sources=(BUNDLE,)),
        DataFile("list_eval_partition.csv", sources=(BUNDLE,)),
        DataFile("img_align_celeba", "dir", images=202599, folders=0, sources=(BUNDLE,)),
    )

    @classmethod
    def files_in(cls, folder: Path) -> tuple[DataFile, ...]:
        """``files``, with .txt for each list that ``folder`` holds in that form only."""
        declared = []
        for file in cls.files:
            text = file.path.replace(".csv", ".txt")
            if file.kind == "file" and not (folder / file.path).is_file() and (folder / text).is_file():
                file = DataFile(text, sources=file.sources)
            declared.append(file)
        return tuple(declared)

    def read(self) -> Split:
        attributes, partition = (self.folder / file.path for file in self.files_in(self.folder)[:2])
        part_of = {}
        for line, row in _rows(partition, ("image_id", "partition"), header=False):
            part_of[row["image_id"]] = choice(f"{partition}, line {line}", "partition", row["partition"], PARTS)
        parts: tuple[list[Item], list[Item], list[Item]] = ([], [], [])
        for line, row in _rows(attributes, ("image_id", TARGET, SPURIOUS), header=True):
            where = f"{attributes}, line {line}"
            if row["image_id"] not in part_of:
                raise UserError(f"{where}: {row['image_id']} is not in {partition.name}; fetch both lists again")
            label, spurious = (choice(where, column, row[column], SIGNS) for column in (TARGET, SPURIOUS))
            image = inside(where, f"img_align_celeba/{row['image_id']}", self.folder)
            item = Item(image, label, self.class_names[label], attribute=spurious, group=2 * label + spurious)
            parts[part_of.pop(row["image_id"])].append(item)
        if part_of:
            raise UserError(f"{partition}: {next(iter(part_of))} is not in {attributes.name}; fetch both lists again")
        return Split(*parts, origin=attributes.name)


def _rows(path: Path, columns: tuple[str, ...], header: bool) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a list of CelebA: a CSV, or text with blanks between the fields.

    The text of attributes starts with the number of images and a line of names (``header``); that of the partition
    with the first image.
    """
    if path.suffix == ".csv":
        yield from read_csv(path, columns)
        return
    lines = read_lines(path)
    names: tuple[str, ...] = columns
    if header:
        next(lines, None)
        names = ("image_id", *next(lines, (0, ""))[1].split())
        absent = [column for column in columns if column not in names]
        if absent:
            raise UserError(f"{path}, line 2: no attribute {absent[0]!r}; fetch the list again")
    for number, line in lines:
        fields = line.split()
        if len(fields) != len(names):
            raise UserError(f"{path}, line {number}: {len(fields)} fields instead of {len(names)}")
        yield number, dict(zip(names, fields))
