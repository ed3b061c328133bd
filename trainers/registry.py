"""One registration line a prompt structure; its Craft variants come with it.

`register_host` turns a `PromptLearner` into Dassl trainers ``H``, ``HCraft`` (TrainerX) and ``HCraftOOD`` (TrainerXU:
labelled source, unlabelled target) and enters them in Dassl's registry.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dassl.engine import TRAINER_REGISTRY

from common.errors import unknown
from trainers.base import PromptTrainer
from trainers.craft_trainer import CraftOODTrainer, CraftTrainer
from trainers.learner import PromptLearner

VARIANTS = {
    "": (PromptTrainer, ""),
    "Craft": (CraftTrainer, " + Craft: alignment through static and stochastic anchors"),
    "CraftOOD": (CraftOODTrainer, " + Craft with MMD in anchor space to an unlabelled target domain"),
}


@dataclass(frozen=True)
class Host:
    """What is known of a prompt structure outside its file.

    node, defaults: its config node ``cfg.TRAINER.<node>`` and the node's default values.
    """

    name: str
    node: str
    defaults: dict[str, Any] = field(repr=False)
    learner: type[PromptLearner] = field(repr=False)
    paper: str = ""
    summary: str = ""
    trainable: bool = True


HOSTS: dict[str, Host] = {}


def register_host(
    name: str, *, node: str, defaults: dict[str, Any], paper: str = "", summary: str = "", trainable: bool = True
):
    """Class decorator: make trainers ``name``, ``nameCraft`` and ``nameCraftOOD`` of a `PromptLearner`.

    A structure that is not ``trainable`` gets no Craft variants.
    """

    def decorate(learner: type[PromptLearner]) -> type[PromptLearner]:
        host = Host(name, node, dict(defaults), learner, paper, summary, trainable)
        learner.config_node = node
        HOSTS[name] = host
        for suffix, (base, _) in VARIANTS.items():
            if trainable or not suffix:
                members = {"host": host, "__doc__": summary + VARIANTS[suffix][1], "__module__": learner.__module__}
                TRAINER_REGISTRY.register()(type(name + suffix, (base,), members))
        return learner

    return decorate


def trainer_names() -> list[str]:
    """All trainers of this project, hosts in order of registration, each followed by its Craft variants."""
    return [host.name + suffix for host in HOSTS.values() for suffix in VARIANTS if host.trainable or not suffix]


def host_of(trainer: str) -> Host | None:
    """The host of a trainer's name; None for a trainer that is registered elsewhere (Dassl's own, a plug-in)."""
    for suffix in sorted(VARIANTS, key=len, reverse=True):
        if suffix and trainer.endswith(suffix) and trainer[: -len(suffix)] in HOSTS:
            return HOSTS[trainer[: -len(suffix)]]
    return HOSTS.get(trainer)


def check_trainer(name: str) -> str:
    """``name`` if Dassl's registry knows it; UserError with the nearest names otherwise."""
    known = TRAINER_REGISTRY.registered_names()
    if name not in known:
        raise unknown("trainer", name, [*trainer_names(), *known])
    return name


def describe() -> str:
    """One line a trainer: name and what it learns."""
    width = max(map(len, trainer_names()))
    return "\n".join(f"{name:<{width}}  {TRAINER_REGISTRY.get(name).__doc__}" for name in trainer_names())
