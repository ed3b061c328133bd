"""EuroSAT."""

from craft.datasets.registry import register_reader
from craft.datasets.sources import Counts, DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.datasets.splits import Split

ARCHIVE = Source(
    url="https://huggingface.co/datasets/torchgeo/eurosat/resolve/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
    page="https://github.com/phelber/EuroSAT",
    md5="c8fa014336c82ac7804f0398fcb19387",
    unpack="",
)
NAMES = {
    "AnnualCrop": "Annual Crop Land",
    "Forest": "Forest",
    "HerbaceousVegetation": "Herbaceous Vegetation Land",
    "Highway": "Highway or Road",
    "Industrial": "Industrial Buildings",
    "Pasture": "Pasture Land",
    "PermanentCrop": "Permanent Crop Land",
    "Residential": "Residential Buildings",
    "River": "River",
    "SeaLake": "Sea or Lake",
}


@register_reader
class EuroSAT(SplitFileDataset):
    """Sentinel-2 satellite images of 10 kinds of land use, 2,000 to 3,000 each.

    Splits: 13,500 train, 5,400 val, 8,100 test (50/20/30 % of each class, ``split_zhou_EuroSAT.json``).
    Input: RGB, 64 x 64 pixels of 10 m. Label: land use or cover.
    Publication: Helber, Bischke, Dengel, Borth, "EuroSAT: a novel dataset and deep learning benchmark for land use
    and land cover classification", JSTARS 2019. Licence: MIT; Copernicus Sentinel data.
    """

    dataset_dir = "eurosat"
    image_dir = "2750"
    split_file = "split_zhou_EuroSAT.json"
    template = "a centered satellite photo of {}."
    examples = ("Annual Crop Land", "Pasture Land", "Sea or Lake")
    expected = Counts(classes=10, train=13500, val=5400, test=8100)
    files = (
        DataFile("2750", "dir", images=27_000, folders=10, sources=(ARCHIVE,)),
        DataFile(
            "split_zhou_EuroSAT.json", role="split", sources=(Source(gdrive="1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o"),)
        ),
    )

    def make_split(self) -> Split:
        return self.split_folders(names=NAMES)
