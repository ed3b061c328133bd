"""Layouts of EuroSAT (RGB): the authors' ``2750/`` under whatever name, whole or divided into train and test; Kaggle's
``EuroSAT/`` beside ``EuroSATallBands/``, whose files are no RGB images and are passed over."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

CLASSES = (
    "AnnualCrop", "Forest", "HerbaceousVegetation", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential",
    "River", "SeaLake",
)  # fmt: skip

LAYOUTS = Layouts(
    folders=("eurosat", "EuroSAT", "2750", "EuroSAT_RGB", "eurosat-dataset"),
    classes=CLASSES,
    also={
        "AnnualCrop": ("Annual Crop Land",),
        "HerbaceousVegetation": ("Herbaceous Vegetation Land",),
        "Highway": ("Highway or Road",),
        "Industrial": ("Industrial Buildings",),
        "Pasture": ("Pasture Land",),
        "PermanentCrop": ("Permanent Crop Land",),
        "Residential": ("Residential Buildings",),
        "SeaLake": ("Sea or Lake",),
    },
    images=(
        Images(
            "images under their published names", r"(?P<cls>[A-Za-z]+)_(?P<n>\d+)\.jpe?g", "2750/{cls}/{cls}_{n:d}.jpg"
        ),
        Images(
            "folders of classes, images under names of their own",
            r"(?P<part>train|val|valid|validation|test)/(?P<cls>[^/]+)/(?P<name>[^/]+\.(?:jpe?g|png))",
            "2750/{cls}/{part}_{name}",
            numbered=False,
        ),
    ),
    strangers=(
        Stranger(
            "EuroSAT with all 13 bands", r"(?:^|/)[A-Za-z]+_\d+\.tiff?$", "the RGB images are needed: EuroSAT.zip"
        ),
    ),
)
