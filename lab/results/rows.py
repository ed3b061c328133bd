"""Which runs may stand in one row: those that differ in nothing but the seed.

Where runs of one method, configuration and column were made with different settings, each setting gets a row of its
own, named by as few keys as tell the rows apart. Where some of a column's runs were tested on other classes or images
than the rest, they are left out with that reason: a row cannot mend that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from craft.lab.results.collect import Result

FIRST = ("MODEL.BACKBONE.NAME", "OPTIM.MAX_EPOCH", "OPTIM.LR")  # what a reader looks for
UNKNOWN = "not recorded"


def differing(groups: Iterable[list[Result]]) -> list[str]:
    """Settings in which the runs of some group differ. A run that does not know a setting says nothing against it."""
    found: set[str] = set()
    for group in groups:
        values: dict[str, str] = {}
        for result in group:
            for key, value in result.settings.items():
                if values.setdefault(key, value) != value:
                    found.add(key)
    return sorted(found, key=lambda key: (FIRST.index(key) if key in FIRST else len(FIRST), key))


def variant(result: Result, keys: list[str]) -> tuple[str, ...]:
    return tuple(result.settings.get(key, UNKNOWN) for key in keys)


def fewest(keys: list[str], variants: set[tuple[str, ...]]) -> list[str]:
    """As few of ``keys`` as still tell all ``variants`` apart, the first ones preferred."""
    kept = list(range(len(keys)))
    for number in reversed(range(len(keys))):
        rest = [one for one in kept if one != number]
        if len({tuple(each[one] for one in rest) for each in variants}) == len(variants):
            kept = rest
    return [keys[one] for one in kept]


def odd_ones(results: list[Result]) -> dict[int, str]:
    """Of the runs of one column, those that were tested on something else than most: ``id`` -> the reason.

    Most means most runs; of two that are equally many the larger counts, as the one that is less of a part.
    """
    odd: dict[int, str] = {}
    for name, what in (("classes", "classes"), ("tested", "test images")):
        known = [(result, getattr(result, name)) for result in results if getattr(result, name) is not None]
        for result, value, usual in _unlike_most(known):
            odd.setdefault(id(result), f"it was tested on {value:,} {what}, the others on {usual:,}")
    for name, what in (("parts", "images"), ("files", "image files"), ("classnames", "class names")):
        digests = [(result, digest) for result in results if (digest := _split(result, name))]
        for result, digest, usual in _unlike_most(digests):
            odd.setdefault(id(result), f"it was tested with other {what} ({digest}, the others {usual})")
    return odd


def _unlike_most(known: list[tuple[Result, Any]]) -> list[tuple[Result, Any, Any]]:
    """(run, its value, that of most) of the runs whose value is not the most frequent, or of these the largest."""
    counts = Counter(value for _, value in known)
    if len(counts) < 2:
        return []
    usual = max(counts, key=lambda value: (counts[value], value))
    return [(result, value, usual) for result, value in known if value != usual]


def test_digest(result: Result) -> str:
    """Digest of the test images, in their order, with labels; empty for records that have none by itself."""
    return _split(result, "parts")


def _split(result: Result, name: str) -> str:
    found = ((result.record or {}).get("split") or {}).get(name) or ""
    return str(found.get("test") or "") if isinstance(found, dict) else str(found)


def other_shots(one: Result, other: Result) -> bool:
    """Whether it is known that two runs of one seed drew other shots."""
    return bool(one.few_shot and other.few_shot and one.few_shot != other.few_shot)
