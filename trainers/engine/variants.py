"""Dassl trainers made of prompt structures, and entered into Dassl's registry."""

from __future__ import annotations

from dassl.engine import TRAINER_REGISTRY

from craft.common.errors import unknown
from craft.trainers.engine.craft_trainer import CraftOODTrainer, CraftTrainer
from craft.trainers.engine.hooks import with_hooks
from craft.trainers.engine.prompt_trainer import PromptTrainer
from craft.trainers.structures import VARIANTS, Structure, structure_of, trainer_names

BASES = {"": PromptTrainer, "Craft": CraftTrainer, "CraftOOD": CraftOODTrainer}


def enter(structure: Structure) -> None:
    """Enter the structure's trainers ``H``, ``HCraft`` (TrainerX) and ``HCraftOOD`` (TrainerXU), once."""
    learner = structure.load()
    entered = TRAINER_REGISTRY.registered_names()
    for suffix in structure.suffixes:
        if structure.name + suffix not in entered:
            members = {
                "structure": structure,
                "__doc__": structure.summary + VARIANTS[suffix],
                "__module__": learner.__module__,
            }
            TRAINER_REGISTRY.register()(type(structure.name + suffix, (BASES[suffix],), members))


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
    if structure is not None:
        enter(structure)
        name = structure.name if evaluate else name
    if cfg.VERBOSE:
        print(f"Loading trainer: {cfg.TRAINER.NAME}")
    return with_hooks(TRAINER_REGISTRY.get(name))(cfg)
