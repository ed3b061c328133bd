"""The configuration of a run: which layers there are, and their order.

Later layers win: Dassl's defaults, this project's, the data set's yaml, the trainer's yaml, options, trailing
``KEY VALUE`` pairs.
"""

from __future__ import annotations

import argparse
from os.path import isfile
from typing import Any

from dassl.config import get_cfg_default
from dassl.data.transforms import transforms
from dassl.evaluation import EVALUATOR_REGISTRY
from dassl.optim import lr_scheduler, optimizer
from yacs.config import CfgNode

from craft import datasets, terms
from craft.clip import PIXEL_MEAN, PIXEL_STD, pixel_statistics, resolution
from craft.common.errors import UserError
from craft.common.places import configs
from craft.config import keys
from craft.config.commandline import return_keys
from craft.config.layers import find, merge, merge_options, read_yaml
from craft.config.rules import show
from craft.datasets.labels import domains_label
from craft.datasets.readers.image_folder import ImageFolder
from craft.trainers.structures import STRUCTURES, host_name, structure_of


def extend_cfg(cfg: CfgNode) -> None:
    """Add this project's keys, with their defaults, to Dassl's: what our trainers and data sets read."""
    for structure in STRUCTURES.values():
        cfg.TRAINER[structure.node] = CfgNode(dict(structure.defaults))
    cfg.TRAINER.CRAFT = CfgNode(terms.defaults())
    cfg.TRAINER.TEXT_CHUNK = 0  # class texts held at a time while training; the rest is computed again (0: all)
    cfg.TRAINER.COMPILE = False  # the towers' blocks through torch.compile: a slow start for faster steps
    cfg.TRAIN.CHECKPOINT_STEPS = 0  # keep the state every so many steps within an epoch, too (0: after each epoch)
    cfg.TEST.CACHE_FEATURES = True  # keep test images' features on disk where no prompt changes them
    cfg.TEST.PREDICTIONS = "small"  # keep the logits of every image that a run is tested on: small sets, all, none
    cfg.TEST.METRIC = "accuracy"  # selects the model under TEST.FINAL_MODEL best_val
    datasets.extend_cfg(cfg)


def get_cfg() -> CfgNode:
    """Dassl's defaults with this project's keys and CLIP's preprocessing; INPUT.SIZE (0, 0) means the backbone's."""
    cfg = get_cfg_default()
    extend_cfg(cfg)
    cfg.INPUT.SIZE = (0, 0)
    cfg.INPUT.INTERPOLATION = "bicubic"
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = list(PIXEL_MEAN), list(PIXEL_STD)
    cfg.INPUT.TRANSFORMS = ("random_resized_crop", "random_flip", "normalize")
    cfg.MODEL.BACKBONE.NAME = "demo"
    cfg.DATASET.NAME = "Digits"
    cfg.SEED = 1
    return cfg


def names_of_dassl() -> dict[str, list[str]]:
    """Row of `craft.config.keys` -> the names that the installed Dassl, and whoever extends it, has for it."""
    lists = {
        "INPUT.TRANSFORMS": (transforms, "AVAI_CHOICES"),
        "INPUT.INTERPOLATION": (transforms, "INTERPOLATION_MODES"),
        "OPTIM.NAME": (optimizer, "AVAI_OPTIMS"),
        "OPTIM.LR_SCHEDULER": (lr_scheduler, "AVAI_SCHEDS"),
    }  # names that another version of Dassl may lack
    found = {row: list(getattr(module, name)) for row, (module, name) in lists.items() if hasattr(module, name)}
    return {**found, "TEST.EVALUATOR": EVALUATOR_REGISTRY.registered_names()}


def absent_values(cfg: CfgNode) -> dict[str, Any]:
    """Key -> what a run like ``cfg`` effectively had where its record does not know the key, if not the default.

    To a trainer without Craft's terms their weights make no difference: there a missing one counts as that of ``cfg``.
    """
    trainer, flat = cfg.TRAINER.NAME, dict(keys.leaves(cfg))
    craft = structure_of(trainer) is not None and trainer != host_name(trainer)
    found = keys.absent_values(cfg)
    return {key: value if craft or ".CRAFT." not in key else flat[key] for key, value in found.items()}


def setup_cfg(options: argparse.Namespace) -> CfgNode:
    """The frozen configuration of a run. UserError for anything that does not exist or does not fit."""
    from craft.trainers.engine.variants import check_trainer

    return_keys(options)
    cfg = get_cfg()
    structure = structure_of(check_trainer(options.trainer)) if options.trainer else None
    own = configs() / "trainers" / (structure.name if structure else "")
    named = options.dataset_config_file or "digits"
    stock = None if isfile(named) else datasets.stock_yaml(named)
    dataset_file = stock or find(named, configs() / "datasets", "data set")
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
        ("DATASET.SOURCE_DOMAINS", _parts("DATASET.SOURCE_DOMAINS", options.source_domains)),
        ("DATASET.TARGET_DOMAINS", _parts("DATASET.TARGET_DOMAINS", options.target_domains)),
        ("INPUT.TRANSFORMS", _parts("INPUT.TRANSFORMS", options.transforms)),
        ("TRAINER.NAME", options.trainer),
        ("MODEL.BACKBONE.NAME", options.backbone),
        ("MODEL.HEAD.NAME", options.head),
    ):
        if value:
            _set(cfg, key, value)
    if options.seed is not None:
        cfg.SEED = options.seed
    merge_options(cfg, options.opts)
    check_trainer(cfg.TRAINER.NAME)
    datasets.enter_into_dassl()
    cfg.DATASET.NAME = datasets.reader_name(cfg.DATASET.NAME)
    keys.check(cfg, get_cfg(), names_of_dassl())
    if structure and (tuple(cfg.INPUT.PIXEL_MEAN), tuple(cfg.INPUT.PIXEL_STD)) == (PIXEL_MEAN, PIXEL_STD):
        # CLIP's stand in every published yaml: they mean the backbone's own.
        cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = map(list, pixel_statistics(cfg.MODEL.BACKBONE.NAME))
    if tuple(cfg.INPUT.SIZE) == (0, 0):
        own_size = (resolution(cfg.MODEL.BACKBONE.NAME),) * 2 if structure else get_cfg_default().INPUT.SIZE
        cfg.INPUT.SIZE = own_size
    if not cfg.OUTPUT_DIR or (options.output_dir == "" and cfg.OUTPUT_DIR == "./output"):
        domains = domains_label(cfg.DATASET)
        data = cfg.DATASET.NAME + (f"-{domains}" if domains else "")
        cfg.OUTPUT_DIR = f"output/{data}/{cfg.TRAINER.NAME}/seed{cfg.SEED}"
        if options.eval_only:  # beside the run that trained, never over it
            cfg.OUTPUT_DIR += "/evaluation"
    cfg.freeze()
    return cfg


def check_effect(cfg: CfgNode) -> None:
    """UserError for a key that would make no difference to this trainer or data set of ours, while its value says that
    somebody counts on it."""
    if structure_of(cfg.TRAINER.NAME) and cfg.MODEL.HEAD.NAME:
        raise UserError(
            f"MODEL.HEAD.NAME (--head) is {cfg.MODEL.HEAD.NAME}, but {cfg.TRAINER.NAME} has no head; leave it out"
        )
    reader = datasets.registry.READERS.get(cfg.DATASET.NAME)
    if reader is None or not reader.__module__.startswith("craft.datasets.readers."):
        return
    ignored = [] if issubclass(reader, ImageFolder) else ["PATH", "CLASSNAMES"]
    ignored += [] if reader.domains or issubclass(reader, ImageFolder) else ["SOURCE_DOMAINS", "TARGET_DOMAINS"]
    for key in ignored:
        if cfg.DATASET[key]:
            lacks = "has no domains" if key.endswith("DOMAINS") else "does not read it"
            raise UserError(f"DATASET.{key} is {show(cfg.DATASET[key])}, but {cfg.DATASET.NAME} {lacks}; leave it out")


def _parts(key: str, words: list[str] | None) -> tuple[str, ...]:
    """The values of an option of several words, each read as the value of ``key`` would be: ``a b``, ``a,b``, …"""
    try:
        return tuple(part for word in words or () for part in keys.rule_of(key).fit(word, ("",)))
    except ValueError as error:
        raise UserError(f"{key} is {show(words)}; it must be names, with spaces or commas between them") from error


def cfg_of_record(config: dict[str, Any]) -> CfgNode:
    """The configuration that a run's record holds, frozen; keys that this version does not have are left out."""
    cfg, known = get_cfg(), dict(keys.leaves(get_cfg()))
    for key, value in keys.leaves(CfgNode(config)):
        if key in known:
            _set(cfg, key, tuple(value) if isinstance(known[key], tuple) else value)
    cfg.freeze()
    return cfg


def _set(cfg: CfgNode, key: str, value) -> None:
    *path, last = key.split(".")
    for part in path:
        cfg = cfg[part]
    cfg[last] = value
