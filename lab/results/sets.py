"""Which data set a run is of, what a table calls it, whether it is the published one whole, and the papers' order.

A data set is its yaml's label, its registered name, its domains, path and class-name file. Two of them never share a
name in a table: what distinguishes them is added.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from craft.datasets.registry import READERS
from craft.lab.results.layouts import dataset_name, stock_name
from craft.lab.sweeps.catalogue import BENCHMARKS, PROTOCOLS

#: configuration keys that say which data set it is; the rest of DATASET are settings of a run
KEYS = ("DATASET.SOURCE_DOMAINS", "DATASET.TARGET_DOMAINS", "DATASET.PATH", "DATASET.CLASSNAMES")
#: readers of whatever folder they are given: their name says nothing of the data
GENERIC = ("ImageFolder",)


@dataclass(frozen=True)
class DataSet:
    """name: registered. stem: of its yaml; empty where no folder says it. target: as in the folder's label. facts:
    (key, value) of KEYS, as far as the run's configuration has them. subset: it has fewer classes or images than the
    published set of its name, and says how many: ``subset: 11 of 397 classes``."""

    name: str
    stem: str = ""
    target: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    subset: str = ""

    @property
    def stock(self) -> bool:
        """Whether it is the published set of its name, whole, as this project reads it."""
        whose = not self.stem or stock_name(self.stem) == self.name
        moved = any(value for key, value in self.facts if key in ("DATASET.PATH", "DATASET.CLASSNAMES"))
        return whose and not moved and not self.subset and self.name not in GENERIC

    @property
    def shown(self) -> str:
        """Its name in a table, as long as no other has the same."""
        own = self.stem.replace("_", "").lower() == self.name.lower()  # image_folder, of ImageFolder
        if self.name in GENERIC and self.stem and not own:
            text = self.stem
        elif not self.stem or stock_name(self.stem) == self.name:
            text = self.name
        else:
            text = f"{self.name} ({self.stem})"
        text += f"-{self.target}" if self.target else ""
        return f"{text} (subset)" if self.subset else text


def family(one: DataSet) -> str:
    """What a data set is called without its target domain."""
    return replace(one, target="").shown


def data_set(name: str, label: str, flat: dict[str, Any], subset: str = "") -> DataSet:
    """The data set of a run with registered ``name``, folder label ``label`` and flat configuration ``flat``."""
    facts = tuple((key, _text(flat[key])) for key in KEYS if key in flat)
    targets = ",".join(_list(flat.get("DATASET.TARGET_DOMAINS")))
    if targets and label.endswith(f"-{targets}"):
        stem, target = label.removesuffix(f"-{targets}"), targets
    elif not flat.get("DATASET.TARGET_DOMAINS") and stock_name(label.partition("-")[0]) == name:
        stem, _, target = label.partition("-")  # a record that does not say its domains
    else:
        stem, target = label, ""
    return DataSet(name, stem, target, facts, subset)


def _list(value: Any) -> list[str]:
    if isinstance(value, str):
        value = [part.strip(" '\"") for part in value.strip("()[]").split(",")]
    return [str(part) for part in value or () if str(part)]


def _text(value: Any) -> str:
    return ",".join(_list(value)) if isinstance(value, list | tuple) or str(value)[:1] in ("(", "[") else str(value)


def names(sets: Iterable[DataSet]) -> dict[DataSet, str]:
    """A name for each: `DataSet.shown`, with what distinguishes those that would have the same."""
    alike: dict[str, list[DataSet]] = {}
    for one in dict.fromkeys(sets):
        alike.setdefault(one.shown, []).append(one)
    found = {}
    for shown, members in alike.items():
        stems = {one.stem for one in members if one.stem}
        # A key that one of them does not know says nothing against it.
        different = [
            key for key in KEYS if len({dict(one.facts)[key] for one in members if key in dict(one.facts)}) > 1
        ]
        for one in members:
            said = [one.stem] if len(stems) > 1 and one.stem else []
            said += [f"{key.rpartition('.')[2]} {dict(one.facts).get(key, '?') or 'none'}" for key in different]
            found[one] = f"{shown} ({', '.join(said)})" if said else shown
    return found


def part_of(name: str, half: str, classes: int | None, tested: int | None, allowed: bool) -> str:
    """``subset: 11 of 397 classes`` where a run on the published set called ``name`` did not have all of it.

    half: SUBSAMPLE_CLASSES. classes, tested: of the run, None where unknown. allowed: ALLOW_SUBSET, which counts
    where nothing else is known. Empty for a whole set, and for one without published counts.
    """
    expected = getattr(READERS.get(name), "expected", None)
    if expected is None:
        return ""
    first = (expected.classes + 1) // 2
    whole = {"base": first, "new": expected.classes - first}.get(half, expected.classes)
    if classes is not None and classes != whole:
        return f"subset: {classes} of {whole} classes"
    if tested is not None and half == "all" and tested != expected.test:
        return f"subset: {tested:,} of {expected.test:,} test images"
    return "subset" if allowed and classes is None and (tested is None or half != "all") else ""


def found_part(parts: dict[str, list[int]]) -> str:
    """``subset: test 719 of 1,797`` of what a record says was found and published; empty where that is the same."""
    said = ", ".join(f"{name} {found:,} of {whole:,}" for name, (found, whole) in parts.items())
    return f"subset: {said}" if said else ""


def _papers() -> list[str]:
    labels = [*BENCHMARKS]
    for protocol in PROTOCOLS.values():
        labels += [label.replace(":", "-") for label in protocol.datasets]
    return list(dict.fromkeys(labels))


def families_in_order(found: Iterable[DataSet]) -> list[str]:
    """`family` of each, once, in the papers' order; those that no paper names keep theirs, behind."""
    stems = [label.partition("-")[0] for label in _papers()]
    first = {family(one): one.stem for one in found}
    return sorted(first, key=lambda name: stems.index(first[name]) if first[name] in stems else len(stems))


def in_order(shown: Iterable[tuple[str, DataSet]]) -> list[str]:
    """Names of data sets as the papers have them: CoOp's eleven, ImageNet's variants, and what other protocols name.
    Those that no paper names keep their order, behind."""
    order = {dataset_name(label): number for number, label in enumerate(_papers()) if not label.startswith("digits")}
    order = {name: number for name, number in order.items() if "imagenet_ood" not in name}
    every = list(dict.fromkeys(shown))
    base = {name: one.name + (f"-{one.target}" if one.target else "") for name, one in every}
    unique = list(dict.fromkeys(name for name, _ in every))
    return sorted(unique, key=lambda name: order.get(base[name], len(order)))
