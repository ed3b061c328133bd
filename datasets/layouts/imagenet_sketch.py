"""Layouts of ImageNetSketch: folders of WordNet ids, under whatever name; which image it is matters less than its
folder."""

from craft.datasets.layouts.declared import Images, Layouts

LAYOUTS = Layouts(
    folders=("imagenet-sketch", "ImageNet-Sketch", "sketch"),
    images=(Images("folders of WordNet ids", r"(?P<wnid>n\d{8})/(?P<name>[^/]+)", "images/{wnid}/{name}"),),
    elsewhere={"classnames.txt": ("imagenet/classnames.txt",)},
)
