"""FGVCAircraft."""

from craft.common.errors import UserError, nearest
from craft.datasets.annotations import read_lines
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.splits import Item, Split

ARCHIVE = Source(
    url="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz",
    page="https://www.robots.ox.ac.uk/~vgg/data/fgvc-aircraft/",
    md5="d4acdd33327262359767eeaa97a4f732",
    unpack="",
    strip="fgvc-aircraft-2013b/data",
)


@register_reader
class FGVCAircraft(PromptDataset):
    """Aircraft of 100 variants, 100 images each.

    Splits: 3,334 train, 3,333 val, 3,333 test (official lists).
    Input: RGB photographs of 1 to 2 megapixels with a 20-pixel banner of copyright at the bottom. Label: variant.
    Publication: Maji, Kannala, Rahtu, Blaschko, Vedaldi, "Fine-grained visual classification of aircraft",
    arXiv 1306.5151, 2013. Licence: non-commercial research.
    """

    dataset_dir = "fgvc_aircraft"
    template = "a photo of a {}, a type of aircraft."
    examples = ("707-320", "Cessna 560", "Yak-42")
    expected = Counts(classes=100, train=3334, val=3333, test=3333)
    files = (
        DataFile("images", "dir", images=10_000, sources=(ARCHIVE,)),
        DataFile("variants.txt", sources=(ARCHIVE,)),
        DataFile("images_variant_train.txt", sources=(ARCHIVE,)),
        DataFile("images_variant_val.txt", sources=(ARCHIVE,)),
        DataFile("images_variant_test.txt", sources=(ARCHIVE,)),
    )

    def read(self) -> Split:
        variants = [line for _, line in read_lines(self.folder / "variants.txt")]
        labels = {variant: label for label, variant in enumerate(variants)}
        train, val, test = (self.read_list(f"images_variant_{part}.txt", labels) for part in ("train", "val", "test"))
        return Split(train, val, test, origin="images_variant_*.txt")

    def read_list(self, name: str, labels: dict[str, int]) -> list[Item]:
        """Items of a list: lines ``0034309 Boeing 707-320``, the variant may hold blanks."""
        items = []
        for number, line in read_lines(self.folder / name):
            stem, _, variant = line.partition(" ")
            if variant not in labels:
                raise UserError(
                    f"{self.folder / name}, line {number}: {variant!r} is not in variants.txt; "
                    f"nearest: {nearest(variant, labels)}"
                )
            items.append(Item(f"images/{stem}.jpg", labels[variant], variant))
        return items
