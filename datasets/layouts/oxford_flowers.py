"""Layouts of OxfordFlowers: one folder of images (torchvision's ``flowers-102/jpg``), or train, valid and test in
folders of class numbers (Kaggle's ``flower_data/``). The names of the species, which neither brings, are known here."""

from craft.datasets.layouts.declared import Images, Layouts

SPECIES = (
    "pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea", "english marigold",
    "tiger lily", "moon orchid", "bird of paradise", "monkshood", "globe thistle", "snapdragon", "colt's foot",
    "king protea", "spear thistle", "yellow iris", "globe-flower", "purple coneflower", "peruvian lily",
    "balloon flower", "giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger",
    "grape hyacinth", "corn poppy", "prince of wales feathers", "stemless gentian", "artichoke", "sweet william",
    "carnation", "garden phlox", "love in the mist", "mexican aster", "alpine sea holly", "ruby-lipped cattleya",
    "cape flower", "great masterwort", "siam tulip", "lenten rose", "barbeton daisy", "daffodil", "sword lily",
    "poinsettia", "bolero deep blue", "wallflower", "marigold", "buttercup", "oxeye daisy", "common dandelion",
    "petunia", "wild pansy", "primula", "sunflower", "pelargonium", "bishop of llandaff", "gaura", "geranium",
    "orange dahlia", "pink-yellow dahlia", "cautleya spicata", "japanese anemone", "black-eyed susan",
    "silverbush", "californian poppy", "osteospermum", "spring crocus", "bearded iris", "windflower",
    "tree poppy", "gazania", "azalea", "water lily", "rose", "thorn apple", "morning glory", "passion flower",
    "lotus", "toad lily", "anthurium", "frangipani", "clematis", "hibiscus", "columbine", "desert-rose",
    "tree mallow", "magnolia", "cyclamen", "watercress", "canna lily", "hippeastrum", "bee balm", "ball moss",
    "foxglove", "bougainvillea", "camellia", "mallow", "mexican petunia", "bromelia", "blanket flower",
    "trumpet creeper", "blackberry lily",
)  # fmt: skip

LAYOUTS = Layouts(
    folders=("oxford_flowers", "flowers-102", "flowers102", "flower_data", "oxford-102-flower", "102flowers"),
    images=(
        Images("folders of class numbers", r"(?P<cls>\d{1,3})/image_(?P<n>\d{1,5})\.jpe?g", "jpg/image_{n:05}.jpg"),
        Images("images under their published names", r"image_(?P<n>\d{1,5})\.jpe?g", "jpg/image_{n:05}.jpg"),
    ),
    labels=("imagelabels.mat", "labels"),
    made={"cat_to_name.json": {str(number): name for number, name in enumerate(SPECIES, start=1)}},
)
