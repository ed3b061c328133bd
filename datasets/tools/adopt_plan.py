"""What of a folder belongs where: a plan of `craft data adopt`, made by looking at names, sizes and digests alone.
Nothing is written here; which layouts there are is declared in ``datasets/layouts/``."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.layouts.declared import ANY_SET, Images, Layouts, normal, plain
from craft.datasets.sources import DataFile
from craft.datasets.splits import Item

JPEG = (".jpg", ".jpeg")


@dataclass
class Plan:
    """What goes where.

    folder      where the files come from, absolute
    images      {path below the data set's folder: path below ``folder``}
    classes     {path below the data set's folder: class} of those whose folder or name says it
    by          {name of a layout: images that lie like that}
    own_names   images that do not have their published names
    doubled     images that are there several times, byte for byte
    unused      images that belong nowhere, as paths below ``folder``
    complaints  what is wrong, a line each
    strangers   {(what, remedy): an example}: files that tell of something else
    paths       every file below ``folder``, the shallowest first
    """

    folder: Path
    paths: list[str]
    images: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    by: Counter[str] = field(default_factory=Counter)
    doubled: int = 0
    unused: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    own_names: set[str] = field(default_factory=set)
    strangers: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def numbered(self) -> bool:
        """Whether the images have their published names, so that a published split means them."""
        return not self.own_names

    def below(self, path: str) -> int:
        """Images that go into and below the folder ``path`` of the data set's folder."""
        return sum(inside(image, path) for image in self.images)


def inside(image: str, folder: str) -> bool:
    """Whether the path ``image`` lies below the declared folder, which may be "."."""
    return folder == "." or image.startswith(f"{folder}/")


def files_below(folder: Path, most: int = 0) -> list[str]:
    """Paths of all files in and below ``folder``, relative and with /, the shallowest first, hidden ones left out.

    Links to folders are followed, none twice. ``most`` ends the search after so many files (0: never).
    """
    found: list[tuple[int, str]] = []
    seen: set[str] = set()
    waiting = [""]
    while waiting and not (most and len(found) >= most):
        below = waiting.pop()
        real = os.path.realpath(folder / below)
        if real in seen:
            continue
        seen.add(real)
        try:
            entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"cannot list {folder / below}: {error.strerror or error}") from error
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__MACOSX":
                continue
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_dir():
                waiting.append(path)
            elif entry.is_file():
                found.append((path.count("/"), path))
    return [path for _, path in sorted(found)]


def find_files(
    declared: Iterable[DataFile], layouts: Layouts, folder: Path, paths: list[str], any_version: bool
) -> tuple[dict[str, Path], list[str]]:
    """({declared file: where it lies below ``folder``}, complaints about files of the same name that are others).

    A file is known by its name (second copies' marks aside) and its published digest; one under another name by its
    digest. ``any_version`` accepts other digests, as miniatures and corrected copies have.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        named[plain(path).rpartition("/")[2].lower()].append(path)
    found: dict[str, Path] = {}
    complaints = []
    for file in declared:
        if file.kind != "file":
            continue
        for name in (file.path, *layouts.instead.get(file.path, ())):
            ends = name.rpartition("/")[2].lower()
            # The one whose folders are named as declared comes first.
            candidates = sorted(named.get(ends, ()), key=lambda path: not plain(path).endswith(name))
            right = [path for path in candidates if any_version or published(folder / path, file)]
            if right:
                found[name] = folder / right[0]
                break
            if candidates:
                complaints.append(
                    f"{folder / candidates[0]} is not the published {name} (another size or digest); it is left out. "
                    "--allow-subset takes it"
                )
        else:
            if file.md5 or file.sha256:
                ends = os.path.splitext(file.path)[1]
                other = next((p for p in paths if p.endswith(ends) and published(folder / p, file)), None)
                if other:
                    found[file.path] = folder / other
    return found, complaints


def published(path: Path, file: DataFile) -> bool:
    """Whether a file has the size and the digests that are declared; those that are not declared are not asked for."""
    if not path.stat().st_size or (file.size is not None and path.stat().st_size != file.size):
        return False
    for algorithm in ("md5", "sha256"):
        if wanted := getattr(file, algorithm):
            digest = hashlib.new(algorithm, path.read_bytes(), usedforsecurity=False)
            if digest.hexdigest() != wanted.lower():
                return False
    return True


def make_plan(
    folder: Path,
    layouts: Layouts,
    paths: list[str],
    listed: Mapping[str, Item] | None = None,
    tables: Iterable[Path] = (),
    compare: bool = True,
) -> Plan:
    """Find the place of every image in ``folder``.

    Args:
        paths: `files_below` of ``folder``.
        listed: {path: item} of the images that the split or the annotations name, where these are known: images in
            other folders, or with other spellings of their names, are looked up there, and classes compared.
        tables: files that are looked into for what a path does not say, besides those in ``folder``.
        compare: whether files for the same place are compared byte for byte; else the first is taken.
    """
    plan = Plan(folder, paths)
    listed = listed or {}
    lookup = _Lookup(listed)
    spellings = layouts.class_spellings()
    at_hand = {path.name: path for path in (*(folder / p for p in reversed(paths) if not listing.is_image(p)), *tables)}
    read = {
        way.name: way.table.read(at_hand[way.table.file])
        for way in layouts.images
        if way.table is not None and way.table.file in at_hand
    }
    clashes: list[tuple[str, str, str]] = []
    for path in paths:
        _note_stranger(plan, layouts, path)
        if not listing.is_image(path):
            continue
        place, cls, way = _place(path, layouts, spellings, read)
        if (not place or (listed and place not in listed)) and (known := lookup.find(path)):
            place, way = known, way or "images under the names that the split lists"
        if not place:
            plan.unused.append(path)
            continue
        name = way.name if isinstance(way, Images) else way
        taken = plan.images.get(place)
        if taken is not None:
            if compare and not filecmp.cmp(folder / taken, folder / path, shallow=False):
                clashes.append((place, taken, path))
            else:
                plan.doubled += 1
            continue
        plan.images[place] = path
        plan.by[name] += 1
        if isinstance(way, Images) and not way.numbered:
            plan.own_names.add(place)
        if cls:
            plan.classes[place] = cls
    _drop_odd_names(plan)
    _compare_classes(plan, listed)
    for place, one, other in clashes[:3]:
        plan.complaints.append(f"{folder / one} and {folder / other} are different images for {place}; remove one")
    if len(clashes) > 3:
        plan.complaints.append(f"… and {len(clashes) - 3} more pairs of different images for one place")
    return plan


def _place(path: str, layouts: Layouts, spellings: Mapping[str, str], read: Mapping[str, Mapping[str, str]]):
    """(place or "", class folder or "", the way that it lies in or "")."""
    for way in layouts.images:
        if way.table is not None and way.name not in read:
            continue
        if found := way.place(path, spellings, read.get(way.name, {})):
            return *found, way
    return "", "", ""


def _note_stranger(plan: Plan, layouts: Layouts, path: str) -> None:
    for stranger in (*layouts.strangers, *ANY_SET):
        if (stranger.what, stranger.remedy) not in plan.strangers and stranger.told_by(path):
            plan.strangers[stranger.what, stranger.remedy] = path


def _drop_odd_names(plan: Plan) -> None:
    """Where most images of a part have their published names, those with other names are none of it."""
    parts = Counter(place.rsplit("/", 2)[0] for place in plan.images)
    odd = Counter(place.rsplit("/", 2)[0] for place in plan.own_names)
    for place in sorted(plan.own_names):
        part = place.rsplit("/", 2)[0]
        if 2 * odd[part] <= parts[part]:
            plan.own_names.remove(place)
            plan.unused.append(plan.images.pop(place))


def _compare_classes(plan: Plan, listed: Mapping[str, Item]) -> None:
    """Where images of one class by their folders are of several by the list, the numbers are not the published ones."""
    classes: dict[str, list[str]] = defaultdict(list)
    for place, cls in plan.classes.items():
        if place in plan.images and place in listed:
            classes[cls].append(place)
    for cls, places in classes.items():
        labels = {listed[place].label for place in places}
        if len(labels) == 1:
            continue
        example = plan.images[places[0]]
        for place in places:
            plan.unused.append(plan.images.pop(place))
        plan.complaints.append(
            f"the {len(places)} images of {cls!r} (e.g. {plan.folder / example}) are of {len(labels)} classes by the "
            "split or the annotations: the numbers of this copy are not the published ones, so which image is which "
            "cannot be told"
        )


class _Lookup:
    """Listed images by their names and by class and name, in spellings that copies share; made when first asked."""

    def __init__(self, listed: Mapping[str, Item]):
        self.listed = listed

    @cached_property
    def _places(self) -> tuple[dict[str, list[str]], dict[tuple[str, str], str]]:
        by_name: dict[str, list[str]] = defaultdict(list)
        by_class: dict[tuple[str, str], str] = {}
        for place, item in self.listed.items():
            parent, _, name = place.rpartition("/")
            by_name[normal(name)].append(place)
            for cls in (parent.rpartition("/")[2], item.classname):
                by_class[normal(cls), normal(name)] = place
        return by_name, by_class

    def find(self, path: str) -> str:
        """The listed place of an image, or "" where none or several could be meant."""
        if not self.listed or not path.lower().endswith(JPEG):
            return ""
        by_name, by_class = self._places
        parent, _, name = plain(path).rpartition("/")
        alike = by_name.get(normal(name), [])
        if len(alike) == 1:
            return alike[0]
        return by_class.get((normal(parent.rpartition("/")[2]), normal(name)), "")
