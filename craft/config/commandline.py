"""The options that every command which takes a run's settings has in common: CoOp's."""

from __future__ import annotations

import argparse
import re

from craft.common import imports
from craft.common.arguments import Parser, whole
from craft.common.errors import UserError


def parser(
    description: str, prog: str = "craft train", default_trainer: str = "", data_only: bool = False
) -> argparse.ArgumentParser:
    """CoOp's options, for every command that takes a run's settings. data_only: those that say which images are read
    and how, for a command that trains nothing and has no folder of a run."""
    out = Parser(prog, description=description)
    add = out.add_argument
    more = add if not data_only else lambda name, default=None, **_: out.set_defaults(**{_dest(name): default})
    add("--root", default="", help="folder that holds the data sets")
    more("--output-dir", default="", help="folder of this run (default: output/<dataset>/<trainer>/seed<N>)")
    more("--resume", default="", metavar="DIR", help="go on from the state that an interrupted run left in DIR")
    add("--seed", type=whole(-1, 2**32 - 1), default=None, help="seed of everything random, 0 included (default: 1)")
    add("--source-domains", nargs="+", metavar="NAME", help="labelled domains to train on")
    add("--target-domains", nargs="+", metavar="NAME", help="domains to test on; unlabelled ones of *CraftOOD")
    add("--transforms", nargs="+", metavar="NAME", help="training transforms, by Dassl's names")
    add("--config-file", default="", help="yaml of the trainer; a bare name is looked up in configs/trainers/<host>")
    add("--dataset-config-file", default="", help="yaml of the data set; a bare name is looked up in configs/datasets")
    add("--trainer", default=default_trainer, help="name of the trainer; Help lists them")
    add("--backbone", default="", help="ViT-B/16, ViT-B/32, ViT-L/14, RN50, RN101, a weight file, or demo")
    more("--head", default="", help="name of the head, for Dassl's own trainers")
    more("--eval-only", default=False, action="store_true", help="evaluate only, with the prompts in --model-dir")
    more("--model-dir", default="", help="output folder of the training run, for --eval-only")
    more("--load-epoch", type=whole(1), help="epoch to load for --eval-only (default: the last)")
    more("--no-train", default=False, action="store_true", help="build everything, do not train")
    more("--force", default=False, action="store_true", help="replace whatever run the output folder holds")
    imports.add_option(out)
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="any configuration key, e.g. OPTIM.MAX_EPOCH 5")
    return out


def _dest(option: str) -> str:
    return option.strip("-").replace("-", "_")


def check_together(options: argparse.Namespace) -> None:
    """UserError for options of `parser` that would have no effect beside the others."""
    if not options.eval_only:
        for name, given in (("--model-dir", options.model_dir), ("--load-epoch", options.load_epoch)):
            if given:
                raise UserError(f"{name} says what --eval-only evaluates; add --eval-only, or leave {name} out")
    if options.load_epoch and not options.model_dir:
        raise UserError("--load-epoch is an epoch of the run in --model-dir; give that too")
    if options.eval_only and options.resume:
        raise UserError("--resume is for training, --eval-only trains nothing; leave one of them out")
    if options.eval_only and options.no_train:
        raise UserError("--eval-only and --no-train are two things; leave one of them out")


def return_keys(options: argparse.Namespace) -> None:
    """Give back ``KEY VALUE`` pairs that an option of several values before them has swallowed."""
    for name in ("source_domains", "target_domains", "transforms"):
        values = getattr(options, name) or []
        cut = next((i for i, value in enumerate(values) if re.fullmatch(r"[A-Z_]+(\.[A-Z0-9_]+)+", value)), len(values))
        if cut < len(values):
            setattr(options, name, values[:cut])
            options.opts = values[cut:] + options.opts
