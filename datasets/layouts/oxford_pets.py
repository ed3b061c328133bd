"""Layouts of OxfordPets: one folder of images (torchvision's ``oxford-iiit-pet/``, Kaggle's doubled one), or folders of
breeds; the images' names say the breed."""

from craft.datasets.layouts.declared import Images, Layouts

BREEDS = """
    Abyssinian Bengal Birman Bombay British_Shorthair Egyptian_Mau Maine_Coon Persian Ragdoll Russian_Blue Siamese
    Sphynx american_bulldog american_pit_bull_terrier basset_hound beagle boxer chihuahua english_cocker_spaniel
    english_setter german_shorthaired great_pyrenees havanese japanese_chin keeshond leonberger miniature_pinscher
    newfoundland pomeranian pug saint_bernard samoyed scottish_terrier shiba_inu staffordshire_bull_terrier
    wheaten_terrier yorkshire_terrier
"""

LAYOUTS = Layouts(
    folders=("oxford_pets", "oxford-iiit-pet", "the-oxfordiiit-pet-dataset", "OxfordIIITPet", "pets"),
    classes=tuple(BREEDS.split()),
    images=(
        Images(
            "images under their published names", r"(?P<cls>[A-Za-z_]+)_(?P<n>\d{1,3})\.jpe?g", "images/{cls}_{n:d}.jpg"
        ),
    ),
)
