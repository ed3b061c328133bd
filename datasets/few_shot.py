"""Few-shot draws: which images of a split are the shots of a run, and how it is remembered that they were drawn.

A draw takes its numbers from the data set's stream in the order in which CoOp's readers do, so that the same seed gives
the same images. It is kept in ``split_fewshot/`` (see ``caches.py``), with what it depends on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Hashable, Mapping

from craft.common.errors import UserError
from craft.datasets import digests, shot_lists
from craft.datasets.labels import domains_label
from craft.datasets.splits import Item, Split, grouped, seed_phrase

Key = Callable[[Item], Hashable]

#: DATASET.SHOTS_VAL -> what it says of the validation images
VALIDATION = {
    "min4": "at most 4 a {per}",
    "as_train": "drawn as the training images",
    "all": "all",
    "none": "none",
}


def draw(items: list[Item], shots: int | Mapping[Hashable, int], rng, key: Key) -> list[Item]:
    """``shots`` items of every key (or as many as it says for the key), without repetition; a key with fewer gives all
    that it has."""
    drawn: list[Item] = []
    for which, members in grouped(items, key).items():
        number = shots if isinstance(shots, int) else shots[which]
        drawn += rng.sample(members, number) if len(members) >= number else members
    return drawn


def draw_key(per: str, split: Split, name: str) -> Key:
    """What shots are counted by: DATASET.SHOTS_PER "class" or "group"."""
    if per == "class":
        return lambda item: item.label
    if per != "group":
        raise UserError(f"DATASET.SHOTS_PER is {per!r}; it can be class or group")
    if any(item.group is None for item in split.train):
        raise UserError(f"DATASET.SHOTS_PER is group, but the images of {name} carry no group; set it to class")
    return lambda item: item.group


def numbers(items: list[Item], node, key: Key) -> dict[Hashable, int]:
    """How many images to draw of every key.

    SHOTS_FRACTION: that share of the key's images, rounded, and at least one. Else NUM_SHOTS; with SHOTS_PRIOR natural
    it is the mean of them: NUM_SHOTS times the number of keys, shared out by the largest remainders in proportion to
    the images that a key has, at least one for each and no more than there are.
    """
    sizes = {which: len(members) for which, members in grouped(items, key).items()}
    if node.SHOTS_FRACTION:
        return {which: max(1, round(node.SHOTS_FRACTION * size)) for which, size in sizes.items()}
    if node.SHOTS_PRIOR != "natural":
        return dict.fromkeys(sizes, node.NUM_SHOTS)
    every = sum(sizes.values())
    total = min(node.NUM_SHOTS * len(sizes), every)
    quotas = {which: total * size / every for which, size in sizes.items()}
    shared = {which: max(1, math.floor(quota)) for which, quota in quotas.items()}
    for which in sorted(quotas, key=lambda which: math.floor(quotas[which]) - quotas[which]):
        if sum(shared.values()) < total and shared[which] < sizes[which]:
            shared[which] += 1
    return shared


def digest_items(*lists: list[Item] | None) -> str:
    """Hex SHA-256 over lists of items: their order, paths, labels, names and groups."""
    state = hashlib.sha256()
    for items in lists:
        state.update(f"[{-1 if items is None else len(items)}]\n".encode())
        for item in items or ():
            state.update(f"{item.path}\t{item.label}\t{item.classname}\t{item.domain}\t{item.group}\n".encode())
    return state.hexdigest()


def drawn(dataset, split: Split) -> Split:
    """``split`` with the training and validation images that the DATASET node asks for; ``dataset.told`` says which.

    All images, those that FEWSHOT_FILE lists, or a draw. A draw is read from the cache where it was made before from
    the same lists with the same seed, else made from ``dataset.rng`` (train, then val) and cached. Without a seed
    nothing is cached: each run draws anew.
    """
    node = dataset.cfg.DATASET
    check_asked(node)
    if node.FEWSHOT_FILE:
        chosen, described = shot_lists.taken(dataset, split)
    elif node.NUM_SHOTS >= 1 or node.SHOTS_FRACTION:
        chosen, described = _drawn(dataset, split)
    else:
        chosen, described = split, "all images"
    if node.SHOTS_VAL == "none":
        chosen = dataclasses.replace(chosen, val=None)
    if chosen is not split:
        if chosen.val is None:
            val = VALIDATION["none"]
        elif chosen.val is split.val:
            val = VALIDATION["all"]
        else:
            val = "listed" if node.FEWSHOT_FILE else VALIDATION[node.SHOTS_VAL].format(per=node.SHOTS_PER)
        described += f"; validation images: {val}"
        dataset.told["few_shot"] = {
            "train": digests.members(chosen.train),
            "val": None if chosen.val is None else digests.members(chosen.val),
        }
    dataset.told["draw"] = described
    return chosen


def check_asked(node) -> None:
    """UserError for keys that say different things about which images are the shots."""
    asked = {
        "DATASET.FEWSHOT_FILE": bool(node.FEWSHOT_FILE),
        "DATASET.SHOTS_FRACTION": bool(node.SHOTS_FRACTION),
        "DATASET.SHOTS_PRIOR natural": node.SHOTS_PRIOR == "natural",
    }
    several = [name for name, given in asked.items() if given]
    if len(several) > 1:
        raise UserError(f"{' and '.join(several)} say different things about the shots; set one of them")
    if node.SHOTS_FRACTION and node.NUM_SHOTS >= 1:
        raise UserError(
            f"DATASET.SHOTS_FRACTION {node.SHOTS_FRACTION:g} and DATASET.NUM_SHOTS {node.NUM_SHOTS} say different "
            "things about the shots; set DATASET.NUM_SHOTS -1 to draw a fraction"
        )
    if node.SHOTS_PRIOR == "natural" and node.NUM_SHOTS < 1:
        raise UserError("DATASET.SHOTS_PRIOR natural shares out shots, and there are none; set DATASET.NUM_SHOTS")


def _drawn(dataset, split: Split) -> tuple[Split, str]:
    """(``split`` with the images drawn, by which rule)."""
    cfg, name, node = dataset.cfg, dataset.name, dataset.cfg.DATASET
    per = node.SHOTS_PER
    key = draw_key(per, split, name)
    sources = {"train": split.train}
    wanted = {"train": numbers(split.train, node, key)}
    if split.draw_val and split.val is not None and node.SHOTS_VAL in ("min4", "as_train"):
        sources["val"] = split.val
        wanted["val"] = numbers(split.val, node, key)
        if node.SHOTS_VAL == "min4":
            in_train = wanted["train"]
            wanted["val"] = {k: min(4, in_train.get(k, number)) for k, number in wanted["val"].items()}
    rule = f"{node.NUM_SHOTS} shots a {per}"
    if node.SHOTS_FRACTION:
        rule = f"{100 * node.SHOTS_FRACTION:g} % of every {per}"
    elif node.SHOTS_PRIOR == "natural":
        rule += " on average, in their natural proportion"
    described = f"{rule}, {seed_phrase(cfg.SEED)}"

    def reduced(found: dict[str, list[Item]]) -> tuple[Split, str]:
        taken, there = len(found["train"]), len(split.train)
        if taken < there:
            print(f"Training images: {taken:,} of {there:,} (DATASET.NUM_SHOTS -1 takes all)")
        return dataclasses.replace(split, train=found["train"], val=found.get("val", split.val)), rule

    def draw_now() -> dict[str, list[Item]]:
        return {part: draw(items, wanted[part], dataset.rng, key) for part, items in sources.items()}

    if cfg.SEED < 0:
        print(f"Drawing {described}: another draw in every run, and not cached")
        return reduced(draw_now())

    depends = {
        "dataset": name, "seed": cfg.SEED, "shots": node.NUM_SHOTS, "per": per, "split": digest_items(*sources.values())
    }  # fmt: skip
    if getattr(dataset, "maker", ""):
        # Draws of earlier versions depended on whether their run had made the split; they are not believed.
        depends["stream"] = "of its own"
    # Each choice of domains has a file of its own, or leaving out one after the other would draw all of them again.
    label = domains_label(node) if dataset.domains else ""
    which = f"fraction_{node.SHOTS_FRACTION:g}" if node.SHOTS_FRACTION else f"shot_{node.NUM_SHOTS}"
    which += ("" if per == "class" else f"-{per}") + ("-natural" if node.SHOTS_PRIOR == "natural" else "")
    which += ("" if node.SHOTS_VAL == "min4" else f"-val_{node.SHOTS_VAL}") + (f"-{label}" if label else "")
    relative = f"split_fewshot/{which}-seed_{cfg.SEED}.json"

    def accept(content: dict) -> dict[str, list[Item]]:
        differing = [field for field, value in depends.items() if content.get(field) != value]
        if differing:
            raise ValueError(f"stale: drawn with another {' and '.join(differing)}")
        return {part: _recall(items, content[part], wanted[part], key) for part, items in sources.items()}

    found = dataset.caches.load(relative, accept, "drawing again")
    if found is not None:
        print(f"Few-shot images: {described}, as drawn before")
        return reduced(found)
    found = draw_now()
    compact = {part: [[item.path, item.label] for item in items] for part, items in found.items()}
    path = dataset.caches.save(relative, {**depends, **compact})
    print(f"Few-shot images: {described}, drawn now" + (f" and kept in {path}" if path else ""))
    return reduced(found)


def _recall(items: list[Item], kept: list, wanted: Mapping[Hashable, int], key: Key) -> list[Item]:
    """The items that a cache names, or ValueError unless they could be a draw of so many from ``items``."""
    known = {(item.path, item.label): item for item in items}
    chosen = [known[path, label] for path, label in kept if (path, label) in known]
    if len(chosen) != len(kept) or len(set(chosen)) != len(chosen):
        raise ValueError("damaged: it names images that are not in the split, or one twice")
    sizes = {k: min(wanted[k], len(members)) for k, members in grouped(items, key).items()}
    if {k: len(members) for k, members in grouped(chosen, key).items()} != sizes:
        raise ValueError("damaged: its number of images a class is not that of the draw")
    return chosen
