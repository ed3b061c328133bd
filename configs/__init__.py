"""From defaults, yaml files and command-line options to one frozen configuration.

Later layers win: Dassl's defaults, this project's, the data set's yaml, the trainer's yaml, options, trailing
``KEY VALUE`` pairs. A yaml may start from others: ``_BASE_: [file, …]``, relative to itself. Every mistake names the
file or option, and for a key the nearest keys that exist.
"""

from __future__ import annotations

import bundled  # noqa: F401  (makes `import dassl` work)

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from dassl.config import get_cfg_default
from yacs.config import CfgNode

import datasets
import trainers
from backbones import resolution
from common.errors import UserError, nearest, unknown

FOLDER = Path(__file__).resolve().parent
DEMO_DATASET = FOLDER / "datasets" / "digits.yaml"
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def get_cfg() -> CfgNode:
    """Dassl's defaults with this project's nodes and CLIP's preprocessing; INPUT.SIZE (0, 0) means the backbone's."""
    cfg = get_cfg_default()
    trainers.extend_cfg(cfg)
    datasets.extend_cfg(cfg)
    cfg.INPUT.SIZE = (0, 0)
    cfg.INPUT.INTERPOLATION = "bicubic"
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = list(CLIP_MEAN), list(CLIP_STD)
    cfg.INPUT.TRANSFORMS = ("random_resized_crop", "random_flip", "normalize")
    cfg.MODEL.BACKBONE.NAME = "demo"
    cfg.DATASET.NAME = "Digits"
    cfg.SEED = 1
    return cfg


# -- layers -----------------------------------------------------------------------------------------------------------


def _keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{prefix}{key}.")


def read_yaml(path: Path) -> dict:
    """The mapping in a yaml file with its ``_BASE_`` files below it; UserError where it cannot be read."""
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"cannot read configuration {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid yaml: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict):
        raise UserError(f"{path} does not hold a configuration: expected KEY: value lines")
    bases = own.pop("_BASE_", [])
    merged: dict = {}
    for base in [bases] if isinstance(bases, str) else bases:
        _overlay(merged, read_yaml(path.parent / base))
    _overlay(merged, own)
    return merged


def _overlay(below: dict, above: dict) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = value


def merge(cfg: CfgNode, layer: dict, origin: str, prefix: str = "") -> None:
    """Put ``layer`` over ``cfg``. UserError names ``origin`` and the key, for an unknown key or a wrong type."""
    for key, value in layer.items():
        full = f"{prefix}{key}"
        if isinstance(value, dict) and isinstance(cfg.get(key), CfgNode):
            merge(cfg[key], value, origin, f"{full}.")
            continue
        if key not in cfg:
            raise UserError(
                f"{origin}: unknown key {full}; did you mean: "
                f"{nearest(full, [prefix + known for known in _keys(cfg)])}?"
            )
        current = cfg[key]
        if isinstance(value, list):
            value = tuple(value) if isinstance(current, tuple) else value
        if isinstance(value, int) and not isinstance(value, bool) and isinstance(current, float):
            value = float(value)
        try:
            cfg.merge_from_list([key, value])
        except (ValueError, AssertionError, KeyError) as error:
            raise UserError(
                f"{origin}: {full} is {value!r}, expected {type(current).__name__} such as {current!r}"
            ) from error


def merge_options(cfg: CfgNode, options: list[str]) -> None:
    """Trailing ``KEY VALUE`` pairs of the command line."""
    if len(options) % 2:
        raise UserError(f"trailing options come in pairs KEY VALUE; {options[-1]!r} has no partner")
    for full, value in zip(options[::2], options[1::2]):
        *path, key = full.split(".")
        node = cfg
        for part in path:
            node = node.get(part) if isinstance(node, CfgNode) else None
        if not isinstance(node, CfgNode) or key not in node:
            raise UserError(f"unknown key {full}; did you mean: {nearest(full, _keys(cfg))}?")
        current = node[key]
        if isinstance(current, CfgNode):
            raise UserError(f"{full} is a group of keys; choose one of {', '.join(_keys(current, full + '.'))}")
        if isinstance(current, float) and not isinstance(value, float):
            value = _number(value)
        elif isinstance(current, str):
            value = repr(value)  # yacs would turn a path or name such as 747 into a number
        elif isinstance(current, tuple | list) and not value.lstrip().startswith(("(", "[")):
            value = repr(type(current)(part for part in value.split(",") if part))
        try:
            node.merge_from_list([key, value])
        except (ValueError, AssertionError, SyntaxError) as error:
            raise UserError(f"{full} is {value!r}, expected {type(current).__name__} such as {current!r}") from error


def _number(text: str):
    try:
        return float(text)
    except ValueError:
        return text


# -- command line -----------------------------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """Answers a misspelt option with the nearest ones instead of the whole usage."""

    def error(self, message: str):
        wrong = next((word for word in message.split() if word.startswith("--")), None)
        if message.startswith("unrecognized") and wrong:
            self.exit(
                2, f"error: unknown option {wrong}; did you mean: {nearest(wrong, self._option_string_actions)}?\n"
            )
        super().error(message)


def parser(description: str, default_trainer: str = "") -> argparse.ArgumentParser:
    """CoOp's options, for every command that takes a run's settings."""
    out = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add = out.add_argument
    add("--root", default="", help="folder that holds the data sets")
    add("--output-dir", default="", help="folder of this run (default: output/<dataset>/<trainer>/seed<N>)")
    add("--resume", default="", metavar="DIR", help="go on from the state that an interrupted run left in DIR")
    add("--seed", type=int, default=None, help="seed of everything random, 0 included (default: 1)")
    add("--source-domains", nargs="+", metavar="NAME", help="labelled domains to train on")
    add("--target-domains", nargs="+", metavar="NAME", help="domains to test on; unlabelled ones of *CraftOOD")
    add("--transforms", nargs="+", metavar="NAME", help="training transforms, by Dassl's names")
    add("--config-file", default="", help="yaml of the trainer; a bare name is looked up in configs/trainers/<host>")
    add("--dataset-config-file", default="", help="yaml of the data set; a bare name is looked up in configs/datasets")
    add("--trainer", default=default_trainer, help="name of the trainer; Help lists them")
    add("--backbone", default="", help="ViT-B/16, ViT-B/32, ViT-L/14, RN50, RN101, a weight file, or demo")
    add("--head", default="", help="name of the head, for Dassl's own trainers")
    add("--eval-only", action="store_true", help="evaluate only, with the prompts in --model-dir")
    add("--model-dir", default="", help="output folder of the training run, for --eval-only")
    add("--load-epoch", type=int, default=None, help="epoch to load for --eval-only (default: the last)")
    add("--no-train", action="store_true", help="build everything, do not train")
    add("--force", action="store_true", help="replace whatever run the output folder holds")
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="any configuration key, e.g. OPTIM.MAX_EPOCH 5")
    return out


def find(name: str, folder: Path, kind: str) -> Path:
    """The yaml called ``name``: a path, or a file of ``folder`` with or without its ending."""
    for path in (Path(name), folder / name, folder / f"{name}.yaml"):
        if path.is_file():
            return path
    known = [file.stem for file in sorted(folder.glob("*.yaml"))]
    if not known:
        raise UserError(f"no such {kind} configuration: {name}")
    raise unknown(f"{kind} configuration", name, known)


def setup_cfg(options: argparse.Namespace) -> CfgNode:
    """The frozen configuration of a run. UserError for anything that does not exist or does not fit."""
    _return_keys(options)
    cfg = get_cfg()
    host = trainers.host_of(trainers.check_trainer(options.trainer)) if options.trainer else None
    own = FOLDER / "trainers" / (host.name if host else "")
    dataset_file = options.dataset_config_file
    dataset_file = find(dataset_file, FOLDER / "datasets", "data set") if dataset_file else DEMO_DATASET
    merge(cfg, read_yaml(dataset_file), str(dataset_file))
    backbone = options.backbone
    if options.config_file:
        config_file = find(options.config_file, own, "trainer")
        merge(cfg, read_yaml(config_file), str(config_file))
    elif (backbone or cfg.MODEL.BACKBONE.NAME) == "demo" and (own / "demo.yaml").is_file():
        merge(cfg, read_yaml(own / "demo.yaml"), str(own / "demo.yaml"))
    for key, value in (
        ("DATASET.ROOT", options.root),
        ("OUTPUT_DIR", options.output_dir),
        ("RESUME", options.resume),
        ("DATASET.SOURCE_DOMAINS", options.source_domains and tuple(options.source_domains)),
        ("DATASET.TARGET_DOMAINS", options.target_domains and tuple(options.target_domains)),
        ("INPUT.TRANSFORMS", options.transforms and tuple(options.transforms)),
        ("TRAINER.NAME", options.trainer),
        ("MODEL.BACKBONE.NAME", options.backbone),
        ("MODEL.HEAD.NAME", options.head),
    ):
        if value:
            _set(cfg, key, value)
    if options.seed is not None:
        cfg.SEED = options.seed
    merge_options(cfg, options.opts)
    trainers.check_trainer(cfg.TRAINER.NAME)
    if cfg.DATASET.NAME not in datasets.list_datasets():
        raise unknown("data set", cfg.DATASET.NAME, datasets.list_datasets())
    if host and tuple(cfg.INPUT.SIZE) == (0, 0):
        cfg.INPUT.SIZE = (resolution(cfg.MODEL.BACKBONE.NAME),) * 2
    if not cfg.OUTPUT_DIR or (options.output_dir == "" and cfg.OUTPUT_DIR == "./output"):
        cfg.OUTPUT_DIR = f"output/{cfg.DATASET.NAME}/{cfg.TRAINER.NAME}/seed{cfg.SEED}"
        if options.eval_only:  # beside the run that trained, never over it
            cfg.OUTPUT_DIR += "/evaluation"
    cfg.freeze()
    return cfg


def _return_keys(options: argparse.Namespace) -> None:
    """Give back ``KEY VALUE`` pairs that an option of several values before them has swallowed."""
    for name in ("source_domains", "target_domains", "transforms"):
        values = getattr(options, name) or []
        cut = next((i for i, value in enumerate(values) if re.fullmatch(r"[A-Z_]+(\.[A-Z0-9_]+)+", value)), len(values))
        if cut < len(values):
            setattr(options, name, values[:cut])
            options.opts = values[cut:] + options.opts


def _set(cfg: CfgNode, key: str, value) -> None:
    *path, last = key.split(".")
    for part in path:
        cfg = cfg[part]
    cfg[last] = value
