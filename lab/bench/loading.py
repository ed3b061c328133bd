"""How fast training images come: Dassl's loader against ours, over photographs made here, read every epoch."""

from __future__ import annotations

import contextlib
import io
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZE = (500, 375)  # pixels, of most photographs in ImageNet and Caltech101
SIDE = 224


def photographs(folder: Path, count: int) -> list[Path]:
    """So many JPEG files of `SIZE`: smooth colours with grain, about as many bytes as a photograph's."""
    draw, paths = np.random.default_rng(0), []
    for number in range(count):
        colours = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            SIZE, Image.Resampling.BICUBIC
        )
        grain = draw.normal(0, 12, (SIZE[1], SIZE[0], 1))
        paths.append(folder / f"{number}.jpg")
        pixels = (np.asarray(colours) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def load(spec: dict[str, Any]) -> dict[str, Any]:
    """Seconds of an epoch: so many ``images`` decoded, cropped at random, flipped, normalised, in batches.

    plain: Dassl's loader, whose workers start anew every epoch. ours: `craft.datasets.loading`. The first epoch, in
    which our workers start and images are decoded once, is reported on its own.
    """
    from dassl.data.data_manager import build_data_loader
    from dassl.data.datasets import Datum
    from dassl.data.transforms import build_transform

    from craft.datasets import ReadableImages
    from craft.datasets.loading import keep_decoded, steady
    from craft.lab.bench.clock import repeat, summary
    from craft.trainers.settings import get_cfg

    cfg = get_cfg()
    cfg.INPUT.SIZE = (SIDE, SIDE)
    cfg.DATALOADER.NUM_WORKERS = spec["workers"]
    ours = spec["path"] == "ours"
    with tempfile.TemporaryDirectory(prefix="craft-benchmark-") as folder:
        items = [Datum(impath=str(path)) for path in photographs(Path(folder), spec["images"])]
        with contextlib.redirect_stdout(io.StringIO()):  # Dassl announces every transform it builds
            transform = build_transform(cfg, is_train=True)
        loader = build_data_loader(
            cfg,
            sampler_type="RandomSampler",
            data_source=items,
            batch_size=spec["batch"],
            tfm=transform,
            is_train=True,
            dataset_wrapper=ReadableImages if ours else None,
        )

        def epoch() -> None:
            for batch in loader:
                assert batch["img"].shape[1:] == (3, SIDE, SIDE)

        started = time.perf_counter()
        if ours:
            loader = steady(loader)
            keep_decoded([loader], cfg.DATALOADER.IMAGE_CACHE_MB)
        epoch()
        first = time.perf_counter() - started
        found = summary(repeat(epoch, spec["repeats"]))
    count = len(loader) * spec["batch"]
    return {**found, "first_seconds": first, "images_per_second": count / found["seconds"]}
