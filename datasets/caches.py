"""Caches of few-shot draws and of slow directory listings. Each is a JSON file that says what it depends on, holds
relative paths only, and is written whole or not at all; one that is stale or damaged is rebuilt with a log line. They
lie in the data set's folder, or beside the output where that folder cannot be written."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import digest_json, read_json, write_json
from craft.datasets import listing, splits
from craft.datasets.splits import Item, Split

FORMAT = 1
FRESH_NS = 2_000_000_000  # a folder changed this shortly before it was listed may change again without a new mtime


class CacheFolder:
    """Where a data set's caches are looked for and written.

    The data set's own folder first, then ``OUTPUT_DIR/cache/NAME``; only ``DATASET.CACHE_DIR/NAME`` where that is set.
    """

    def __init__(self, name: str, folder: Path, cfg):
        if cfg.DATASET.CACHE_DIR:
            self.places = [Path(os.path.expanduser(cfg.DATASET.CACHE_DIR)).absolute() / name]
        else:
            self.places = [folder, Path(cfg.OUTPUT_DIR or "output").absolute() / "cache" / name]

    def load(self, relative: str, accept: Callable[[dict], Any], what: str) -> Any:
        """``accept(content)`` of the first cache file that is accepted, or None.

        ``accept`` raises ValueError, with the reason, for content that must not be believed.
        """
        for place in self.places:
            path = place / relative
            if not path.is_file():
                continue
            try:
                content = read_json(path)
                if not isinstance(content, dict) or content.get("format") != FORMAT:
                    raise ValueError("another format")
                if content.pop("sha256", None) != digest_json(content):
                    raise ValueError("damaged")
                return accept(content)
            except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
                print(f"Not using {path} ({error or 'damaged'}): {what}")
        return None

    def save(self, relative: str, content: dict) -> Path | None:
        """Write to the first place that can be written; None, and a log line, where none can."""
        content = {"format": FORMAT, **content}
        content["sha256"] = digest_json(content)
        for place in self.places:
            try:
                write_json(place / relative, content, indent=None)
                return place / relative
            except UserError:
                continue
        print(f"Cannot write {relative} to any of {', '.join(map(str, self.places))}; going on without this cache")
        return None


# -- few-shot draws ----------------------------------------------------------------


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
    described = f"{shots} shots a {per}, {splits.seed_phrase(cfg.SEED)}"

    def draw_now() -> dict[str, list[Item]]:
        return {part: splits.draw(items, wanted[part], dataset.rng, key) for part, items in sources.items()}

    if cfg.SEED < 0:
        print(f"Drawing {described}: another draw in every run, and not cached")
        return dataclasses.replace(split, **draw_now())

    depends = {
        "dataset": name, "seed": cfg.SEED, "shots": shots, "per": per, "split": digest_items(*sources.values())
    }  # fmt: skip
    relative = f"split_fewshot/shot_{shots}{'' if per == 'class' else '-' + per}-seed_{cfg.SEED}.json"

    def accept(content: dict) -> dict[str, list[Item]]:
        differing = [field for field, value in depends.items() if content.get(field) != value]
        if differing:
            raise ValueError(f"stale: drawn with another {' and '.join(differing)}")
        return {part: _recall(items, content[part], wanted[part], key) for part, items in sources.items()}

    found = dataset.caches.load(relative, accept, "drawing again")
    if found is not None:
        print(f"Few-shot images: {described}, as drawn before")
        return dataclasses.replace(split, **found)
    found = draw_now()
    compact = {part: [[item.path, item.label] for item in items] for part, items in found.items()}
    path = dataset.caches.save(relative, {**depends, **compact})
    print(f"Few-shot images: {described}, drawn now" + (f" and kept in {path}" if path else ""))
    return dataclasses.replace(split, **found)


def _recall(items: list[Item], kept: list, shots: int, key: Callable[[Item], Hashable]) -> list[Item]:
    """The items that a cache names, or ValueError unless they could be a draw of ``shots`` from ``items``."""
    known = {(item.path, item.label): item for item in items}
    chosen = [known.get((path, label)) for path, label in kept]
    if None in chosen or len(set(chosen)) != len(chosen):
        raise ValueError("damaged: it names images that are not in the split, or one twice")
    sizes = {k: min(shots, len(members)) for k, members in splits.grouped(items, key).items()}
    if {k: len(members) for k, members in splits.grouped(chosen, key).items()} != sizes:
        raise ValueError("damaged: its number of images a class is not that of the draw")
    return chosen


# -- directory listings --------------------------------------------------------------


def listed(dataset, relative: str) -> dict[str, list[str]]:
    """{class folder: sorted image names} of a folder of class folders, e.g. ``images/train`` of ImageNet.

    Kept in ``listing-images-train.json`` with every class folder's time of change; a folder whose time differs is
    listed again, so one look per folder replaces one per image. Raises UserError for a class folder without images.
    """
    base = dataset.folder / relative
    cache = f"listing-{relative.replace('/', '-')}.json"
    now = time.time_ns()
    times = {name: (base / name).stat().st_mtime_ns for name in listing.subfolders(base)}

    def accept(content: dict) -> dict[str, list]:
        for name, (changed, images) in content["folders"].items():
            if not isinstance(changed, int) or not all(isinstance(i, str) and listing.is_image(i) for i in images):
                raise ValueError(f"damaged at {name}")
        return content["folders"]

    kept = dataset.caches.load(cache, accept, "listing the folders again") or {}
    result, fresh = {}, 0
    for name, changed in times.items():
        if name in kept and kept[name][0] == changed and kept[name][1]:
            result[name] = kept[name][1]
        else:
            result[name] = listing.class_images(base / name)
            fresh += 1
    if fresh or kept.keys() - times.keys():
        settled = {n: [times[n], images] for n, images in result.items() if now - times[n] > FRESH_NS}
        if settled != kept:
            dataset.caches.save(cache, {"folders": settled})
        print(f"Listed {fresh} of {len(times)} class folders in {base}")
    return result
