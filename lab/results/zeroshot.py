"""Zero-shot runs held against the published numbers: CLIP without learning is known to a decimal, so a run of it that
is far off says that data, texts or weights are not those that the papers' numbers stand on. Here is the comparison, and
what a run's record can tell of the cause; `craft data verify` makes the runs, tables and report show it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from craft.datasets.registry import READERS
from craft.lab.results.collect import Result
from craft.lab.results.published import PaperTable, Published, tables
from craft.lab.sweeps.catalogue import SINGLE_RUNS
from craft.runs import identity

METHOD = "ZeroshotCLIP"
NEAR, FAR, NONE = "near", "far", "cannot be compared"
POINTS = 1.0  # as far as a run may be from the paper: rounding, precision and decoders make up a tenth or two
#: what a part of the classes is called in DATASET.SUBSAMPLE_CLASSES -> its metric in the published tables
PARTS = {"all": "accuracy", "base": "base", "new": "new"}
CAUSES = (
    "weights that are not OpenAI's of that name",
    "another text template than the data set's own, or class names that were changed or stand in another order",
    "images that were replaced, re-encoded or are missing",
    "a split that was made anew, where the papers read the published one (split_zhou_*.json)",
    "another crop, size or interpolation of the test images than the backbone's own (bicubic, centre crop)",
    "a part of the images or classes, or all classes where the number is of base or new ones",
)


@dataclass(frozen=True)
class Check:
    """One zero-shot run and the number that a paper has for it.

    part: all, base or new. accuracy: of the run, per cent. expected: None where it cannot be compared, for the reason
    ``why``. told: what its record says that may be the cause; facts: what it used, by name.
    """

    result: Result
    part: str
    accuracy: float
    expected: Published | None = None
    why: str = ""
    told: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def difference(self) -> float:
        return self.accuracy - self.expected.value if self.expected else float("nan")

    @property
    def verdict(self) -> str:
        # Rounded, or 96.84 - 95.84 would be more than a point.
        return NONE if self.expected is None else FAR if abs(round(self.difference, 6)) > POINTS else NEAR


def known_parts(name: str, backbone: str) -> list[str]:
    """The parts of the classes of the data set registered as ``name`` of which a paper has a number of ``backbone``."""
    return [part for part in PARTS if any(table.backbone == backbone for table, _ in _numbers(name, part))]


def checks(results: Iterable[Result]) -> list[Check]:
    """A check for every zero-shot run with a result, in their order."""
    return [check(result) for result in results if result.trainer == METHOD and "accuracy" in result.metrics]


def check(result: Result) -> Check:
    part = str(_flat(result).get("DATASET.SUBSAMPLE_CLASSES", "")) or _part_of_phase(result)
    accuracy, facts = result.metrics["accuracy"], tuple(_facts(result).items())
    found, why = _expected(result, part)
    if found is None:
        return Check(result, part, accuracy, why=why, facts=facts)
    return Check(result, part, accuracy, found, told=tuple(_told(result, part, accuracy)), facts=facts)


def worst(found: Iterable[Check]) -> list[Check]:
    """Of each data set, backbone and part the check that is farthest off; seeds and folders change little else."""
    kept: dict[tuple[str, str, str], Check] = {}
    for one in found:
        key = (one.result.dataset, one.result.backbone, one.part)
        if key not in kept or not abs(one.difference) <= abs(kept[key].difference):
            kept[key] = one
    names = list(dict.fromkeys(one.result.dataset for one in kept.values()))
    return sorted(kept.values(), key=lambda one: (names.index(one.result.dataset), list(PARTS).index(one.part)))


def lines(results: Iterable[Result]) -> list[str]:
    """What a table's foot says: a line a data set that is far, and one that is near. Nothing of runs that cannot be
    compared: the table says of them why no published number is shown."""
    found: dict[tuple[str, str], list[Check]] = {}
    for one in worst(checks(results)):
        if one.verdict != NONE:
            found.setdefault((one.verdict, one.result.dataset), []).append(one)
    said = []
    for (verdict, name), members in sorted(found.items(), key=lambda entry: entry[0][0] != FAR):
        numbers = "; ".join(comparison(one) for one in members)
        if verdict == NEAR:
            said.append(f"{name}: zero-shot check passed, {numbers}")
            continue
        told = dict.fromkeys(cause for one in members for cause in one.told)
        cause = f"; its record says: {'; '.join(told)}" if told else ""
        said.append(
            f"{name}: zero-shot check FAILED, {numbers}: data, templates or weights are not the published ones{cause} "
            "(`craft data verify` says more)"
        )
    return said


def comparison(one: Check) -> str:
    """``base 96.80, published 96.84``."""
    theirs = f", published {one.expected.value:.2f}" if one.expected else ""
    return f"{one.part} {one.accuracy:.2f}{theirs}"


# -- the number of the paper ------------------------------------------------------------------------------------------


def _numbers(name: str, part: str) -> list[tuple[PaperTable, float]]:
    found = []
    for table in tables():
        value = table.values.get(name, {}).get(METHOD, {}).get(PARTS.get(part, ""))
        if value is not None:
            found.append((table, value))
    return found


def _expected(result: Result, part: str) -> tuple[Published | None, str]:
    """The published number, or why there is none for this run."""
    name, backbone = result.data.name, result.backbone
    backbones = sorted({table.backbone for table in tables()})
    if backbone not in backbones:
        what = "the demonstration's backbone, a toy of which no paper has a number" if backbone == "demo" else ""
        known = f"published numbers are known here of {', '.join(backbones)}"
        return None, f"{what}; {known}" if what else f"{known}, not of {backbone or 'a backbone that is not recorded'}"
    numbers = _numbers(name, part)
    if not numbers:
        others = ", ".join(known_parts(name, backbone))
        rest = f"; one is known of its classes: {others}" if others else ""
        return None, f"no published zero-shot number of {name} ({part} classes) is known here{rest}"
    if result.data.subset:
        return None, f"{name} is not the whole published set: {result.data.subset}"
    reasons = [table.against(METHOD, result, SINGLE_RUNS) for table, _ in numbers]
    for (table, value), wrong in zip(numbers, reasons):
        if not wrong:
            return Published(value, table.cited), ""
    return None, reasons[0]


def _part_of_phase(result: Result) -> str:
    """Of a run that left a log without its configuration."""
    return {"base2new/train_base": "base", "base2new/test_new": "new"}.get(result.phase, "all")


# -- what the record tells --------------------------------------------------------------------------------------------


def _flat(result: Result) -> dict[str, Any]:
    return identity.flatten(result.told.get("config") or {})


def _told(result: Result, part: str, accuracy: float) -> list[str]:
    """What of a run's record differs from the papers' setting, and what its number looks like."""
    flat, split, reader = _flat(result), result.told.get("split") or {}, READERS.get(result.data.name)
    found = []
    if split.get("made_here"):
        name = getattr(reader, "split_file", "") or "the published split"
        found.append(f"its split was made here, not read from the published {name}")
    own, template = getattr(reader, "template", ""), flat.get("DATASET.TEMPLATE")
    if template and own and template != own:
        found.append(f"DATASET.TEMPLATE is {template!r}, the data set's own is {own!r}")
    if (interpolation := flat.get("INPUT.INTERPOLATION", "bicubic")) != "bicubic":
        found.append(f"INPUT.INTERPOLATION is {interpolation}, CLIP's is bicubic")
    if flat.get("DATASET.BAD_IMAGES", "error") != "error":
        found.append(f"DATASET.BAD_IMAGES is {flat['DATASET.BAD_IMAGES']}: images that cannot be read were passed over")
    found += _looks_like(result, part, accuracy)
    return found


def _looks_like(result: Result, part: str, accuracy: float) -> list[str]:
    for other in PARTS:
        for table, value in _numbers(result.data.name, other):
            if other != part and table.backbone == result.backbone and abs(accuracy - value) <= POINTS:
                return [f"its number is that of {other} classes (published {value:.2f}), not of {part}"]
    if result.classes and accuracy < 2 * 100 / result.classes:
        return [
            f"its number is hardly above chance ({100 / result.classes:.2f} with {result.classes} classes): labels and "
            "class names do not belong together"
        ]
    return []


def _facts(result: Result) -> dict[str, str]:
    """What a run used, as far as its record says it."""
    flat, split, reader = _flat(result), result.told.get("split") or {}, READERS.get(result.data.name)
    backbone = result.told.get("backbone") or {}
    counts = getattr(reader, "expected", None)
    whole = f" (published set: {counts.test:,} of all classes)" if counts else ""
    made = "" if split.get("made_here") is None else "made here" if split["made_here"] else "read"
    found = {
        "weights": " ".join(filter(None, [result.backbone, str(backbone.get("fingerprint") or "")])),
        "template": str(flat.get("DATASET.TEMPLATE") or getattr(reader, "template", "")),
        "test images": f"{result.tested:,}{whole}" if result.tested is not None else "",
        "classes": str(result.classes or ""),
        "class names": str(split.get("classnames") or ""),
        "split": " ".join(filter(None, [result.split, made])),
    }
    return {name: text for name, text in found.items() if text}
