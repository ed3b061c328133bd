"""Precompute the static image anchors of a run, so that a sweep's trainers find them in the cache.

    python -m anchors --dataset-config-file configs/datasets/caltech101.yaml --root DATA \\
        --backbone ViT-B/16 --seed 1 DATASET.NUM_SHOTS 16

Takes train.py's options; give the same ones as to the run, since anchors belong to its images (data set, shots, seed,
base or new classes), transform and backbone.
"""

from __future__ import annotations

import sys

import torch

from craft.common import tensor_cache
from craft.common.errors import entry_point


@entry_point
def main(argv: list[str] | None = None) -> int:
    from dassl.data.datasets import build_dataset
    from dassl.utils import set_random_seed

    from craft.anchors.static import KIND, static_anchors
    from craft.clip import load_backbone
    from craft.config.commandline import parser
    from craft.trainers.settings import setup_cfg

    options = parser(__doc__, default_trainer="CoOpCraft").parse_args(argv)
    cfg = setup_cfg(options)
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    dataset = build_dataset(cfg)
    device = torch.device("cuda" if torch.cuda.is_available() and cfg.USE_CUDA else "cpu")
    found = static_anchors(cfg, dataset, load_backbone(cfg.MODEL.BACKBONE.NAME).to(device))
    print(f"{'found' if found.cached else 'made'}: {len(found.labels)} anchors, {found.features.shape[1]} dimensions")
    print(tensor_cache.cache_dir(KIND) / f"{found.key}.safetensors")
    return 0


if __name__ == "__main__":
    sys.exit(main())
