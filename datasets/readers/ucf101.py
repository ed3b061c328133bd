"""UCF101."""

import re

from craft.common.errors import UserError
from craft.datasets.annotations import read_lines, whole_number
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Item, Split

FRAMES = Source(gdrive="10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O", filename="UCF-101-midframes.zip", unpack="")
LISTS = Source(
    url="https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip",
    page="https://www.crcv.ucf.edu/data/UCF101.php",
    unpack="",
)


@register_reader
class UCF101(SplitFileDataset):
    """Human actions of 101 kinds: the middle frame of each of 13,320 video clips.

    Splits: 7,639 train, 1,898 val (20 % of the first official training list), 3,783 test (its test list).
    Input: RGB frames, 320 x 240 pixels. Label: action, its words joined by underscores.
    Publication: Soomro, Zamir, Shah, "UCF101: a dataset of 101 human actions classes from videos in the wild",
    CRCV-TR-12-01, 2012. Licence: none stated; the clips are YouTube users'.
    """

    dataset_dir = "ucf101"
    image_dir = "UCF-101-midframes"
    split_file = "split_zhou_UCF101.json"
    published_seed = 1
    template = "a photo of a person doing {}."
    examples = ("Apply_Eye_Makeup", "Long_Jump", "Yo_Yo")
    expected = Counts(classes=101, train=7639, val=1898, test=3783)
    files = (
        DataFile("UCF-101-midframes", "dir", images=13_320, folders=101, sources=(FRAMES,)),
        DataFile("ucfTrainTestlist/classInd.txt", role="annotations", sources=(LISTS,)),
        DataFile("ucfTrainTestlist/trainlist01.txt", role="annotations", sources=(LISTS,)),
        DataFile("ucfTrainTestlist/testlist01.txt", role="annotations", sources=(LISTS,)),
        DataFile("split_zhou_UCF101.json", role="split", sources=(Source(gdrive="1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y"),)),
    )

    def make_split(self) -> Split:
        path = self.folder / "ucfTrainTestlist/classInd.txt"
        labels: dict[str, int] = {}
        for number, line in read_lines(path):
            fields = line.split()
            if len(fields) != 2:
                raise UserError(f"{path}, line {number}: expected 'number Action' with numbers from 1, found {line!r}")
            labels[fields[1]] = whole_number(f"{path}, line {number}", "the number", fields[0], least=1) - 1
        trainval = self.read_list("trainlist01.txt", labels)
        test = self.read_list("testlist01.txt", labels)
        return self.split_lists(trainval, test, "trainlist01.txt and testlist01.txt")

    def read_list(self, name: str, labels: dict[str, int]) -> list[Item]:
        """Items of a list: lines ``Action/v_Action_g01_c01.avi``, a number may follow."""
        path = self.folder / "ucfTrainTestlist" / name
        items = []
        for number, line in read_lines(path):
            action, _, clip = line.split()[0].partition("/")
            if action not in labels:
                raise UserError(f"{path}, line {number}: the action {action!r} is not in classInd.txt")
            words = "_".join(re.findall(r"[A-Z][^A-Z]*", action))
            items.append(Item(f"UCF-101-midframes/{words}/{clip.removesuffix('.avi')}.jpg", labels[action], words))
        return items
