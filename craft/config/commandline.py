"""The options that every command which takes a run's settings has in common: CoOp's."""

from __future__ import annotations

import argparse
import re

from craft.common import imports
from craft.common.errors import nearest


class _Parser(argparse.ArgumentParser):
    """Answers a misspelt option with the nearest ones instead of the whole usage."""

    def error(self, message: str):
        wrong = next((word for word in message.split() if word.startswith("--")), None)
        if message.startswith("unrecognized") and wrong:
            self.exit(
                2, f"error: unknown option {wrong}; did you mean: {nearest(wrong, self._option_string_actions)}?\n"
            )
        super().error(message)


def parser(description: str, prog: str = "craft train", default_trainer: str = "") -> argparse.ArgumentParser:
    """CoOp's options, for every command that takes a run's settings."""
    out = _Parser(
        prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
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
    imports.add_option(out)
    add("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="any configuration key, e.g. OPTIM.MAX_EPOCH 5")
    return out


def return_keys(options: argparse.Namespace) -> None:
    """Give back ``KEY VALUE`` pairs that an option of several values before them has swallowed."""
    for name in ("source_domains", "target_domains", "transforms"):
        values = getattr(options, name) or []
        cut = next((i for i, value in enumerate(values) if re.fullmatch(r"[A-Z_]+(\.[A-Z0-9_]+)+", value)), len(values))
        if cut < len(values):
            setattr(options, name, values[:cut])
            options.opts = values[cut:] + options.opts
