"""Dassl trainers made of prompt structures, and entered into Dassl's registry."""

from __future__ import annotations

import functools

from dassl.engine import TRAINER_REGISTRY

from craft.common.errors import unknown
from craft.trainers.engine.craft_trainer import CraftOODTrainer, CraftTrainer
from craft.trainers.engine.hooks import with_hooks
from craft.trainers.engine.prompt_trainer import PromptTrainer
from craft.trainers.structures import VARIANTS, Structure, structure_of, trainer_names

BASES = {"": PromptTrainer, "Craft": CraftTrainer, "CraftOOD": CraftOODTrainer}


@functools.cache
def trainer_class(structure: Structure, suffix: str) -> type:
    """The Dassl trainer of a structure and a suffix of `VARIANTS`; not registered here."""
    members = {
        "structure": structure,
        "__doc__": structure.summary + VARIANTS[suffix],
        "__module__": structure.load().__module__,
    }
    return type(structure.name + suffix, (BASES[suffix],), members)


def enter(structure: Structure) -> list[str]:
    """Enter the structure's trainers ``H``, ``HCraft`` (TrainerX) and ``HCraftOOD`` (TrainerXU), once.

    Returns the names under which Dassl knows somebody else's trainer, which stays (a CoOp checkout has a ``CoOp``).
    """
    taken = []
    for suffix in structure.suffixes:
        name, ours = structure.name + suffix, trainer_class(structure, suffix)
        if name not in TRAINER_REGISTRY.registered_names():
            TRAINER_REGISTRY.register()(ours)
        elif TRAINER_REGISTRY.get(name) is not ours:
            taken.append(name)
    return taken


def check_trainer(name: str) -> str:
    """``name`` if it is a trainer of this project or one that Dassl's registry knows; else UserError, nearest names."""
    if structure_of(name) is None and name not in TRAINER_REGISTRY.registered_names():
        raise unknown("trainer", name, [*trainer_names(), *TRAINER_REGISTRY.registered_names()])
    return name


def build(cfg, evaluate: bool = False):
    """The trainer that ``cfg.TRAINER.NAME`` names, built, with `EpochHooks`.

    To evaluate learned prompts nothing of Craft is needed, neither anchors nor unlabelled images: the plain structure
    is built, under the same configuration.
    """
    name = check_trainer(cfg.TRAINER.NAME)
    structure = structure_of(name)
    if structure is None:
        trainer = TRAINER_REGISTRY.get(name)
    else:
        trainer = trainer_class(structure, "" if evaluate else name.removeprefix(structure.name))
    if cfg.VERBOSE:
        print(f"Loading trainer: {name}")
    return with_hooks(trainer)(cfg)
