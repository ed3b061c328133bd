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

from craft.common.errors import UserError
from craft.common.files import cache_dir, digest_json
from craft.lab.results.collect import Result
from craft.runs import identity
from craft.trainers.structures import host_name


@dataclass(frozen=True)
class Seen:
    """Images through a trained model. image: (N, e) features. relative: (N, C) <u, t_c>. probability: (N, C).
    labels: (N,). All float32 on the CPU."""

    image: Tensor
    relative: Tensor
    probability: Tensor
    labels: Tensor


def configuration(record: dict[str, Any], trainer: str):
    """The frozen configuration of a run's record, for another trainer of the same host."""
    from craft import datasets
    from craft.trainers.settings import get_cfg

    datasets.enter_into_dassl()
    cfg = get_cfg()
    _fill(cfg, record["config"])
    cfg.TRAINER.NAME = trainer
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

    Always the host's trainer: prompts are the same, and it needs neither anchors nor unlabelled images. UserError
    where the checkpoint or the data are gone.
    """
    host = host_name(result.trainer)
    cfg = configuration(result.record, host)
    trainer = _quietly(cfg)
    if trainer.structure.trainable:
        model = result.record["identity"].get("model")
        folder = Path(model["path"]).parent.parent if model else result.folder
        from craft.runs.checkpoints import last_epoch

        with contextlib.redirect_stdout(io.StringIO()):
            best = cfg.TEST.FINAL_MODEL == "best_val"
            trainer.load_model(str(folder), None if best else last_epoch(folder))
    return trainer


def zero_shot(result: Result):
    """CLIP with hand-written texts on the data of a run."""
    return _quietly(configuration(result.record, "ZeroshotCLIP"))


def oracle(result: Result):
    """The run's host trained on the labelled images of both domains: what nobody has, and what bounds the rest.

    Only for figures. It is kept in the user's cache under a key of everything it depends on. UserError where the
    run's data have no images of the target.
    """
    from dassl.data.data_manager import build_data_loader
    from dassl.data.transforms import build_transform
    from dassl.utils import set_random_seed

    from craft.datasets import ReadableImages
    from craft.datasets.loading import steady

    host = host_name(result.trainer)
    cfg = configuration(result.record, host)
    key = {
        "config": identity.config_digest(cfg),
        "code": identity.code_digest(),
        "data": result.record["identity"]["data"],
        "oracle": 1,
    }
    folder = cache_dir("oracles", digest_json(key)[:16])
    cfg.defrost()
    cfg.OUTPUT_DIR = str(folder)
    cfg.freeze()
    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    trainer = _quietly(cfg)
    unlabelled = trainer.dm.dataset.train_u
    if not unlabelled:
        raise UserError(f"{cfg.DATASET.NAME} has no images of a target domain here")
    with contextlib.redirect_stdout(io.StringIO()):
        if not (folder / "prompt_learner" / f"model.pth.tar-{cfg.OPTIM.MAX_EPOCH}").is_file():
            loader = build_data_loader(
                cfg,
                sampler_type=cfg.DATALOADER.TRAIN_X.SAMPLER,
                data_source=[*trainer.dm.dataset.train_x, *unlabelled],
                batch_size=cfg.DATALOADER.TRAIN_X.BATCH_SIZE,
                tfm=build_transform(cfg, is_train=True),
                is_train=True,
                dataset_wrapper=ReadableImages,
            )
            trainer.train_loader_x = steady(loader)
            trainer.train()
        trainer.load_model(str(folder), cfg.OPTIM.MAX_EPOCH)
    return trainer


def _quietly(cfg):
    from craft.trainers.engine.variants import build

    with contextlib.redirect_stdout(io.StringIO()):
        return build(cfg)


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
