"""Layouts of ImageNetA: folders of WordNet ids, under whatever name; which image it is matters less than its folder."""

from craft.datasets.layouts.declared import Images, Layouts

LAYOUTS = Layouts(
    folders=("imagenet-adversarial", "imagenet-a"),
    images=(Images("folders of WordNet ids", r"(?P<wnid>n\d{8})/(?P<name>[^/]+)", "imagenet-a/{wnid}/{name}"),),
    elsewhere={"classnames.txt": ("imagenet/classnames.txt",)},
)
