"""Every kind of file that the project writes, damaged: cut short and one bit flipped, at every 1/64 of its length, and
bits flipped at random. Whoever reads it next must come to the same numbers, or say in one line what is wrong.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.soak import runs
from tests.soak.children import Child, Ended, command, scratch
from tests.soak.tally import Tally

PLACES = 64


@dataclass(frozen=True)
class Kind:
    """A kind of file. files: the pattern of its files below ``home``. home: a folder that is copied for every trial.

    read: of the copy, the command that reads the file next. result: of the copy, what its reader came to.
    """

    name: str
    home: Path
    files: str
    read: Callable[[Path], list[str]]
    result: Callable[[Path, Ended], object]
    #: whether a reader of many files, which goes on, says what is wrong with this one and gives no number of it
    named: Callable[[Ended], bool] | None = None


def run(random_flips: int, seed: int, every: int = 1, share: tuple[int, int] = (0, 1)) -> Tally:
    """Every ``every``-th of 64 places cut and flipped, and random flips, of all kinds: of them those of a ``share``,
    (2, 5) being the third of five."""
    draw = random.Random(seed)
    with scratch() as folder:
        kinds = _kinds(folder)[share[0] :: share[1]]
        tally = Tally("damage", len(kinds) * (2 * len(range(0, PLACES, every)) + random_flips))
        for kind in kinds:
            files = sorted(kind.home.glob(kind.files))
            assert files, f"no {kind.files} in {kind.home}"
            expected = _read(kind, folder)[1]
            for number, (how, change) in enumerate(_damages(random_flips, every, draw)):
                path = files[number % len(files)].relative_to(kind.home)
                ended, result = _read(kind, folder, path, change)
                outcome = ended.outcome(lambda result=result, expected=expected: result == expected)
                if outcome == "other numbers" and kind.named and kind.named(ended):
                    outcome = "refused"
                tally.add(kind.name, outcome, f"{path}, {how}: {ended.last()}")
    return tally


def _damages(random_flips: int, every: int, draw: random.Random) -> Iterator[tuple[str, Callable[[bytes], bytes]]]:
    """(words for it, bytes -> damaged bytes)"""
    for place in range(0, PLACES, every):
        yield f"cut at {place}/{PLACES}", lambda whole, place=place: whole[: len(whole) * place // PLACES]
        bit = draw.randrange(8)
        yield (
            f"bit {bit} flipped at {place}/{PLACES}",
            lambda whole, place=place, bit=bit: _flip(whole, len(whole) * place // PLACES, bit),
        )
    for _ in range(random_flips):
        share, bit = draw.random(), draw.randrange(8)
        yield (
            f"bit {bit} flipped at {share:.6f}",
            lambda whole, share=share, bit=bit: _flip(whole, int(len(whole) * share), bit),
        )


def _flip(whole: bytes, at: int, bit: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]


def _read(kind: Kind, folder: Path, path: Path | None = None, change=None) -> tuple[Ended, object]:
    """What the reader of a fresh copy of ``kind.home`` says, after ``path`` in it was changed."""
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    # Images are many and not written to again: a link to their folder does, where they are not what is damaged.
    linked = [] if kind.files.startswith("cache/digits") else ["digits"]
    shutil.copytree(kind.home, copy, ignore=shutil.ignore_patterns(*linked))
    for name in linked:
        (copy / "cache" / name).symlink_to(kind.home / "cache" / name)
    if path is not None:
        whole = (copy / path).read_bytes()
        (copy / path).write_bytes(change(whole))
    ended = Child(kind.read(copy), environment={"CRAFT_CACHE": str(copy / "cache")}).wait()
    try:
        return ended, kind.result(copy, ended) if ended.status == 0 else None
    except Exception as error:
        return ended, f"{type(error).__name__}: {error}"


def _kinds(folder: Path) -> list[Kind]:
    """A folder is ``home``: with a cache, draws, a run that is done, and one that was interrupted after an epoch."""
    home = folder / "home"
    cache = {"CRAFT_CACHE": str(home / "cache")}
    options = ["TEST.FINAL_MODEL", "best_val"]
    done = command(runs.arguments(home / "done", "CoOpCraft", *options), environment=cache)
    assert done.status == 0, done.output
    begun = Child(runs.arguments(home / "begun", "CoOpCraft", *options), _interrupt_after(2), cache).wait()
    assert (home / "begun/state.pth.tar").is_file(), begun.output
    from tests.fixtures_data.trees import make_tree

    # The miniature of a set with a split file and of one whose folders are listed.
    make_tree(home / "data", "DescribableTextures", "ImageNet", splits=False)
    small = ["DATASET.ALLOW_SUBSET", "True", "DATASET.CACHE_DIR", ""]

    def train(where: str) -> Callable[[Path], list[str]]:
        return lambda copy: runs.arguments(copy / where, "CoOpCraft", *options)

    def again(copy: Path) -> list[str]:
        return runs.arguments(copy / "again", "CoOpCraft", *options)

    def zero(name: str) -> Callable[[Path], list[str]]:
        data = ["--root", "{}/data", "--dataset-config-file", name]

        def words(copy: Path) -> list[str]:
            where = [word.format(copy) for word in data]
            return [*runs.arguments(copy / "zero", "ZeroshotCLIP", *where), *small]

        return words

    def evaluate(copy: Path) -> list[str]:
        return runs.arguments(
            copy / "evaluated", "CoOpCraft", "--eval-only", "--model-dir", str(copy / "done"), *options
        )

    def results(where: str) -> Callable[[Path, Ended], object]:
        return lambda copy, ended: runs.numbers(copy / where)

    def metrics(copy: Path, ended: Ended) -> object:  # earlier checkpoints are not read by a run that goes on
        return runs.json_of(copy / "begun" / "metrics.json"), runs.learned(copy / "begun", f"*{runs.EPOCHS}*")

    def results_alone(copy: Path, ended: Ended) -> object:
        return runs.json_of(copy / "evaluated" / "metrics.json")["results"]

    def table(copy: Path) -> list[str]:
        return ["results", "table", str(copy / "done")]

    def missing(ended: Ended) -> bool:
        return "missing: " in ended.output and "(unreadable: " in ended.output

    def split(copy: Path, ended: Ended) -> object:
        found = runs.json_of(copy / "zero/metrics.json")
        return found["results"], found["split"]["parts"], found["split"]["classnames"]

    for path in [p for p in (home / "data").rglob("*") if p.is_dir()]:  # of folders written just now no listing is kept
        os.utime(path, (time.time() - 60,) * 2)
    for name in ("dtd", "imagenet"):
        made = Child(zero(name)(home), environment=cache).wait()
        assert made.status == 0, made.output
        shutil.rmtree(home / "zero")
    return [
        Kind("checkpoint", home, "done/prompt_learner/model-best*", evaluate, results_alone),
        Kind("state", home, "begun/state*", train("begun"), results("begun")),
        Kind("checkpoints of a run that goes on", home, "begun/prompt_learner/*", train("begun"), metrics),
        Kind("run.json of a run that goes on", home, "begun/run.json", train("begun"), results("begun")),
        Kind("run.json of a run that is done", home, "done/run.json", train("done"), results("done")),
        Kind("run.json in tables", home, "done/run.json", table, lambda copy, ended: ended.output, missing),
        Kind("metrics.json in tables", home, "done/metrics.json", table, lambda copy, ended: ended.output, missing),
        Kind("cache of texts", home, "cache/texts/*", zero("dtd"), split),
        Kind("cache of image features", home, "cache/images/*", again, results("again")),
        Kind("cache of anchors", home, "cache/anchors/*", again, results("again")),
        Kind("few-shot draw", home, "draws/*/split_fewshot/*.json", again, results("again")),
        Kind("manifest of generated images", home, "cache/digits/*/manifest.json", again, results("again")),
        Kind("generated images", home, "cache/digits/*/*/*/*.png", again, results("again")),
        Kind("split file", home, "data/dtd/split_*.json", zero("dtd"), split),
        Kind("listing of folders", home, "data/imagenet/listing-*.json", zero("imagenet"), split),
    ]


def _interrupt_after(epochs: int) -> Callable[[], None]:
    def before() -> None:
        from craft.trainers.engine.prompt_trainer import PromptTrainer

        original = PromptTrainer.run_epoch

        def run_epoch(self):
            if self.epoch == epochs:
                raise KeyboardInterrupt
            original(self)

        PromptTrainer.run_epoch = run_epoch  # type: ignore[method-assign]

    return before
