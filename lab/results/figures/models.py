"""Loading what a run has learned, to look at its features: the trainer of the run's own record, and its checkpoint."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from craft.lab.results.collect import Result


@dataclass(frozen=True)
class Seen:
    """Images through a trained model. image: (N, e) features. relative: (N, C) <u, t_c>. probability: (N, C).
    labels: (N,). All float32 on the CPU."""

    image: Tensor
    relative: Tensor
    probability: Tensor
    labels: Tensor


def configuration(record: dict[str, Any], trainer: str = ""):
    """The frozen configuration of a run's record; of another trainer on the same data where ``trainer`` names one."""
    from craft import datasets
    from craft.trainers.settings import get_cfg

    datasets.enter_into_dassl()
    cfg = get_cfg()
    _fill(cfg, record["config"])
    cfg.TRAINER.NAME = trainer or cfg.TRAINER.NAME
    cfg.RESUME = ""
    cfg.freeze()
    return cfg


def _fill(node, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if key not in node:
            continue  # of another version of the code
        if isinstance(value, dict):
            _fill(node[key], value)
        else:
            node[key] = tuple(value) if isinstance(node[key], tuple) else value


def load(result: Result):
    """The trainer of a done run with its learned prompts, ready to look at images.

    It is built as for any evaluation, so it needs neither anchors nor unlabelled images. UserError where the checkpoint
    or the data are gone.
    """
    cfg = configuration(result.told)
    trainer = _quietly(cfg)
    if trainer.structure.trainable:
        model = result.told["identity"].get("model")
        folder = Path(model["path"]).parent.parent if model else result.folder
        from craft.runs.checkpoints import last_epoch

        with contextlib.redirect_stdout(io.StringIO()):
            # Records from before they told the epoch go by the configuration.
            by = "best_val" if cfg.TEST.FINAL_MODEL == "best_val" else "last"
            of = result.told.get("evaluated") or {"epoch": last_epoch(folder), "by": by}
            trainer.load_model(str(folder), None if of["by"] == "best_val" else of["epoch"])
    return trainer


def zero_shot(result: Result):
    """CLIP with hand-written texts on the data of a run."""
    return _quietly(configuration(result.told, "ZeroshotCLIP"))


def _quietly(cfg):
    from craft.trainers.engine.variants import build

    with contextlib.redirect_stdout(io.StringIO()):
        return build(cfg, evaluate=True)


@torch.no_grad()
def look(trainer, items: Sequence) -> Seen:
    """``items`` (Datum) through the trainer's model, with the transform of evaluation."""
    from dassl.data.data_manager import build_data_loader
    from dassl.data.transforms import build_transform

    cfg = trainer.cfg
    with contextlib.redirect_stdout(io.StringIO()):
        transform = build_transform(cfg, is_train=False)
    size = cfg.DATALOADER.TEST.BATCH_SIZE
    loader = build_data_loader(cfg, data_source=list(items), batch_size=size, tfm=transform, is_train=False)
    trainer.set_model_mode("eval")
    parts: list[tuple[Tensor, ...]] = []
    for batch in loader:
        images, labels = trainer.parse_batch_test(batch)
        with torch.autocast(**trainer.autocast):
            out = trainer.model(images)
        relative = out.logits / out.scale
        tensors = (out.image, relative, out.logits.float().softmax(dim=-1))
        parts.append((*(tensor.float().cpu() for tensor in tensors), labels.cpu()))
    return Seen(*(torch.cat(column) for column in zip(*parts)))
