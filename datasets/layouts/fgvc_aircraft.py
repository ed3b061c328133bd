"""Layouts of FGVCAircraft: the authors' ``fgvc-aircraft-2013b/`` (torchvision's and Kaggle's too, doubled there), or
folders of parts or classes; the images' seven-digit names are theirs alone."""

from craft.datasets.layouts.declared import Images, Layouts

LAYOUTS = Layouts(
    folders=("fgvc_aircraft", "fgvc-aircraft-2013b", "fgvc-aircraft"),
    images=(Images("images under their published names", r"(?P<n>\d{7})\.jpe?g", "images/{n:07}.jpg"),),
)
