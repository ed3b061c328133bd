"""Layouts of UCF101's middle frames: the clips' names say the action, in whatever folders they lie. What Kaggle,
Hugging Face and torchvision carry are the videos, of which no frame is taken here."""

from craft.datasets.layouts.declared import Images, Layouts, Stranger

LAYOUTS = Layouts(
    folders=("ucf101", "UCF-101-midframes", "UCF101_midframes", "UCF-101"),
    images=(
        Images(
            "frames under the names of their clips",
            r"v_(?P<action>[A-Za-z]+)_g(?P<g>\d{1,2})_c(?P<c>\d{1,2})\.jpe?g",
            "UCF-101-midframes/{folder:words}/v_{action}_g{g:02}_c{c:02}.jpg",
            # One action is spelt otherwise in the names of its clips than in the list of actions.
            spelling={"folder": ("action", {"HandStandPushups": "HandstandPushups"})},
        ),
    ),
    strangers=(
        Stranger(
            "the videos",
            r"\.(?:avi|mp4)$",
            "no frames are taken of videos here; the published middle frames are UCF-101-midframes.zip",
        ),
        Stranger(
            "many frames of each video",
            r"v_[A-Za-z]+_g\d+_c\d+/[^/]+\.jpe?g$",
            "which of them is the published middle frame cannot be told; get UCF-101-midframes.zip",
        ),
    ),
)
