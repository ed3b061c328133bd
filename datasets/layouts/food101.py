"""Layouts of Food101: the authors' ``food-101/`` (Kaggle doubles it), and divisions into train and test, whose images
keep their numbers."""

from craft.datasets.layouts.declared import Images, Layouts

LAYOUTS = Layouts(
    folders=("food-101", "food101", "food41"),
    images=(
        Images(
            "folders of dishes", r"(?P<dish>[a-z]+(?:_[a-z]+)*)/(?P<name>[1-9]\d{1,7}\.jpg)", "images/{dish}/{name}"
        ),
        Images(
            "train and test in folders of dishes, images under names of their own",
            r"(?P<part>train|val|valid|validation|test)/(?P<dish>[a-z]+(?:_[a-z]+)*)/(?P<name>[^/]+)",
            "images/{dish}/{part}_{name}",
            numbered=False,
        ),
    ),
)
