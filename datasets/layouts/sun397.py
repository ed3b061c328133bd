"""Layouts of SUN397: the authors' folders of a letter, a scene and at times a kind of it (torchvision's too). Copies
that were divided anew have other folders and the same file names: those are looked up in the split or the lists."""

from craft.datasets.layouts.declared import Images, Layouts

LAYOUTS = Layouts(
    folders=("sun397", "SUN397", "SUN-397"),
    images=(
        Images(
            "the authors' folders of letters and scenes",
            r"(?P<scene>[a-z]/[a-z_]+(?:/[a-z_]+)?)/(?P<name>sun_[a-z0-9]+\.jpe?g)",
            "SUN397/{scene}/{name}",
        ),
    ),
)
