"""Layouts of ImageNet: train and val in folders of WordNet ids (torchvision's), Kaggle's ``ILSVRC/Data/CLS-LOC/``,
whose validation images lie in one folder and have their classes in ``LOC_val_solution.csv``, and Hugging Face's
archives, whose names say the class."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger, Table

LAYOUTS = Layouts(
    folders=("imagenet", "ILSVRC2012", "ILSVRC", "imagenet-1k", "imagenet-object-localization-challenge", "imagenet1k"),
    images=(
        Images(
            "training images under their published names",  # Hugging Face's add the WordNet id once more
            r"(?P<wnid>n\d{8})_(?P<n>\d+)(?:_(?P=wnid))?\.(?P<ext>[jJ][pP][eE]?[gG])",
            "images/train/{wnid}/{wnid}_{n}.{ext}",
        ),
        Images(
            "validation images in folders of WordNet ids",
            r"(?P<wnid>n\d{8})/(?P<name>ILSVRC2012_val_\d{8}\.[jJ][pP][eE]?[gG])",
            "images/val/{wnid}/{name}",
        ),
        Images(
            "validation images with their WordNet ids in their names",
            r"(?P<stem>ILSVRC2012_val_\d{8})_(?P<wnid>n\d{8})\.(?P<ext>[jJ][pP][eE]?[gG])",
            "images/val/{wnid}/{stem}.{ext}",
        ),
        Images(
            "validation images in one folder, classes by LOC_val_solution.csv",
            r"(?P<stem>ILSVRC2012_val_\d{8})\.(?P<ext>[jJ][pP][eE]?[gG])",
            "images/val/{looked_up}/{stem}.{ext}",
            table=Table("LOC_val_solution.csv", r"(?P<key>ILSVRC2012_val_\d{8}),\s*\"?(?P<value>n\d{8})", "stem"),
        ),
        Images(
            "training images in folders of WordNet ids, under names of their own",
            r"train/(?P<wnid>n\d{8})/(?P<name>[^/]+)",
            "images/train/{wnid}/{name}",
            numbered=False,
        ),
        Images(
            "validation images in folders of WordNet ids, under names of their own",
            r"(?:val|valid|validation)/(?P<wnid>n\d{8})/(?P<name>[^/]+)",
            "images/val/{wnid}/{name}",
            numbered=False,
        ),
    ),
    elsewhere={
        "classnames.txt": tuple(
            f"{folder}/classnames.txt"
            for folder in ("imagenetv2", "imagenet-sketch", "imagenet-adversarial", "imagenet-rendition")
        )
    },
    strangers=(
        Stranger(
            "validation images in one folder",
            r"(?:^|/)ILSVRC2012_val_\d{8}\.jpe?g$",
            "their classes are in LOC_val_solution.csv, which comes with Kaggle's download: lay it beside them",
        ),
        Stranger("Tiny ImageNet", r"(?:^|/)wnids\.txt$", "it is another set of images, 64 x 64 pixels of 200 classes"),
    ),
)
