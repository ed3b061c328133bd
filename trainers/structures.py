"""Which prompt structures there are, and the trainers that come of each. Loads neither torch nor Dassl.

A structure ``H`` that learns gives three trainers: ``H``, ``HCraft`` and ``HCraftOOD`` (`VARIANTS`). Adding one takes
its file and its entry here; a structure of another repository calls `register`.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from craft.common.errors import UserError, unknown

if TYPE_CHECKING:
    from craft.prompts.learner import PromptLearner

#: suffix of a trainer's name -> what it adds to the structure
VARIANTS = {
    "": "",
    "Craft": " + Craft: alignment through static and stochastic anchors",
    "CraftOOD": " + Craft with MMD in anchor space to an unlabelled target domain",
}


@dataclass(frozen=True)
class Structure:
    """What is known of a prompt structure outside its file.

    learner: its `craft.prompts.learner.PromptLearner`, or where that is: ``"package.module:Class"``, imported when it
    is first needed. node: its config node ``cfg.TRAINER.<node>``. trainable: whether it learns anything; without that
    it has no Craft variants.
    """

    name: str
    learner: type[PromptLearner] | str = field(repr=False)
    node: str
    paper: str = ""
    summary: str = ""
    trainable: bool = True

    def load(self) -> type[PromptLearner]:
        """The learner's class. UserError where it cannot be imported."""
        learner = self.learner
        if isinstance(learner, str):
            module, _, name = learner.partition(":")
            try:
                learner = getattr(importlib.import_module(module), name)
            except (ImportError, AttributeError) as error:
                raise UserError(f"prompt structure {self.name}: cannot import {self.learner} ({error})") from error
        learner.config_node = self.node  # for messages that name a key
        return learner

    @property
    def defaults(self) -> dict[str, Any]:
        """The default values of its config node."""
        return self.load().defaults

    @property
    def suffixes(self) -> tuple[str, ...]:
        return tuple(VARIANTS) if self.trainable else ("",)


STRUCTURES: dict[str, Structure] = {}  # in the order of tables


def register(structure: Structure) -> Structure:
    """Make a structure known to every command. UserError for a name or config node that is taken."""
    for known in STRUCTURES.values():
        if known != structure and (known.name == structure.name or known.node == structure.node):
            taken = f"name {known.name}" if known.name == structure.name else f"config node {known.node}"
            raise UserError(f"prompt structure {structure.name}: the {taken} is taken; choose another")
    STRUCTURES[structure.name] = structure
    return structure


for _structure in (
    Structure(
        "ZeroshotCLIP",
        "craft.trainers.zeroshot:ZeroshotCLIPLearner",
        node="ZEROSHOTCLIP",
        paper="arXiv 2103.00020",
        summary="CLIP with hand-written texts; nothing is learned",
        trainable=False,
    ),
    Structure(
        "CoOp",
        "craft.trainers.coop:CoOpLearner",
        node="COOP",
        paper="arXiv 2109.01134",
        summary="context vectors of the text, shared by all classes or one set a class",
    ),
    Structure(
        "CoCoOp",
        "craft.trainers.cocoop:CoCoOpLearner",
        node="COCOOP",
        paper="arXiv 2203.05557",
        summary="context vectors plus a network that shifts them by each image's features",
    ),
    Structure(
        "KgCoOp",
        "craft.trainers.kgcoop:KgCoOpLearner",
        node="KGCOOP",
        paper="arXiv 2303.13283",
        summary="context vectors whose texts stay near the hand-written ones",
    ),
    Structure(
        "VPT",
        "craft.trainers.vpt:VPTLearner",
        node="VPT",
        paper="arXiv 2203.12119",
        summary="tokens of the image tower, shallow or deep; texts stay hand-written",
    ),
    Structure(
        "IVLP",
        "craft.trainers.ivlp:IVLPLearner",
        node="IVLP",
        paper="arXiv 2210.03117",
        summary="independent tokens of both towers, of any depth; depth 0 leaves a tower unprompted",
    ),
    Structure(
        "MaPLe",
        "craft.trainers.maple:MaPLeLearner",
        node="MAPLE",
        paper="arXiv 2210.03117",
        summary="deep text tokens, and their learned projections as tokens of the image tower",
    ),
    Structure(
        "PromptSRC",
        "craft.trainers.promptsrc:PromptSRCLearner",
        node="PROMPTSRC",
        paper="arXiv 2307.06948",
        summary="independent tokens of both towers, held near the frozen CLIP, averaged over epochs",
    ),
):
    register(_structure)


def trainer_names() -> list[str]:
    """All trainers, structures in their order, each followed by its Craft variants."""
    return [structure.name + suffix for structure in STRUCTURES.values() for suffix in structure.suffixes]


def structure_of(trainer: str) -> Structure | None:
    """The structure of a trainer's name; None for a trainer that is none of these (Dassl's own, somebody's)."""
    for suffix in sorted(VARIANTS, key=len, reverse=True):
        found = STRUCTURES.get(trainer.removesuffix(suffix)) if trainer.endswith(suffix) else None
        if found and suffix in found.suffixes:
            return found
    return None


def host_name(trainer: str) -> str:
    """``CoOp`` of ``CoOpCraftOOD``: the name without Craft's suffix, whether such a structure is known or not."""
    ends = sorted(filter(None, VARIANTS), key=len, reverse=True)
    return next((trainer.removesuffix(end) for end in ends if trainer.endswith(end)), trainer)


def known_structure(trainer: str) -> Structure:
    """The structure of a trainer's name; UserError with the nearest names where there is none."""
    found = structure_of(trainer)
    if found is None:
        raise unknown("trainer", trainer, trainer_names())
    return found


def describe() -> str:
    """One line a trainer: name and what it learns."""
    width = max(map(len, trainer_names()))
    return "\n".join(
        f"{structure.name + suffix:<{width}}  {structure.summary}{VARIANTS[suffix]}"
        for structure in STRUCTURES.values()
        for suffix in structure.suffixes
    )
