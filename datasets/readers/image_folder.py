"""``ImageFolder``: anybody's own images, as folders or as a CSV, with all that the published sets can do.

Folders: class folders (``cat/1.jpg``), domains of class folders (``photo/cat/1.jpg``), or split folders with either in
them (``train/cat/1.jpg``; train with val and/or test). A CSV has the columns path and class (or label), and may have
domain, group and split. Where no split is given, 50 % / 20 % / 30 % of every class become train, val and test by a hash
of the file names: the same in every run and on every machine, whatever the seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from craft.common.errors import UserError
from craft.common.files import cache_dir, digest_json
from craft.datasets import listing
from craft.datasets.annotations import inside, read_csv
from craft.datasets.classnames import class_names, composed
from craft.datasets.domains import choose_domains
from craft.datasets.groups import say_groups_drawn
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import register_reader
from craft.datasets.splits import Item, Split, split_by_hash

PARTS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """An image as it was found: path below the folder, class key, and what else its place or row says of it; ``row``
    is the file and line that lists it, empty where none does."""

    path: str
    key: str
    domain: str = ""
    group: str = ""
    part: str = ""
    row: str = ""


@register_reader
class ImageFolder(PromptDataset):
    """Your own images: a folder (DATASET.ROOT, or DATASET.PATH below it) or a CSV (DATASET.PATH, or DATASET.ROOT).

    Labels follow the sorted class names of the folders or the CSV; DATASET.CLASSNAMES names a file that gives them
    other names in prompts, DATASET.TEMPLATE sets the prompt. A CSV's paths are relative to DATASET.ROOT where that is
    a folder, else to the CSV's own folder. Domains are chosen by SOURCE_DOMAINS and TARGET_DOMAINS.
    """

    @classmethod
    def locate(cls, cfg) -> Path:
        place = cls.place(cfg)
        if not place.is_file():
            return place
        root = Path(os.path.abspath(os.path.expanduser(cfg.DATASET.ROOT or place.parent)))
        return root if root.is_dir() else place.parent

    @classmethod
    def place(cls, cfg) -> Path:
        """The folder or CSV that the config names; UserError where there is none."""
        if not cfg.DATASET.ROOT and not cfg.DATASET.PATH:
            raise UserError(f"{cls.__name__}: no images given; set --root to your folder of images")
        place = Path(cfg.DATASET.ROOT).expanduser().joinpath(Path(cfg.DATASET.PATH).expanduser())
        place = Path(os.path.abspath(place))
        if not place.exists():
            raise UserError(f"{cls.__name__}: {place} does not exist; check --root and DATASET.PATH")
        return place

    @classmethod
    def target_domains(cls, cfg) -> list[str]:
        place = cls.place(cfg)
        if place.is_dir():
            return domains_of_folders(place)
        return sorted({composed(one.domain) for one in from_csv(place, cls.locate(cfg))} - {""})

    def read(self) -> Split:
        place = self.place(self.cfg)
        if not self.cfg.DATASET.CACHE_DIR:
            # Nothing is written among somebody's images: a cache folder there would look like another class.
            self.caches.places = [cache_dir("image_folder", digest_json(str(place))[:16])]
        found = self.unified(from_csv(place, self.folder) if place.is_file() else from_folders(place))
        rows = {one.key: one.row for one in reversed(found)}  # of each class, the first
        names = class_names(sorted(rows), self.cfg.DATASET.CLASSNAMES, self.folder, rows)
        self.domains = sorted({one.domain for one in found} - {""})
        groups = sorted({one.group for one in found} - {""}, key=_as_number)
        self.group_names = groups or None
        labels = {key: label for label, key in enumerate(names)}
        parts: dict[str, list[Item]] = {}
        for one in found:
            domain = self.domains.index(one.domain) if one.domain else 0
            group = groups.index(one.group) if one.group else None
            item = Item(one.path, labels[one.key], names[one.key], domain, group=group)
            parts.setdefault(one.part, []).append(item)
        for items in parts.values():
            items.sort(key=lambda item: (item.label, item.path))
        split = self.divide(parts)
        split.listed, split.origin = True, str(place)
        return choose_domains(self.name, split, self.domains, self.cfg, self.rng)

    def unified(self, found: list[Found]) -> list[Found]:
        """``found`` with all names `composed`: what was written in two Unicode forms is one class (domain, group)."""
        forms: dict[str, set[str]] = {}
        for one in found:
            for name in (one.key, one.domain, one.group):
                forms.setdefault(composed(name), set()).add(name)
        for name in sorted(name for name, written in forms.items() if len(written) > 1):
            print(f"{self.name}: {name!r} is written in two Unicode forms, which are read as one")
        return [
            replace(one, key=composed(one.key), domain=composed(one.domain), group=composed(one.group)) for one in found
        ]

    def divide(self, parts: dict[str, list[Item]]) -> Split:
        """The split that was given, completed; or one made here where none was."""
        if "" in parts:
            print(
                f"{self.name}: no split is given; taking 50 % train, 20 % val and 30 % test of every class by a hash "
                "of the file names, the same in every run"
            )
            return split_by_hash(parts[""])
        if "train" not in parts:  # all of it is evaluated, nothing is trained on it and nothing split anew
            tested = parts.get("test") or parts["val"]
            print(
                f"{self.name}: there are images for {' and '.join(parts)} and none for train: it can only be evaluated"
            )
            self.test_only = True
            return Split(tested, parts.get("val"), tested, draw_val=False)
        if self.cfg.TEST.NO_TEST and "test" not in parts:  # nothing reads them
            return Split(parts["train"], parts.get("val"), parts["train"], draw_val=False)
        if "test" in parts:
            if "val" not in parts:
                print(f"{self.name}: train and test are given and no val: nothing is held out for validation")
            return Split(parts["train"], parts.get("val"), parts["test"])
        if "val" in parts:
            print(f"{self.name}: no test images are given: val is used for testing, as on ImageNet")
            return Split(parts["train"], parts["val"], parts["val"], draw_val=False)
        raise UserError(f"{self.name}: all images are marked train; mark some test, or mark none to have a split made")

    def finish(self, split: Split) -> Split:
        split = super().finish(split)
        if self.group_names:
            say_groups_drawn(self, split)
        return split


def _as_number(text: str) -> tuple[int, int, str]:
    """Sorts 2 before 10, and numbers before words."""
    return (0, int(text), text) if text.isdecimal() and len(text) < 100 else (1, 0, text)


# -- folders ---------------------------------------------------------------------------


def from_folders(folder: Path) -> list[Found]:
    """The images of a tree of class folders, of domains or splits of them; UserError where it is none of these, which
    names the folder further down that is one, where only one way leads there."""
    try:
        return _from_layout(folder)
    except UserError as error:
        deeper = next(filter(_is_layout, reversed(_only_way_down(folder))), None)
        if deeper is None:
            raise
        raise UserError(f"{error}. The images lie further down: --root {deeper}") from error


def _is_layout(folder: Path) -> bool:
    try:
        return bool(_from_layout(folder))
    except UserError:
        return False


def _only_way_down(folder: Path) -> list[Path]:
    """The folders below ``folder`` of which each is the only one in its parent, which holds no image."""
    way: list[Path] = []
    at = folder
    while len(names := listing.subfolders(at)) == 1 and not any(map(listing.is_image, os.listdir(at))):
        at = at / names[0]
        way.append(at)
    return way


def _from_layout(folder: Path) -> list[Found]:
    inner = _wrapped(folder)
    if inner:
        print(f"Reading {folder / inner}, which is all that {folder} holds")
    prefix, folder = f"{inner}/" if inner else "", folder / inner
    known = _split_folders(folder)
    if not known:
        return _classes_or_domains(folder, prefix, lambda **place: Found(**place))
    other = [name for name in listing.subfolders(folder) if name not in known]
    if other:
        raise UserError(f"{folder} has split folders ({', '.join(known)}) and beside them {other[0]!r}; move it away")
    found: list[Found] = []
    for name, part in known.items():
        found += _classes_or_domains(
            folder / name, f"{prefix}{name}/", lambda part=part, **place: Found(part=part, **place)
        )
    return found


def _wrapped(folder: Path) -> str:
    """The path below ``folder`` where a layout begins, if that is further down: "a/b" where a holds only b; else "".

    An archive that is unpacked into a folder of its own name makes such trees. One domain of class folders is a layout.
    """
    inner = Path()
    while len(inner.parts) < 10:
        names = listing.subfolders(folder / inner)
        if len(names) != 1 or listing.holds_images(folder / inner):
            break
        below = folder / inner / names[0]
        if listing.holds_images(below) or not any(listing.subfolders(below / n) for n in listing.subfolders(below)):
            break
        inner /= names[0]
    return inner.as_posix() if inner.parts else ""


def domains_of_folders(folder: Path) -> list[str]:
    """The domains that `from_folders` will find, sorted; only the two upper levels are listed."""
    folder = folder / _wrapped(folder)
    if parts := _split_folders(folder):
        return sorted({domain for part in parts for domain in _domains(folder / part)})
    return sorted(_domains(folder))


def _split_folders(folder: Path) -> dict[str, str]:
    """{folder: part} where ``folder`` is split into train and others, or holds nothing but val and test; else none."""
    top = listing.subfolders(folder)
    known = {name: PARTS[name.lower()] for name in top if name.lower() in PARTS}
    parts = set(known.values())
    is_split = ("train" in parts and len(known) > 1) or (len(known) == len(top) and parts and "train" not in parts)
    return known if is_split else {}


def _domains(folder: Path) -> set[str]:
    top = listing.subfolders(folder)
    return set() if any(listing.holds_images(folder / name) for name in top) else {composed(name) for name in top}


def _classes_or_domains(folder: Path, prefix: str, make: Callable[..., Found]) -> list[Found]:
    """Images of class folders, or of domains of class folders, in ``folder``; ``prefix`` begins their paths."""
    contents = _contents(folder)
    classes = [name for name, (images, _) in contents.items() if images]
    if len(classes) == len(contents):
        return [make(path=f"{prefix}{key}/{i}", key=key) for key, (images, _) in contents.items() for i in images]
    if classes:
        # Class folders and folders of folders side by side: one of them is in the wrong place.
        odd = next(name for name in contents if name not in classes)
        raise UserError(
            f"{folder}: {classes[0]!r} holds images, {odd!r} holds folders; put class folders side by side, or all of "
            f"them into one folder a domain"
        )
    found = []
    for domain in contents:
        for key, (images, deeper) in _contents(folder / domain).items():
            if deeper and not images:
                raise UserError(
                    f"{folder / domain / key} holds folders again; the deepest layout is domain/class: give the folder "
                    f"that holds the class folders, e.g. {folder / domain / key}"
                )
            found += [make(path=f"{prefix}{domain}/{key}/{i}", key=key, domain=domain) for i in images]
    return found


def _contents(folder: Path) -> dict[str, tuple[list[str], list[str]]]:
    """{subfolder: (its images, its folders)}; UserError for one with neither or with both.

    Images beside the folders belong to no class: they are left out, and named.
    """
    names = listing.subfolders(folder)
    loose = listing.image_names(folder)
    if loose and not names:
        raise UserError(
            f"{folder} holds images itself ({loose[0]}); put each into a folder with the name of its class, or list "
            "them in a CSV (DATASET.PATH)"
        )
    if loose:
        print(f"Ignoring {len(loose)} image(s) beside the class folders in {folder}: {', '.join(loose[:3])}")
    if not names:
        raise UserError(f"{folder} holds no class folders; make one for each class, with its images")
    contents = {}
    for name in names:
        images, folders = listing.image_names(folder / name), listing.subfolders(folder / name)
        if not images and not folders:
            raise UserError(f"the class folder {folder / name} holds no image; fill it or remove it")
        if images and folders:
            raise UserError(f"{folder / name} holds images ({images[0]}) and folders ({folders[0]}); separate them")
        contents[name] = (images, folders)
    return contents


# -- CSV -------------------------------------------------------------------------------


def from_csv(table: Path, root: Path) -> list[Found]:
    """The images that a CSV lists, with paths below ``root``; UserError with file and line for whatever is wrong."""
    found: list[Found] = []
    lines: dict[str, int] = {}
    for line, row in read_csv(table, ("path", "class"), ("domain", "group", "split"), {"label": "class"}):
        where = f"{table}, line {line}"
        path = inside(where, row["path"], root)
        if path in lines:
            raise UserError(f"{where}: {path} is listed already in line {lines[path]}; remove one of the two")
        lines[path] = line
        for column, value in row.items():
            if not value:
                raise UserError(f"{where}: {column} is empty; fill it, or leave the whole column out")
        part = row.get("split", "").lower()
        if part and part not in PARTS:
            raise UserError(f"{where}: split is {row['split']!r}; it can be train, val or test")
        domain, group = row.get("domain", ""), row.get("group", "")
        found.append(Found(path, row["class"], domain, group, PARTS.get(part, ""), f"{table.name}, line {line}"))
    if not found:
        raise UserError(f"{table} lists no image")
    gone = listing.missing(root, lines)
    if gone:
        more = f" (and {len(gone) - 1} more)" if len(gone) > 1 else ""
        raise UserError(f"{table}, line {lines[gone[0]]}: there is no image {root / gone[0]}{more}; correct the path")
    return found
