"""Precompute the static image anchors of a run, so that a sweep's trainers find them in the cache.

    craft anchors --root DATA --dataset-config-file caltech101 --config-file base2new --seed 1 \\
        DATASET.NUM_SHOTS 16 DATASET.SUBSAMPLE_CLASSES base

Takes those options of `craft train` that say which images are read and how; give the same as to the run, since anchors
belong to its images (data set, shots, seed, base or new classes), transform and backbone. In a clone
`python -m anchors` is the same command.
"""

from __future__ import annotations

import sys

from craft.common import imports
from craft.common.errors import entry_point
from craft.config.commandline import parser
from craft.trainers.launch import check_names


@entry_point
def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__, "craft anchors", default_trainer="CoOpCraft", data_only=True).parse_args(argv)
    for name in options.imports:
        imports.load(name)
    check_names(options)

    import torch
    from dassl.data.datasets import build_dataset
    from dassl.utils import set_random_seed

    from craft.anchors.static import KIND, static_anchors
    from craft.clip import load_backbone
    from craft.common import tensor_cache
    from craft.trainers.settings import check_effect, setup_cfg

    cfg = setup_cfg(options)
    check_effect(cfg)
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
