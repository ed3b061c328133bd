"""One measurement, made in the process that calls: times of one path on one case, the machine's rate, or the check.

Every function takes a specification (a dict of plain values, so that it can travel to a process of its own) and
returns a dict of plain values. Times are in seconds, memory in bytes.
"""

from __future__ import annotations

import functools
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from craft.clip import Backbone, load_backbone
from craft.clip.openai import OpenAIBackbone, count_tokens
from craft.clip.products import linear, onednn_is_faster
from craft.common.errors import UserError, unknown
from craft.common.memory import peak
from craft.lab.bench import flops, loading, machine, plain
from craft.lab.bench.clock import LONG, repeat, summary
from craft.lab.bench.names import class_names
from craft.objective import CraftTerms, Step
from craft.prompts.learner import PromptLearner
from craft.terms import defaults
from craft.trainers.structures import STRUCTURES

TEMPLATE = "a photo of a {}."
LOSSES, GRADIENTS = 1e-5, 1e-4  # differences, relative to the largest entry, that float32 rounding may cause
LOGITS = 1e-4  # absolute


class PathsDiffer(UserError):
    """Both paths should be one function, and are not: no time means anything."""


@dataclass
class Case:
    """A trainer over ``classes`` classes, and images for it."""

    backbone: Backbone
    learner: Any  # a PromptLearner, of which the plain path reads the parameters by their names
    craft: CraftTerms
    draw: torch.Generator

    @classmethod
    def build(cls, spec: dict[str, Any], backbone: Backbone | None = None) -> Case:
        from yacs.config import CfgNode

        backbone = backbone or load_backbone(spec["backbone"])
        if not isinstance(backbone, OpenAIBackbone):
            raise UserError(f"backbone {backbone.name!r} has no plain path: choose one of OpenAI's form")
        learner = build_learner(backbone, spec)
        draw = torch.Generator().manual_seed(1)
        anchors = torch.randn(spec["classes"], backbone.embed_dim, generator=draw)
        craft = CraftTerms(CfgNode(defaults()), learner, anchors, torch.arange(spec["classes"]))
        return cls(backbone, learner, craft, draw)

    def images(self, count: int) -> Tensor:
        side = self.backbone.resolution
        return torch.randn(count, 3, side, side, generator=self.draw)

    def labels(self, count: int) -> Tensor:
        return torch.randint(len(self.learner.classnames), (count,), generator=self.draw)

    def our_terms(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """As `craft.trainers.engine.craft_trainer.CraftTrainer` computes them."""
        out = self.learner(images)
        return self.learner.loss_terms(out, images, labels) | self.craft(Step(out, labels))

    def our_logits(self, images: Tensor) -> Tensor:
        return self.learner(images).logits


def host_of(trainer: str):
    """The host of a Craft trainer that the plain path knows; UserError otherwise."""
    known = {f"{host.name}Craft": host for host in STRUCTURES.values() if host.node in plain.STRUCTURES}
    if trainer not in known:
        raise unknown("trainer for the benchmark", trainer, known)
    return known[trainer]


def build_learner(backbone: Backbone, spec: dict[str, Any]) -> PromptLearner:
    """The learner with its published settings (its host's defaults), on the first so many class names."""
    from yacs.config import CfgNode

    host = host_of(spec["trainer"])
    torch.manual_seed(0)
    node = CfgNode(dict(host.defaults))
    for key in ("PROMPT_DEPTH", "PROMPT_DEPTH_TEXT", "PROMPT_DEPTH_VISION"):
        if key in node:  # backbones smaller than CLIP's have fewer layers
            node[key] = min(node[key], backbone.text_depth, backbone.vision_depth or backbone.text_depth)
    return host.load()(backbone, class_names(spec["classes"]), node, TEMPLATE).float()


# -- the check ----------------------------------------------------------------------------------------------------


def _compare(what: str, ours: Tensor, expected: Tensor, relative: float, absolute: float = 0.0) -> float:
    """The largest difference relative to the largest expected entry; PathsDiffer where it exceeds the tolerance."""
    size = expected.abs().max().item()
    difference = (ours - expected).abs().max().item()
    if not difference <= relative * size + absolute:  # NaN fails too
        raise PathsDiffer(
            f"{what}: the fast path differs from the plain path by {difference:.2g}, values are up to {size:.2g}; "
            "nothing was timed"
        )
    return difference / size if size else 0.0


def check(spec: dict[str, Any]) -> dict[str, Any]:
    """Both paths on the same parameters and images: loss terms, gradients of all parameters, logits in eval mode.

    PromptSRC's text target is compared too. Returns the largest relative differences; raises PathsDiffer.
    """
    case = Case.build(spec)
    learner, name = case.learner, f"{spec['trainer']} at {spec['classes']} classes"
    found = {"target": 0.0}
    target = None
    if hasattr(learner, "target") and spec.get("check_target", True):
        target = plain.teacher_target(case.backbone.module, learner.classnames, learner.teacher_templates)
        found["target"] = _compare(f"{name}, text target", learner.target, target, 1e-4)
    path = plain.PlainPath(case.backbone.module, learner, case.craft, target)
    images, labels = case.images(spec["batch"]), case.labels(spec["batch"])
    learner.train()
    both = []
    for terms in (case.our_terms(images, labels), path.terms(images, labels)):
        learner.zero_grad(set_to_none=True)
        functools.reduce(torch.add, terms.values()).backward()
        gradients = {key: None if p.grad is None else p.grad.clone() for key, p in learner.named_parameters()}
        both.append(({key: term.detach() for key, term in terms.items()}, gradients))
    (our_terms, our_gradients), (terms, gradients) = both
    if set(our_terms) != set(terms):
        raise PathsDiffer(f"{name}: the fast path has the terms {sorted(our_terms)}, the plain path {sorted(terms)}")
    found["losses"] = max(
        _compare(f"{name}, loss {key}", our_terms[key], value, LOSSES, LOSSES) for key, value in terms.items()
    )
    found["gradients"] = 0.0
    for key, expected in gradients.items():
        ours = our_gradients[key]
        if (ours is None) != (expected is None):
            raise PathsDiffer(f"{name}, {key}: only one of the paths gives it a gradient")
        if ours is not None and expected is not None:
            difference = _compare(f"{name}, gradient of {key}", ours, expected, GRADIENTS)
            found["gradients"] = max(found["gradients"], difference)
    learner.eval()
    with torch.no_grad():
        found["logits"] = _compare(
            f"{name}, logits in evaluation", case.our_logits(images), path.logits(images), 0.0, LOGITS
        )
    return found


# -- times --------------------------------------------------------------------------------------------------------


def step(spec: dict[str, Any]) -> dict[str, Any]:
    """A training step: forward, backward, optimiser. The first one is the warm-up, and is reported on its own.

    The time to it is not given for PromptSRC, whose texts come from the cache here whichever the path: building it is
    a case of its own.
    """
    case = Case.build(spec)
    if spec["path"] == "plain":
        need, free = plain.step_bytes(case.backbone.module, spec["classes"], spec["batch"]), machine.available()
        if need > free:
            return {"left_out": f"would need about {need / 1e9:.0f} GB; {free / 1e9:.0f} GB are free"}
    terms_of = case.our_terms
    if spec["path"] == "plain":
        terms_of = plain.PlainPath(case.backbone.module, case.learner, case.craft).terms
    images, labels = case.images(spec["batch"]), case.labels(spec["batch"])
    optimizer = torch.optim.SGD(case.learner.parameters(), lr=1e-3, momentum=0.9)
    case.learner.train()

    def run() -> float:
        loss = functools.reduce(torch.add, terms_of(images, labels).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    own = "spawned" in spec  # a process of its own, whose memory and start belong to this measurement
    started = time.perf_counter()
    loss = run()
    ready = time.time()
    found = {
        "loss": loss,
        "first_seconds": time.perf_counter() - started,
        "to_first_step": ready - spec["spawned"] if own and not hasattr(case.learner, "target") else None,
        **summary(repeat(run, spec["repeats"])),
        "peak": peak() if own else None,
    }
    if found["seconds"] < LONG:  # counting costs another step
        found["flops"] = flops.count(run)
    return found


def evaluate(spec: dict[str, Any]) -> dict[str, Any]:
    """Logits of ``batches`` batches of ``batch`` images, in eval mode; ours starts without text features each time."""
    case = Case.build(spec)
    batches = [case.images(spec["batch"]) for _ in range(spec["batches"])]
    logits = case.our_logits
    if spec["path"] == "plain":
        logits = plain.PlainPath(case.backbone.module, case.learner, case.craft).logits

    @torch.no_grad()
    def run(count: int | None = None) -> None:
        case.learner.train()
        case.learner.eval()
        for images in batches[:count]:
            logits(images)

    run(1)
    found = summary(repeat(run, spec["repeats"]))
    return {**found, "peak": peak() if "spawned" in spec else None}


@contextmanager
def cache(folder: str | None):
    """CRAFT_CACHE for the block: ``folder``, or an empty one that is deleted afterwards."""
    before = os.environ.get("CRAFT_CACHE")
    with tempfile.TemporaryDirectory(prefix="craft-benchmark-") as empty:
        os.environ["CRAFT_CACHE"] = folder or empty
        try:
            yield
        finally:
            if before is None:
                del os.environ["CRAFT_CACHE"]
            else:
                os.environ["CRAFT_CACHE"] = before


def build(spec: dict[str, Any]) -> dict[str, Any]:
    """PromptSRC's preparation for its classes, on a loaded CLIP: ours cold and with the cache, or the plain one.

    Ours is timed from the fingerprint of the weights on. The plain one makes its frozen copies, encodes the texts
    template by template, and tokenises the prompts.
    """
    if spec["path"] == "plain":
        case = Case.build(spec)

        def prepare() -> None:
            target = plain.teacher_target(case.backbone.module, case.learner.classnames, case.learner.teacher_templates)
            plain.PlainPath(case.backbone.module, case.learner, case.craft, target)

        return summary(repeat(prepare, spec["repeats"]))

    class_names(spec["classes"])  # made once, not while the clock runs

    def once() -> float:
        backbone = load_backbone(spec["backbone"])  # anew: the fingerprint stays with the model
        started = time.perf_counter()
        build_learner(backbone, spec)
        return time.perf_counter() - started

    seconds = []
    with tempfile.TemporaryDirectory(prefix="craft-benchmark-") as folder:
        cached = spec["path"] == "cached"
        if cached:
            with cache(folder):
                once()
        for _ in range(spec["repeats"]):
            with cache(folder if cached else None):
                seconds.append(once())
    return summary(seconds)


def rate(spec: dict[str, Any]) -> dict[str, Any]:
    """Floating-point operations a second of a float32 matrix product of the machine's liking; the best of some.

    Both libraries that may be at work are tried: torch's own choice, and ours for frozen weights.
    """
    size, best = spec["size"], 0.0
    left, right = torch.randn(size, size), torch.randn(size, size)
    for product in (torch.mm, linear):
        for _ in range(2 + spec["repeats"]):
            started = time.perf_counter()
            product(left, right)
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    return {"flops_per_second": best}


def facts(spec: dict[str, Any]) -> dict[str, Any]:
    """What the numbers belong to."""
    backbone = load_backbone(spec["backbone"])
    tokens = [count_tokens(name) for name in class_names(spec["classes"])]
    return {
        "backbone": spec["backbone"],
        "layers": backbone.text_depth,
        "device": "cpu",
        "dtype": str(backbone.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "products": "oneDNN for frozen weights" if onednn_is_faster() else "torch's own",
        "torch": torch.__version__,
        "processor": machine.processor(),
        "memory": machine.total(),
        "name_tokens": {"mean": statistics.mean(tokens), "most": max(tokens)},
    }


KINDS = {
    "check": check,
    "step": step,
    "evaluate": evaluate,
    "build": build,
    "load": loading.load,
    "rate": rate,
    "facts": facts,
}
