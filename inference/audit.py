"""What is odd about a data set before anything is learned from it: doubled images, doubted labels, uneven classes.

    craft data audit --root my_images --dataset-config-file image_folder --backbone ViT-B/16
    craft data audit --root DATA --dataset-config-file caltech101 --to audit.json

Takes the options of `craft train` that choose data and backbone. Nothing is changed: what is found is listed, worst
first, and with --to written as JSON with every finding.

Doubled: the same bytes, or pictures whose outlines agree (a hash of brightness differences) and whose frozen features
do too. Doubled across train and test, an image is learned and then asked for. Doubted: an image that lies nearer to the
other images of another class than to those of its own, and that CLIP's text of that other class fits better too.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from craft.common import imports
from craft.common.arguments import Parser, whole
from craft.common.errors import entry_point
from craft.common.files import write_json
from craft.common.text_table import text_table
from craft.config.commandline import parser

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

HASH_DISTANCE = 4  # of 64 bits: recompressed, resized or slightly brightened copies stay below
COSINE = 0.95  # of frozen features, which tell apart what only has a similar outline
UNEVEN = 5.0  # largest class over smallest, from where it is said


@dataclass(frozen=True)
class Pair:
    """Two doubled images. same: ``bytes`` or ``picture``. across: they are in different parts; labels: they differ."""

    first: str
    second: str
    parts: tuple[str, str]
    classes: tuple[str, str]
    same: str
    cosine: float

    @property
    def across(self) -> bool:
        return self.parts[0] != self.parts[1]


@dataclass(frozen=True)
class Doubt:
    """image: path. label: its class; nearer: the class that it looks like. margin: difference of cosines to the means
    of both classes' other images, in [0, 2]."""

    image: str
    part: str
    label: str
    nearer: str
    margin: float


def own_parser() -> Parser:
    out = parser(__doc__, "craft data audit", default_trainer="ZeroshotCLIP", data_only=True)
    out.add_argument("--to", default="", metavar="FILE", help="also write every finding as JSON")
    out.add_argument(
        "--show", type=whole(0), default=10, metavar="N", help="how many findings of a kind to show (default: 10)"
    )
    return out


@entry_point
def main(argv: list[str] | None = None) -> int:
    options = own_parser().parse_args(argv)
    for name in options.imports:
        imports.load(name)
    found = audit(options)
    print(as_text(found, options.show))
    if options.to:
        write_json(options.to, found)
        print(f"\n{options.to}")
    return 0


def audit(options) -> dict[str, Any]:
    """All findings of the data set that ``options`` choose, as plain data."""
    import torch
    from dassl.data.datasets import build_dataset
    from dassl.data.transforms import build_transform
    from dassl.utils import set_random_seed

    from craft.clip import load_backbone
    from craft.clip.features import frozen_features
    from craft.datasets import ReadableImages, class_texts, template_for
    from craft.trainers.settings import setup_cfg

    if "DATASET.NUM_SHOTS" not in options.opts:
        options.opts = ["DATASET.NUM_SHOTS", "-1", *options.opts]  # all that there are, not those of a few-shot run
    cfg = setup_cfg(options)
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    dataset = build_dataset(cfg)
    parts = {"train": dataset.train_x, "val": dataset.val or [], "test": dataset.test}
    seen: dict[str, tuple[str, Any]] = {}  # val may be the test images: each image once
    for part, items in parts.items():
        for item in items:
            seen.setdefault(item.impath, (part, item))
    items = [item for _, item in seen.values()]
    names = list(dataset.classnames)
    device = torch.device("cuda" if torch.cuda.is_available() and cfg.USE_CUDA else "cpu")
    backbone = load_backbone(cfg.MODEL.BACKBONE.NAME).to(device)
    with contextlib.redirect_stdout(None):  # Dassl prints every step
        transform = build_transform(cfg, is_train=False)
    images = ReadableImages(cfg, items, transform=transform)
    features = frozen_features(backbone, images, cfg.DATALOADER.TEST.BATCH_SIZE, 0, "images")
    written = class_texts.filled(template_for(cfg, dataset), names)
    texts = backbone.encode_texts(written).float().cpu()
    labels = torch.tensor([item.label for item in items])
    where = [part for part, _ in seen.values()]
    doubled = pairs(items, where, names, features)
    doubted = doubts(items, where, names, features, torch.nn.functional.normalize(texts, dim=-1), labels)
    return {
        "dataset": cfg.DATASET.NAME,
        "backbone": cfg.MODEL.BACKBONE.NAME,
        "images": dict(Counter(where)),
        "classes": {
            name: dict(Counter(w for w, item in zip(where, items) if item.label == at)) for at, name in enumerate(names)
        },
        "texts": dict(zip(names, written)),
        "odd_names": class_texts.oddities(names),
        "doubled": [asdict(pair) | {"across": pair.across} for pair in doubled],
        "doubted": [asdict(doubt) for doubt in doubted],
    }


# -- doubled ----------------------------------------------------------------------------------------------------------


def pairs(items, where: list[str], names: list[str], features: Tensor) -> list[Pair]:
    """Doubled images: across parts first, then with different labels, then by likeness."""
    import numpy as np

    from craft.common.files import digest_file

    digests: dict[str, list[int]] = {}
    for at, item in enumerate(items):
        digests.setdefault(digest_file(item.impath), []).append(at)
    candidates = {(i, j): "bytes" for group in digests.values() for i, j in itertools.pairwise(group)}
    hashes = np.array([outline(item.impath) for item in items], dtype=np.uint64)
    for i, j in near(hashes, HASH_DISTANCE):
        if float(features[i] @ features[j]) >= COSINE:
            candidates.setdefault((i, j), "picture")
    found = [
        Pair(
            items[i].impath,
            items[j].impath,
            (where[i], where[j]),
            (names[items[i].label], names[items[j].label]),
            same,
            float(features[i] @ features[j]),
        )
        for (i, j), same in candidates.items()
    ]
    return sorted(
        found, key=lambda pair: (not pair.across, pair.classes[0] == pair.classes[1], -pair.cosine, pair.first)
    )


def outline(path: str) -> int:
    """64 bits of a picture: whether each of 8 x 8 cells of its grey version is brighter than the one to its right."""
    import numpy as np
    from dassl.utils import read_image
    from PIL import Image

    grey = np.asarray(read_image(path).convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = (grey[:, :-1] > grey[:, 1:]).flatten()
    return int("".join("1" if bit else "0" for bit in bits), 2)


def near(hashes: np.ndarray, distance: int) -> list[tuple[int, int]]:
    """All i < j whose hashes, uint64 (n,), differ in at most ``distance`` bits; n² comparisons, in blocks of rows."""
    import numpy as np

    found = []
    ones = np.array([bin(i).count("1") for i in range(256)], dtype=np.uint8)
    for i in range(len(hashes) - 1):
        differing = ones[(hashes[i + 1 :] ^ hashes[i])[:, None].view(np.uint8)].sum(axis=1)
        found += [(i, i + 1 + int(j)) for j in np.flatnonzero(differing <= distance)]
    return found


# -- doubted ----------------------------------------------------------------------------------------------------------


def doubts(items, where: list[str], names: list[str], features: Tensor, texts: Tensor, labels: Tensor) -> list[Doubt]:
    """Images whose label other images and texts contradict, by margin. features: (n, e), texts: (C, e), both unit."""
    import torch
    import torch.nn.functional as F

    count = torch.bincount(labels, minlength=len(names)).clamp(min=1)
    sums = torch.zeros(len(names), features.shape[1]).index_add_(0, labels, features)
    own = sums[labels] - features  # an image is no witness of its own label
    to_own = (F.normalize(own, dim=-1) * features).sum(dim=-1)
    to_all = features @ F.normalize(sums / count[:, None], dim=-1).T
    to_all[torch.arange(len(labels)), labels] = -1
    to_all[:, torch.bincount(labels, minlength=len(names)) == 0] = -1
    best, nearer = to_all.max(dim=1)
    fits = features @ texts.T
    text_agrees = fits.gather(1, nearer[:, None])[:, 0] > fits.gather(1, labels[:, None])[:, 0]
    odd = ((best > to_own) & text_agrees & (count[labels] > 1)).nonzero().flatten().tolist()
    found = [
        Doubt(items[i].impath, where[i], names[labels[i]], names[nearer[i]], float(best[i] - to_own[i])) for i in odd
    ]
    return sorted(found, key=lambda doubt: (-doubt.margin, doubt.image))


# -- said -------------------------------------------------------------------------------------------------------------


def as_text(found: dict[str, Any], show: int) -> str:
    """The findings for people; ``show`` of each kind."""
    images, classes = found["images"], found["classes"]
    lines = [
        f"{found['dataset']}: "
        + ", ".join(f"{count} {part}" for part, count in images.items())
        + f" images, {len(classes)} classes"
    ]
    sizes = {name: parts.get("train", 0) for name, parts in classes.items()}
    least, most = min(sizes, key=lambda name: sizes[name]), max(sizes, key=lambda name: sizes[name])
    if sizes[least] == 0 or sizes[most] / sizes[least] >= UNEVEN:
        lines.append(f"uneven: {most!r} has {sizes[most]} training images, {least!r} has {sizes[least]}")
    texts = list(found["texts"].values())
    lines.append("texts: " + "; ".join(texts[:3]) + (f"; … ({len(texts)} in all)" if len(texts) > 3 else ""))
    lines += [f"name: {line}" for line in found["odd_names"]]
    doubled, doubted = found["doubled"], found["doubted"]
    across = sum(pair["across"] for pair in doubled)
    lines.append(f"doubled: {len(doubled)} pairs, {across} of them across train, val and test")
    if doubled:
        rows = [
            (
                " / ".join(pair["parts"]),
                " / ".join(dict.fromkeys(pair["classes"])),
                pair["same"],
                pair["first"],
                pair["second"],
            )
            for pair in doubled[:show]
        ]
        lines += ["", text_table(("parts", "class", "same", "image", "and"), rows), ""]
    lines.append(f"doubted: {len(doubted)} images look like another class than theirs")
    if doubted:
        rows = [(one["image"], one["label"], one["nearer"], f"{one['margin']:.3f}") for one in doubted[:show]]
        lines += ["", text_table(("image", "is called", "looks like", "margin"), rows)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
