"""Layouts of DescribableTextures: the authors' ``dtd/`` (torchvision nests it, Kaggle doubles it), and any folders of
images under their published names, which say the class."""

from craft.datasets.layouts.declared import Images, Layouts

CLASSES = """
    banded blotchy braided bubbly bumpy chequered cobwebbed cracked crosshatched crystalline dotted fibrous flecked
    freckled frilly gauzy grid grooved honeycombed interlaced knitted lacelike lined marbled matted meshed paisley
    perforated pitted pleated polka-dotted porous potholed scaly smeared spiralled sprinkled stained stratified
    striped studded swirly veined waffled woven wrinkled zigzagged
"""

LAYOUTS = Layouts(
    folders=("dtd", "dtd-r1.0.1", "describable-textures-dataset-dtd", "DescribableTextures"),
    classes=tuple(CLASSES.split()),
    images=(
        Images(
            "images under their published names",
            r"(?P<cls>[a-z-]+)_(?P<n>\d{1,4})\.jpe?g",
            "images/{cls}/{cls}_{n:04}.jpg",
        ),
        Images(
            "folders of textures, images under names of their own",
            r"(?P<part>train|val|valid|validation|test)/(?P<cls>[^/]+)/(?P<name>[^/]+)",
            "images/{cls}/{part}_{name}",
            numbered=False,
        ),
    ),
)
