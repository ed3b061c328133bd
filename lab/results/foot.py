"""What stands below a table of the runs in it: which epoch, how many classes and images, which split and shots; whether
zero-shot runs are near the published numbers; what the test set's size allows to tell."""

from __future__ import annotations

from collections.abc import Iterable

from craft.common.files import digest_json
from craft.lab.results import rows, stats, zeroshot
from craft.lab.results.collect import Result
from craft.lab.results.grid import Grid

SMALL = 2000  # test images: below it, one more right answer is seen in the table
MANY = 6  # digests that are written out; of more, one digest of all


def of(grid: Grid, cells: dict[tuple[str, str], dict[int, Result]]) -> list[str]:
    """The lines for a table whose ``cells`` are made of these runs."""
    results = list({id(result): result for cell in cells.values() for result in cell.values()}.values())
    if not results:
        return []
    lines = [line for result in results for line in result.remarks]
    lines += zeroshot.lines(results)
    lines += _tested(results) + _epochs(results) + _digests(results) + subsets(results)
    return lines + _binomial(grid, cells) + _two_seeds(grid)


def _span(values: Iterable[int | None]) -> str:
    known = sorted({value for value in values if value is not None})
    if not known:
        return ""
    return f"{known[0]:,}" if len(known) == 1 else f"{known[0]:,} to {known[-1]:,}"


def _tested(results: list[Result]) -> list[str]:
    classes, images = _span(r.classes for r in results), _span(r.tested for r in results)
    said = [f"{classes} classes"] * bool(classes) + [f"{images} images"] * bool(images)
    return [f"tested on {', '.join(said)}"] if said else []


def _epochs(results: list[Result]) -> list[str]:
    rules = sorted({result.epoch for result in results if result.epoch})
    return [f"epoch of trained prompts: {', '.join(rules)}"] if rules else []


def _digests(results: list[Result]) -> list[str]:
    lines = []
    tests = {f"{r.dataset} {digest}": digest for r in results if (digest := rows.test_digest(r))}
    for what, found in (
        ("test images", tests),
        ("split", {f"{r.dataset} seed {r.seed} {r.split}": r.split for r in results if r.split}),
        ("few-shot lists", {f"{r.dataset} seed {r.seed} {r.few_shot}": r.few_shot for r in results if r.few_shot}),
    ):
        digests = sorted(set(found.values()))
        if len(digests) > MANY:
            lines.append(f"{what}: {len(digests)} digests, all together {digest_json(sorted(found))[:16]}")
        elif digests:
            lines.append(f"digest of {what}: {', '.join(digests)}")
    return lines


def subsets(results: list[Result]) -> list[str]:
    """A line a data set that is not the whole published one of its name."""
    found: dict[str, dict[str, None]] = {}
    for result in results:
        if result.data.subset:
            found.setdefault(result.dataset, {})[result.data.subset.removeprefix("subset: ")] = None
    return [f"{name}: not the published set, but {'; '.join(said)}" for name, said in found.items()]


def _binomial(grid: Grid, cells: dict[tuple[str, str], dict[int, Result]]) -> list[str]:
    """The error that the number of test images alone gives an accuracy, where it is seen: single runs, small sets."""
    worst, count = 0.0, 0
    single = False
    for (row, column), cell in cells.items():
        if grid.table.main != "accuracy" or (grid.table.columns == "metrics" and column != "accuracy"):
            continue  # other metrics are not shares of all images
        for seed, result in cell.items():
            value = grid.values.get((row, column), {}).get(seed)
            if result.tested and value is not None and 0 <= value <= 100:
                single = single or len(cell) == 1
                error = stats.binomial_error(value, result.tested)
                if error > worst:
                    worst, count = error, result.tested
    if not worst or not (single or count < SMALL):
        return []
    return [
        f"the test set itself: an accuracy over {count:,} images has a standard error of up to {worst:.2f} points, a "
        f"difference of two that err independently up to {worst * 2**0.5:.2f}; more seeds do not lessen it"
    ]


def _two_seeds(grid: Grid) -> list[str]:
    if any(found.n == 2 for *_, found in grid.differences()):
        return ["n=2: no interval; two differences cannot tell a gain from chance, whatever they are"]
    return []


def setting(results: Iterable[Result], seeds: Iterable[int]) -> dict[str, str]:
    """What all of them have in common, as text: backbone, config, shots, source, seeds."""
    results = list(results)
    found = {}
    for name in ("backbone", "config", "shots", "source"):
        values = {str(value) for result in results if (value := getattr(result, name))}
        if len(values) == 1:
            found[name] = values.pop()
    if numbers := sorted(set(seeds)):
        found["seeds"] = " ".join(map(str, numbers))
    return found
