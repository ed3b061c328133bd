"""Sets with several domains: which of them a run learns from, which it adapts to, and what stays unlabelled."""

from __future__ import annotations

from collections.abc import Sequence

from craft.common.errors import UserError, unknown
from craft.datasets.few_shot import draw
from craft.datasets.splits import Item, Split


def choose_domains(name: str, split: Split, domains: Sequence[str], cfg, rng) -> Split:
    """The part of a multi-domain split that DATASET.SOURCE_DOMAINS and TARGET_DOMAINS ask for.

    Args:
        name: the data set's, for messages.
        split: train, val and test of all domains; ``Item.domain`` indexes ``domains``.
        rng: stream for DATASET.UNLABELED ``release`` (an object with ``sample``).

    With neither key set, everything is kept (no domain shift). Otherwise train and val are the source's, test is the
    target's test part, and train_u the target's *training* part, whose labels nobody looks at: disjoint from test.
    ``DATASET.UNLABELED release`` draws train_u from the target's test part instead, NUM_SHOTS images a class, as
    Craft's release does (transductive). A key left empty means all domains that the other does not name.

    Raises UserError for an unknown domain, one that is source and target, and a domain without images in a part.
    """
    source, target = list(cfg.DATASET.SOURCE_DOMAINS), list(cfg.DATASET.TARGET_DOMAINS)
    if not source and not target:
        return split
    if not domains:
        raise UserError(f"{name} has no domains; leave DATASET.SOURCE_DOMAINS and TARGET_DOMAINS empty")
    for domain in (*source, *target):
        if domain not in domains:
            raise unknown(f"domain of {name}", domain, domains)
    both = [domain for domain in source if domain in target]
    if both:
        raise UserError(f"{name}: the domain {both[0]!r} is both source and target; remove it from one of them")
    source = source or [domain for domain in domains if domain not in target]
    target = target or [domain for domain in domains if domain not in source]
    for key, chosen in (("SOURCE_DOMAINS", source), ("TARGET_DOMAINS", target)):
        if not chosen:
            raise UserError(f"{name}: no domain is left for DATASET.{key}; it has {', '.join(domains)}")

    def of(items: list[Item] | None, chosen: list[str], part: str) -> list[Item]:
        kept = [item for item in items or () if domains[item.domain] in chosen]
        if not kept and items is not None:
            raise UserError(f"{name}: no {part} image in the domain {', '.join(chosen)}; add some or choose another")
        return kept

    test = of(split.test, target, "test")
    if cfg.DATASET.UNLABELED == "release":
        shots = cfg.DATASET.NUM_SHOTS
        unlabelled = draw(test, shots, rng, lambda item: item.label) if shots >= 1 else test
        how = "from the test images, balanced by their labels (transductive, as Craft's release)"
    elif cfg.DATASET.UNLABELED == "train":
        unlabelled = of(split.train, target, "training")
        how = "disjoint from the test images"
    else:
        raise UserError(f"DATASET.UNLABELED is {cfg.DATASET.UNLABELED!r}; it can be train or release")
    print(
        f"{name}: source {', '.join(source)}; target {', '.join(target)}; {len(unlabelled)} unlabelled target images, "
        f"{how}"
    )
    val = None if split.val is None else of(split.val, source, "validation")
    train = of(split.train, source, "training")
    return Split(train, val, test, unlabelled, split.draw_val, split.listed, split.origin)
