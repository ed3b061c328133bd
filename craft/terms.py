"""The terms of Craft's loss, one object a term. Loads no torch, so that sweeps and tables can ask what there is.

A term has a name, the key of its weight in ``TRAINER.CRAFT``, what it needs, how it is computed, and a reason where it
would have no gradient. Everything else learns of it from `TERMS`: configuration, trainers, log, ablation, tables,
report, figures and benchmark. Adding one takes a subclass of `Term` and one call of `register_term`.

What the paper leaves open was decided here; numbers behind settings (D1, …) are those of docs/method.md, with reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from craft.common.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from craft.prompts.learner import Features, PromptLearner

#: what more than one term reads, and what does not belong to a term
SHARED = {
    "ANCHORS_PER_CLASS": 1,  # K of k-means (D5)
    "BATCH_TEXT": "learned",  # v_i: learned (the class prompt), or template (hand-written: release) (D1)
}


@dataclass
class Step:
    """What the terms read of one training step.

    out: features of the labelled batch; labels: (B,). target: features of an unlabelled batch of the target domain,
    where the run has one. groups: (B,) the group of each labelled sample, and pairs: (P, 2) the groups to compare,
    where groups are compared. All on one device.
    """

    out: Features
    labels: Tensor
    target: Features | None = None
    groups: Tensor | None = None
    pairs: Tensor | None = None
    kept: dict[str, Tensor] = field(default_factory=dict)  # what several terms share, computed once


class Context(Protocol):
    """What a term is computed from beside the step; `craft.objective.CraftTerms` is it."""

    node: Any
    learner: PromptLearner
    #: whether gradients reach v_i, the texts of a batch
    moves_text: bool

    def batch_text(self, step: Step) -> Tensor:
        """(B, e): v_i of every sample, see BATCH_TEXT."""

    def static_anchors(self) -> tuple[Tensor, Tensor]:
        """(A, e) normalised static image anchors and their (A,) labels."""

    def relative(self, out: Features) -> Tensor:
        """r(u) of a batch, over the anchors that MMD_ANCHORS names."""


class Term:
    """Base of the terms; a subclass sets the attributes and writes `compute`.

    name: in logs, records and figures. key: of its weight, a key of ``TRAINER.CRAFT``. label: in tables. weight: the
    weight's default. settings: more keys of ``TRAINER.CRAFT`` with their defaults. compares: it reads two samples, a
    target domain or groups of the batch, so that only runs which have them have the term.
    """

    name: str
    key: str
    label: str
    weight: float = 1.0
    settings: dict[str, Any] = {}
    compares: bool = False

    def check(self, node) -> None:
        """UserError for settings in ``node`` (``cfg.TRAINER.CRAFT``) that do not go together."""

    def needs_anchors(self, node) -> bool:
        """Whether it reads static image anchors under these settings, its weight aside."""
        return False

    def no_gradient(self, craft: Context) -> str:
        """Why it has no gradient for this learner under these settings; empty where it has one."""
        return ""

    def compute(self, craft: Context, step: Step) -> Tensor:
        """() its value for one step, without its weight."""
        raise NotImplementedError


class StaticTerm(Term):
    """L_static: each sample's class text must find its class among the static image anchors."""

    name, key, label = "static", "STATIC_WEIGHT", "static"

    def needs_anchors(self, node) -> bool:
        return True

    def no_gradient(self, craft: Context) -> str:
        return "" if craft.moves_text else "nothing is learned in the texts that it moves, so it has no gradient"

    def compute(self, craft: Context, step: Step) -> Tensor:
        from craft.losses import static_loss

        out, text = step.out, craft.batch_text(step)
        return static_loss(text, step.labels, *craft.static_anchors(), out.logits.shape[1], out.scale)


class StochasticTerm(Term):
    """L_stoch: a sample's image must find its class's text among the batch's, and the text its image."""

    name, key, label = "stochastic", "STOCHASTIC_WEIGHT", "stochastic"
    settings = {
        "TARGETS": "class",  # positives: class, or index (release) (D2)
        "SYMMETRIC": True,  # both ways (D3)
    }

    def no_gradient(self, craft: Context) -> str:
        learns = craft.moves_text or craft.learner.learns_vision
        return "" if learns else "neither the images nor the texts that it aligns are learned, so it has no gradient"

    def compute(self, craft: Context, step: Step) -> Tensor:
        from craft.losses import stochastic_loss

        node, out = craft.node, step.out
        text = craft.batch_text(step)
        return stochastic_loss(out.image, text, step.labels, out.scale, node.TARGETS == "class", node.SYMMETRIC)


class MMDTerm(Term):
    """L_mmd: MMD² in anchor space between source and target, or between groups of a class within the batch."""

    name, key, label = "mmd", "MMD_WEIGHT", "MMD"
    compares = True
    settings = {
        "MMD_VARIANCES": (),  # fixed h² of the Gaussians; empty: multiples of the median distance
        "MMD_MULTIPLES": (0.25, 0.5, 1.0, 2.0, 4.0),  # h / median distance; `craft.mmd.MULTIPLES` (D7)
        "MMD_UNBIASED": False,
        "MMD_NORMALIZE": "none",  # none, or minmax (release) (D6)
        "MMD_ANCHORS": "text",  # text, image or both (D9)
        "GROUP_MMD": False,  # *Craft on data with groups: MMD between the groups of a class within the batch (D12)
    }

    def check(self, node) -> None:
        if not (node.MMD_VARIANCES or node.MMD_MULTIPLES):
            raise UserError(
                "TRAINER.CRAFT.MMD_VARIANCES () and MMD_MULTIPLES () give no bandwidths; set either to numbers above 0"
            )
        if node.GROUP_MMD and node.MMD_NORMALIZE != "none":
            raise UserError("TRAINER.CRAFT.MMD_NORMALIZE minmax is for two domains; with GROUP_MMD it must be none")

    def needs_anchors(self, node) -> bool:
        return node.MMD_ANCHORS != "text"

    def no_gradient(self, craft: Context) -> str:
        if craft.node.MMD_ANCHORS == "image" and not craft.learner.learns_vision:
            return "images and image anchors are both frozen, so it has no gradient"
        return ""

    def compute(self, craft: Context, step: Step) -> Tensor:
        from craft.losses import mmd_loss
        from craft.mmd import grouped_mmd

        node = craft.node
        kernel = node.MMD_VARIANCES, node.MMD_MULTIPLES, node.MMD_UNBIASED
        if step.target is None:
            assert step.groups is not None and step.pairs is not None, "a step with neither a target nor groups"
            return grouped_mmd(craft.relative(step.out), step.groups, step.pairs, *kernel)
        return mmd_loss(craft.relative(step.out), craft.relative(step.target), *kernel, node.MMD_NORMALIZE)


TERMS: dict[str, Term] = {}  # in the order of logs and tables


def register_term(term: Term) -> Term:
    """Make a term known to everything. UserError for a name, weight key or setting that is taken."""
    for known in TERMS.values():
        if type(known) is type(term):
            return known
        if known.name == term.name:
            raise UserError(f"Craft's term {term.name!r} is taken; choose another name")
    for key in (term.key, *term.settings):
        if key in defaults():
            raise UserError(f"Craft's term {term.name!r}: the key TRAINER.CRAFT.{key} is taken; choose another")
    TERMS[term.name] = term
    return term


def defaults() -> dict[str, Any]:
    """The default values of ``TRAINER.CRAFT``."""
    found = dict(SHARED)
    for term in TERMS.values():
        found |= {term.key: term.weight, **term.settings}
    return found


def weight_key(term: Term) -> str:
    """``TRAINER.CRAFT.STATIC_WEIGHT``."""
    return f"TRAINER.CRAFT.{term.key}"


def check(node) -> None:
    """UserError for settings of ``cfg.TRAINER.CRAFT`` that do not go together; single keys are checked before."""
    for term in TERMS.values():
        term.check(node)


def needs_anchors(node, compares: bool) -> bool:
    """Whether a run reads static image anchors; compares: whether it has two samples to compare."""
    return any(
        node[term.key] > 0 and term.needs_anchors(node) for term in TERMS.values() if compares or not term.compares
    )


for _term in (StaticTerm(), StochasticTerm(), MMDTerm()):
    register_term(_term)
