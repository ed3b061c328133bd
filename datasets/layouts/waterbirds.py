"""Layouts of Waterbirds: folders of bird species beside ``metadata.csv`` (WILDS', group_DRO's, Kaggle's). The birds
that they were pasted from, CUB-200-2011, have the same names and are something else."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

LAYOUTS = Layouts(
    folders=("waterbirds", "waterbirds_v1.0", "waterbird", "waterbird_complete95_forest2water2", "waterbirds95"),
    images=(
        Images(
            "folders of species",
            r"(?P<species>\d{3}\.[A-Za-z_-]+)/(?P<name>[^/]+\.jpe?g)",
            "{species}/{name}",
            without=r"CUB_200_2011/images",
        ),
    ),
    strangers=(
        Stranger(
            "CUB-200-2011, the birds before they were pasted on land and water",
            r"CUB_200_2011/|(?:^|/)(?:bounding_boxes|image_class_labels)\.txt$",
            "get waterbird_complete95_forest2water2.tar.gz",
        ),
    ),
)
