"""Layouts of CelebA: one folder of aligned faces (torchvision's ``celeba/``, Kaggle's doubled ``img_align_celeba/``)
beside the two lists, as text or CSV. The faces in the wild have the same numbers and are other images."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

WILD = r"img_celeba(?:\.7z)?/|in.the.wild"

LAYOUTS = Layouts(
    folders=("celeba", "celebA", "celebA_v1.0", "celeba-dataset", "img_align_celeba"),
    images=(Images("aligned faces", r"(?P<n>\d{6})\.jpe?g", "img_align_celeba/{n:06}.jpg", without=WILD),),
    instead={
        "list_attr_celeba.csv": ("list_attr_celeba.txt",),
        "list_eval_partition.csv": ("list_eval_partition.txt",),
    },
    strangers=(
        Stranger("CelebA in the wild", WILD, "the aligned faces are needed: img_align_celeba.zip"),
        Stranger("CelebA as PNG", r"img_align_celeba_png|(?:^|/)\d{6}\.png$", "the lists name the JPEG files"),
    ),
)
