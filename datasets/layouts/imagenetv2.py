"""Layouts of ImageNetV2 (matched frequency): folders of label numbers, or of WordNet ids, which are rows of
``classnames.txt``. The two other versions of the set have the same folders and are passed over by their names."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger, Table

OTHERS = r"top-?images|threshold"
FOLDER = "imagenetv2-matched-frequency-format-val"

LAYOUTS = Layouts(
    folders=("imagenetv2", "imagenet-v2", FOLDER, "imagenetv2-matched-frequency"),
    images=(
        Images(
            "folders of labels", r"(?P<label>\d{1,4})/(?P<name>[^/]+)", f"{FOLDER}/{{label:d}}/{{name}}", without=OTHERS
        ),
        Images(
            "folders of WordNet ids",
            r"(?P<wnid>n\d{8})/(?P<name>[^/]+)",
            f"{FOLDER}/{{looked_up}}/{{name}}",
            without=OTHERS,
            table=Table("classnames.txt", r"(?P<key>n\d{8}) ", "wnid"),
        ),
    ),
    elsewhere={"classnames.txt": ("imagenet/classnames.txt",)},
    strangers=(Stranger("another version of ImageNetV2", OTHERS, "the matched-frequency version is needed"),),
)
