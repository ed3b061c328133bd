"""Layouts of StanfordCars: the authors' folders (also torchvision's and Kaggle's, doubled there), and Kaggle's folders
of classes, whose images keep the numbers of the authors' two folders."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

LAYOUTS = Layouts(
    folders=("stanford_cars", "stanford-cars-dataset", "car_data", "cars_train", "cars196", "cars"),
    images=(
        Images(
            "the authors' folders cars_train and cars_test",
            r"cars_(?P<part>train|test)/(?P<n>\d{1,5})\.jpe?g",
            "cars_{part}/{n:05}.jpg",
        ),
        Images(
            "train and test in folders of classes",
            r"(?P<part>train|test)/(?P<cls>[^/]* \d{4})/(?P<n>\d{1,5})\.jpe?g",
            "cars_{part}/{n:05}.jpg",
        ),
        Images("folders train and test", r"(?P<part>train|test)/(?P<n>\d{1,5})\.jpe?g", "cars_{part}/{n:05}.jpg"),
    ),
    strangers=(
        Stranger(
            "the release of all 16,185 images under one numbering",
            r"(?:^|/)car_ims/\d+\.jpg$",
            "its numbers are not those of cars_train and cars_test, which the split is made of; get the two folders",
        ),
    ),
)
