"""Few-shot draws: which images of a split are the shots of a run, and how it is remembered that they were drawn.

A draw takes its numbers from the data set's stream in the order in which CoOp's readers do, so that the same seed gives
the same images. It is kept in ``split_fewshot/`` (see ``caches.py``), with what it depends on.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Hashable

from craft.common.errors import UserError
from craft.datasets.labels import domains_label
from craft.datasets.splits import Item, Split, grouped, seed_phrase


def draw(items: list[Item], shots: int, rng, key: Callable[[Item], Hashable]) -> list[Item]:
    """``shots`` items of every key, without repetition; a key with fewer gives all it has."""
    drawn: list[Item] = []
    for members in grouped(items, key).values():
        drawn += rng.sample(members, shots) if len(members) >= shots else members
    return drawn


def draw_key(per: str, split: Split, name: str) -> Callable[[Item], Hashable]:
    """What shots are counted by: DATASET.SHOTS_PER "class" or "group"."""
    if per == "class":
        return lambda item: item.label
    if per != "group":
        raise UserError(f"DATASET.SHOTS_PER is {per!r}; it can be class or group")
    if any(item.group is None for item in split.train):
        raise UserError(f"DATASET.SHOTS_PER is group, but the images of {name} carry no group; set it to class")
    return lambda item: item.group


def digest_items(*lists: list[Item] | None) -> str:
    """Hex SHA-256 over lists of items: their order, paths, labels, names and groups."""
    state = hashlib.sha256()
    for items in lists:
        state.update(f"[{-1 if items is None else len(items)}]\n".encode())
        for item in items or ():
            state.update(f"{item.path}\t{item.label}\t{item.classname}\t{item.domain}\t{item.group}\n".encode())
    return state.hexdigest()


def drawn(dataset, split: Split, shots: int) -> Split:
    """``split`` with ``shots`` training images and min(shots, 4) validation images a class (or group).

    Read from the cache where it was drawn before from the same lists with the same seed, else drawn from
    ``dataset.rng`` (train, then val) and cached. Without a seed nothing is cached: each run draws anew.
    """
    cfg, name = dataset.cfg, dataset.name
    per = cfg.DATASET.SHOTS_PER
    key = draw_key(per, split, name)
    sources = {"train": split.train}
    wanted = {"train": shots}
    if split.draw_val and split.val is not None:
        sources["val"] = split.val
        wanted["val"] = min(shots, 4)
    described = f"{shots} shots a {per}, {seed_phrase(cfg.SEED)}"

    def reduced(found: dict[str, list[Item]]) -> Split:
        return dataclasses.replace(split, train=found["train"], val=found.get("val", split.val))

    def draw_now() -> dict[str, list[Item]]:
        return {part: draw(items, wanted[part], dataset.rng, key) for part, items in sources.items()}

    if cfg.SEED < 0:
        print(f"Drawing {described}: another draw in every run, and not cached")
        return reduced(draw_now())

    depends = {
        "dataset": name, "seed": cfg.SEED, "shots": shots, "per": per, "split": digest_items(*sources.values())
    }  # fmt: skip
    # Each choice of domains has a file of its own, or leaving out one after the other would draw all of them again.
    label = domains_label(cfg.DATASET) if dataset.domains else ""
    which = ("" if per == "class" else f"-{per}") + (f"-{label}" if label else "")
    relative = f"split_fewshot/shot_{shots}{which}-seed_{cfg.SEED}.json"

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


def _recall(items: list[Item], kept: list, shots: int, key: Callable[[Item], Hashable]) -> list[Item]:
    """The items that a cache names, or ValueError unless they could be a draw of ``shots`` from ``items``."""
    known = {(item.path, item.label): item for item in items}
    chosen = [known[path, label] for path, label in kept if (path, label) in known]
    if len(chosen) != len(kept) or len(set(chosen)) != len(chosen):
        raise ValueError("damaged: it names images that are not in the split, or one twice")
    sizes = {k: min(shots, len(members)) for k, members in grouped(items, key).items()}
    if {k: len(members) for k, members in grouped(chosen, key).items()} != sizes:
        raise ValueError("damaged: its number of images a class is not that of the draw")
    return chosen
