"""The table of configuration keys: for each, what it may hold. Checked once, before data or weights are touched.

A row is a key or a pattern of keys (``TRAINER.*.PREC``); a key of its own goes before a pattern, and a pattern before
those below it. A new key needs a row; only the nodes of trainers that are not ours go by type alone. Names that Dassl
registers are handed to `check`, so that upstream's and other people's are valid where they exist.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from craft.common.errors import UserError, nearest
from craft.config.rules import Rule

ANY = Rule()  # of the default's type; numbers are finite
COUNT = Rule(low=0)
SHARE = Rule(low=0, high=1)
OFF_OR_COUNT = Rule(low=-1)  # -1, and where Dassl says so 0: all, none or never
RATE = Rule(low=0)
PLACE = Rule(volatile=True)  # where something lies, or what is said: no number depends on it

TRANSFORMS = (
    *("random_translation", "random_crop", "random_resized_crop", "random_flip", "center_crop"),
    *("imagenet_policy", "cifar10_policy", "svhn_policy", "randaugment", "randaugment_fixmatch", "randaugment2"),
    *("colorjitter", "randomgrayscale", "gaussian_blur", "gaussian_noise", "cutout", "normalize", "instance_norm"),
)
SAMPLERS = ("RandomSampler", "SequentialSampler", "RandomDomainSampler", "SeqDomainSampler", "RandomClassSampler")

RULES: dict[str, Rule] = {
    "VERSION": PLACE,
    "OUTPUT_DIR": PLACE,
    "RESUME": PLACE,
    "SEED": Rule(low=-1, high=2**32 - 1),  # NumPy takes no larger one; -1, as in Dassl: none
    "USE_CUDA": ANY,
    "VERBOSE": PLACE,
    # -- images
    "INPUT.SIZE": Rule(low=0, length=2),  # (0, 0): the backbone's
    "INPUT.INTERPOLATION": Rule(choices=("bilinear", "bicubic", "nearest")),
    "INPUT.TRANSFORMS": Rule(choices=TRANSFORMS, each=str),
    "INPUT.NO_TRANSFORM": ANY,
    "INPUT.PIXEL_MEAN": Rule(length=3),
    "INPUT.PIXEL_STD": Rule(above=0, length=3),
    "INPUT.CROP_PADDING": COUNT,
    "INPUT.RRCROP_SCALE": Rule(low=0, high=1, length=2, rising=True),
    "INPUT.CUTOUT_*": COUNT,
    "INPUT.GN_MEAN": ANY,
    "INPUT.GN_STD": COUNT,
    "INPUT.RANDAUGMENT_N": COUNT,
    "INPUT.RANDAUGMENT_M": Rule(low=0, high=30),
    "INPUT.COLORJITTER_H": Rule(low=0, high=0.5),
    "INPUT.COLORJITTER_*": COUNT,
    "INPUT.RGS_P": SHARE,
    "INPUT.GB_P": SHARE,
    "INPUT.GB_K": Rule(low=1, odd=True),
    # -- data
    "DATASET.ROOT": PLACE,  # what is found there is compared, see craft.runs.identity
    "DATASET.NAME": ANY,  # the registry knows
    "DATASET.*_DOMAINS": Rule(each=str),
    "DATASET.NUM_LABELED": OFF_OR_COUNT,
    "DATASET.NUM_SHOTS": OFF_OR_COUNT,  # 0, too: all
    "DATASET.VAL_PERCENT": SHARE,
    "DATASET.STL10_FOLD": Rule(low=-1, high=9),
    "DATASET.CIFAR_C_TYPE": ANY,
    "DATASET.CIFAR_C_LEVEL": Rule(low=1, high=5),
    "DATASET.ALL_AS_UNLABELED": ANY,
    "DATASET.SUBSAMPLE_CLASSES": Rule(choices=("all", "base", "new")),
    "DATASET.SHOTS_PER": Rule(choices=("class", "group")),
    "DATASET.SHOTS_FRACTION": SHARE,
    "DATASET.SHOTS_PRIOR": Rule(choices=("balanced", "natural")),
    "DATASET.SHOTS_VAL": Rule(choices=("min4", "as_train", "all", "none")),
    "DATASET.FEWSHOT_FILE": ANY,
    "DATASET.TEMPLATE": ANY,
    "DATASET.PATH": ANY,
    "DATASET.CLASSNAMES": ANY,
    "DATASET.ALLOW_SUBSET": PLACE,  # a permission
    "DATASET.BAD_IMAGES": Rule(choices=("error", "skip")),
    "DATASET.CACHE_DIR": PLACE,
    "DATASET.UNLABELED": Rule(choices=("train", "release")),
    "DATASET.NUM_UNLABELED": OFF_OR_COUNT,
    "DATALOADER.NUM_WORKERS": Rule(low=0, volatile=True),  # what is drawn for an image comes with its index
    "DATALOADER.K_TRANSFORMS": Rule(low=1),
    "DATALOADER.RETURN_IMG0": ANY,
    "DATALOADER.IMAGE_CACHE_MB": Rule(low=0, volatile=True),
    "DATALOADER.*.SAMPLER": Rule(choices=SAMPLERS),
    "DATALOADER.*.BATCH_SIZE": Rule(low=1),
    "DATALOADER.*.N_DOMAIN": OFF_OR_COUNT,
    "DATALOADER.*.N_INS": Rule(low=1),
    "DATALOADER.TRAIN_U.SAME_AS_X": ANY,
    # -- model
    "MODEL.INIT_WEIGHTS": ANY,
    "MODEL.BACKBONE.NAME": ANY,
    "MODEL.BACKBONE.PRETRAINED": ANY,
    "MODEL.HEAD.NAME": ANY,
    "MODEL.HEAD.HIDDEN_LAYERS": Rule(low=1, each=int),
    "MODEL.HEAD.ACTIVATION": ANY,
    "MODEL.HEAD.BN": ANY,
    "MODEL.HEAD.DROPOUT": SHARE,
    # -- optimiser and schedule
    "OPTIM.NAME": Rule(choices=("adam", "amsgrad", "sgd", "rmsprop", "radam", "adamw")),
    "OPTIM.LR": RATE,
    "OPTIM.WEIGHT_DECAY": RATE,
    "OPTIM.MOMENTUM": Rule(low=0, below=1),
    "OPTIM.SGD_DAMPNING": RATE,
    "OPTIM.SGD_NESTEROV": ANY,
    "OPTIM.RMSPROP_ALPHA": SHARE,
    "OPTIM.ADAM_BETA*": Rule(low=0, below=1),
    "OPTIM.STAGED_LR": ANY,
    "OPTIM.NEW_LAYERS": Rule(each=str),
    "OPTIM.BASE_LR_MULT": RATE,
    "OPTIM.LR_SCHEDULER": Rule(choices=("single_step", "multi_step", "cosine")),
    "OPTIM.STEPSIZE": Rule(low=-1),
    "OPTIM.GAMMA": RATE,
    "OPTIM.MAX_EPOCH": COUNT,
    "OPTIM.WARMUP_EPOCH": OFF_OR_COUNT,
    "OPTIM.WARMUP_TYPE": Rule(choices=("linear", "constant")),
    "OPTIM.WARMUP_*_LR": RATE,
    "OPTIM.WARMUP_RECOUNT": ANY,
    # -- training and testing
    "TRAIN.CHECKPOINT_FREQ": Rule(low=-1, volatile=True),
    "TRAIN.CHECKPOINT_STEPS": Rule(low=0, volatile=True),
    "TRAIN.PRINT_FREQ": Rule(low=1, volatile=True),
    "TRAIN.COUNT_ITER": Rule(choices=("train_x", "train_u", "smaller_one")),
    "TEST.EVALUATOR": ANY,
    "TEST.PER_CLASS_RESULT": ANY,
    "TEST.COMPUTE_CMAT": ANY,
    "TEST.NO_TEST": ANY,
    "TEST.SPLIT": Rule(choices=("test", "val")),
    "TEST.FINAL_MODEL": Rule(choices=("last_step", "best_val")),
    "TEST.CACHE_FEATURES": PLACE,
    "TEST.PREDICTIONS": Rule(choices=("small", "all", "none"), volatile=True),
    "TEST.METRIC": ANY,  # the evaluator knows, once it has seen the data
    # -- trainers
    "TRAINER.NAME": ANY,  # the registry knows
    "TRAINER.TEXT_CHUNK": COUNT,
    "TRAINER.COMPILE": ANY,
    "TRAINER.*.PREC": Rule(choices=("fp32", "fp16", "amp", "amp_bf16")),
    "TRAINER.*.CTX_INIT": ANY,
    "TRAINER.*.CSC": ANY,
    "TRAINER.*.CLASS_TOKEN_POSITION": Rule(choices=("end", "middle", "front")),
    "TRAINER.*.N_CTX": Rule(low=1),
    "TRAINER.*.N_CTX_*": COUNT,  # 0 only for a tower of depth 0, see _together
    "TRAINER.MAPLE.PROMPT_DEPTH": Rule(low=1),
    "TRAINER.VPT.PROMPT_DEPTH_VISION": Rule(low=1),
    "TRAINER.*.PROMPT_DEPTH*": COUNT,  # the backbone knows how deep it is
    "TRAINER.KGCOOP.W": RATE,
    "TRAINER.PROMPTSRC.*_LOSS_WEIGHT": RATE,
    "TRAINER.PROMPTSRC.GPA_MEAN": ANY,
    "TRAINER.PROMPTSRC.GPA_STD": Rule(above=0),
    # -- Craft
    "TRAINER.CRAFT.*_WEIGHT": Rule(low=0, absent=0.0),  # who did not know a term trained without it
    "TRAINER.CRAFT.ANCHORS_PER_CLASS": Rule(low=1),
    "TRAINER.CRAFT.BATCH_TEXT": Rule(choices=("learned", "template")),
    "TRAINER.CRAFT.TARGETS": Rule(choices=("class", "index")),
    "TRAINER.CRAFT.SYMMETRIC": ANY,
    "TRAINER.CRAFT.MMD_VARIANCES": Rule(above=0, each=float),
    "TRAINER.CRAFT.MMD_MULTIPLES": Rule(above=0, each=float),
    "TRAINER.CRAFT.MMD_UNBIASED": ANY,
    "TRAINER.CRAFT.MMD_NORMALIZE": Rule(choices=("none", "minmax")),
    "TRAINER.CRAFT.MMD_ANCHORS": Rule(choices=("text", "image", "both")),
    "TRAINER.CRAFT.GROUP_MMD": ANY,
}

#: context lengths in place of which the words of CTX_INIT count, where there are any
WORDS_DECIDE = ("TRAINER.COOP.N_CTX", "TRAINER.COCOOP.N_CTX", "TRAINER.KGCOOP.N_CTX")
#: what the stars stand for outside the nodes of trainers, so that the nearest keys can be named before torch is loaded
STARS = {
    "INPUT.CUTOUT_*": ("N", "LEN"),
    "INPUT.COLORJITTER_*": ("B", "C", "S", "H"),
    "DATASET.*_DOMAINS": ("SOURCE", "TARGET"),
    "DATALOADER.*.SAMPLER": ("TRAIN_X", "TRAIN_U", "TEST"),
    "DATALOADER.*.BATCH_SIZE": ("TRAIN_X", "TRAIN_U", "TEST"),
    "DATALOADER.*.N_DOMAIN": ("TRAIN_X", "TRAIN_U"),
    "DATALOADER.*.N_INS": ("TRAIN_X", "TRAIN_U"),
    "OPTIM.ADAM_BETA*": ("1", "2"),
    "OPTIM.WARMUP_*_LR": ("CONS", "MIN"),
}


@functools.cache
def names() -> tuple[str, ...]:
    """Every key but those of trainers' nodes, which only the trainers' own files know."""
    found = {key.replace("*", name): None for key in RULES for name in STARS.get(key, ("*",))}
    return tuple(key for key in found if "*" not in key and not (key.startswith("TRAINER.") and key.count(".") > 1))


def check_keys(options: Sequence[str]) -> None:
    """UserError for the first key of ``KEY VALUE`` pairs that certainly does not exist; loads nothing.

    Whether a key of a trainer's node exists is seen when the pairs are merged.
    """
    for key in options[::2]:
        owned = key.startswith("TRAINER.") and key.count(".") > 1
        group = any(name.startswith(f"{key}.") for name in RULES)
        if not (owned or group or key.startswith("-")) and row(key) is None:
            raise UserError(
                f"unknown key {key if key.isprintable() else repr(key)}; did you mean: {nearest(key, names())}?"
            )


@functools.cache
def row(key: str) -> str | None:
    """The row of the table that a key falls under; None where there is none."""
    if key in RULES:
        return key
    return next((pattern for pattern in RULES if "*" in pattern and fnmatch.fnmatchcase(key, pattern)), None)


def rule_of(key: str) -> Rule:
    """What a key may hold; one without a row only has the type of its default."""
    return RULES.get(row(key) or "", ANY)


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``("OPTIM.LR", 0.002), …`` of a nested configuration."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def check(cfg: Mapping, defaults: Mapping, choices: Mapping[str, Iterable[str]] | None = None) -> None:
    """UserError for the first key of a nested configuration that holds what it may not.

    defaults: the same keys with their defaults, which give the types. choices: row of the table -> the names that there
    are, in place of those in the table.
    """
    flat, usual = dict(leaves(cfg)), dict(leaves(defaults))
    for key, value in flat.items():
        rule, like = rule_of(key), usual.get(key)
        names = (choices or {}).get(row(key) or "")
        if names is not None:
            rule = dataclasses.replace(rule, choices=tuple(names))
        if value != like and not rule.allows(value, like):  # somebody's default may be infinite
            raise UserError(f"{key} is {rule.complaint(value, like)}")
    for complaint in _together(flat, usual):
        raise UserError(complaint)


def _together(flat: Mapping[str, Any], usual: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong between keys that are each right. usual: their defaults."""
    size = flat.get("INPUT.SIZE", ())
    if 0 in size and any(size):
        yield f'INPUT.SIZE is {tuple(size)}; it must be two numbers above 0, or "(0, 0)" for the size of the backbone'
    sgd = flat.get("OPTIM.NAME") == "sgd" and flat["OPTIM.SGD_NESTEROV"]
    if sgd and (not flat["OPTIM.MOMENTUM"] or flat["OPTIM.SGD_DAMPNING"]):
        yield "OPTIM.SGD_NESTEROV needs an OPTIM.MOMENTUM above 0 and OPTIM.SGD_DAMPNING 0"
    for key, value in flat.items():
        if key.endswith(".CSC") and value and flat.get(key[:-3] + "CTX_INIT"):
            yield (
                f"{key} asks for a context a class, but {key[:-3]}CTX_INIT gives one in words for all of them; set "
                'CTX_INIT "" or CSC False'
            )
        if key in WORDS_DECIDE and value != usual.get(key):
            words = flat.get(key[:-5] + "CTX_INIT", "").split()
            if words and len(words) != value:
                yield (
                    f"{key} is {value}, but {key[:-5]}CTX_INIT gives {len(words)} words, which decide; set CTX_INIT "
                    f'"" or N_CTX {len(words)}'
                )
        head, found, tower = key.partition(".N_CTX_")
        depth = flat.get(f"{head}.PROMPT_DEPTH_{tower}", 1)
        if found and value == 0 and depth != 0:
            yield f"{key} is 0, but PROMPT_DEPTH_{tower} {depth} asks for prompts in that tower; set it to 1 or more"


def absent_values(defaults: Mapping) -> dict[str, Any]:
    """Key -> what a run made before the key existed effectively had, for keys where that is not the default."""
    rules = {key: rule_of(key) for key, _ in leaves(defaults)}
    return {key: rule.absent for key, rule in rules.items() if rule.absent is not None}
