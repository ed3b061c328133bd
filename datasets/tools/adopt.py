"""Carrying out a plan of `craft data adopt`: what is missing is fetched or rebuilt, links or copies are laid in a scratch
folder beside the data sets, the reader reads them there as a run would, and what is whole is renamed into place."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import write_json
from craft.datasets import listing
from craft.datasets.layouts.declared import Layouts, layouts_of
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.sources import DataFile, Source
from craft.datasets.splits import Item
from craft.datasets.tools import download
from craft.datasets.tools.adopt_plan import Plan, files_below, find_files, inside, make_plan

Config = Callable[[str, bool], Any]  # (data root, ALLOW_SUBSET) -> the configuration of a run with seed 1


@dataclass
class Adoption:
    """What was planned and what became of it.

    plan        see Plan
    target      the data set's folder
    files       {declared file: where it comes from}: found ones' paths, or a phrase
    laid        declared files and folders that are in place now (or would be) and were not
    lacking     [(declared file, what is wrong with it)]: what could not be had
    complaints  what went wrong, a line each; ``notes`` what is good to know
    said        what the reader printed
    complete    whether the reader read the whole set
    """

    plan: Plan
    target: Path
    files: dict[str, str] = field(default_factory=dict)
    laid: list[str] = field(default_factory=list)
    lacking: list[tuple[DataFile, str]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    said: str = ""
    complete: bool = False


def adopt(
    reader: type[PromptDataset],
    folder: Path,
    root: Path,
    config: Config,
    copy: bool = False,
    dry_run: bool = False,
    fetch: bool = True,
    allow_subset: bool = False,
) -> Adoption:
    """Lay what ``folder`` holds of a data set below ``root`` as CoOp's layout wants it; ``folder`` is only read.

    Args:
        config: makes the configuration that the reader is given.
        copy: copy files instead of linking them.
        dry_run: say what would be done; nothing is written or fetched.
        fetch: fetch small files that are missing (split, annotations, names), never images.
        allow_subset: lay sets that lack images, and take annotations with other digests than the published ones.

    Raises UserError where nothing of the data set is recognised, and where ``root`` and ``folder`` are in each other's
    way. What could not be had is in the result.
    """
    layouts = _declared(reader)
    folder, root = Path(os.path.abspath(folder.expanduser())), Path(os.path.abspath(root.expanduser()))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; unpack the data set and name the folder it is in")
    target = _target(reader, folder, root)
    paths = files_below(folder)
    declared = reader.files_in(target)
    found, complaints = find_files(declared, layouts, folder, paths, allow_subset)
    for path, others in layouts.elsewhere.items():
        there = [root / other for other in others if (root / other).is_file()]
        if path not in found and there:
            found[path] = there[0]
    plan = make_plan(folder, layouts, paths, tables=found.values(), compare=False)
    with _scratch(root, dry_run) as desk:
        work = desk / target.relative_to(root)
        work.mkdir(parents=True)
        job = _Job(reader, layouts, target, work, declared, found, config, desk, plan.numbered, copy)
        result = Adoption(plan, target, complaints=complaints)
        job.gather_files(result, fetch and not dry_run)
        listed = job.listed()
        plan = make_plan(folder, layouts, paths, listed, [work / p for p in job.names() if (work / p).is_file()])
        result.plan = plan
        result.complaints += plan.complaints
        if not plan.images and not any(holds_images(target / f.path) for f in declared if f.kind == "dir"):
            raise UserError(_nothing(reader, plan))
        unsure = job.choose(plan, listed, result, allow_subset)
        if not dry_run:
            job.lay_images(plan, result)
            job.read(result, allow_subset)
            if not result.complete and not allow_subset:
                job.take_back(unsure, result)
        job.name_absent(result)
        if not dry_run:
            job.publish(result)
    return result


@dataclass
class _Job:
    """One adoption at work: ``work`` becomes, or completes, ``target``; ``desk`` stands for the data root meanwhile."""

    reader: type[PromptDataset]
    layouts: Layouts
    target: Path
    work: Path
    declared: tuple[DataFile, ...]
    found: dict[str, Path]
    config: Config
    desk: Path
    numbered: bool
    copy: bool

    def names(self) -> list[str]:
        """Paths of the declared plain files, and of those that do instead."""
        plain = [file.path for file in self.declared if file.kind == "file"]
        return plain + [other for path in plain for other in self.layouts.instead.get(path, ())]

    def wanted(self, file: DataFile) -> bool:
        """Whether a declared file is of use: no published split for images whose names are not the published ones."""
        return file.role != "extra" and not (file.role == "split" and not self.numbered)

    def gather_files(self, result: Adoption, fetch: bool) -> None:
        """Bring the plain files into ``work``: those in place, those found, those that can be made or fetched."""
        for file in self.declared:
            if file.kind != "file" or not self.wanted(file):
                continue
            for path in (file.path, *self.layouts.instead.get(file.path, ())):
                here = self.target / path if (self.target / path).is_file() else self.found.get(path)
                if here is not None:
                    put(here, self.work / path, self.copy)
                    if here != self.target / path:
                        result.files[path] = str(here)
                    break
            else:
                if file.path in self.layouts.made:
                    write_json(self.work / file.path, self.layouts.made[file.path])
                    result.files[file.path] = "known here"
        absent = self._small_and_absent()
        if absent and fetch:
            outcome = download.download_dataset(absent, self.work)
            shutil.rmtree(self.work / ".download", ignore_errors=True)
            for path in outcome.placed:
                file = next(f for f in absent if f.path == path)
                result.files[path] = f"fetched from {file.origin}"
            result.complaints += outcome.failures

    def _small_and_absent(self) -> tuple[DataFile, ...]:
        """Plain files that are missing and can be fetched by themselves: not out of an archive of images."""
        large = {source for file in self.declared if file.kind == "dir" for source in file.sources}
        absent = []
        for file in self.declared:
            if file.kind == "file" and self.wanted(file) and not self._there(file):
                sources = tuple(s for s in file.sources if s not in large and s.scripted)
                if sources:
                    absent.append(dataclasses.replace(file, sources=sources))
        split_there = any(file.role == "split" and self._there(file) for file in self.declared)
        return tuple(file for file in absent if not (file.role == "annotations" and split_there))

    def _there(self, file: DataFile) -> bool:
        return any((self.work / p).is_file() for p in (file.path, *self.layouts.instead.get(file.path, ())))

    def _reader(self, allow_subset: bool) -> PromptDataset:
        return self.reader(self.config(str(self.desk), allow_subset))

    def listed(self) -> dict[str, Item]:
        """{path: item} of all images that the files in ``work`` name; empty where they name none."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                split = self._reader(True).read()
        except UserError:  # made of images, or incomplete: what is wrong is said when the images are there
            return {}
        return {item.path: item for items in split.parts().values() for item in items}

    def choose(
        self, plan: Plan, listed: dict[str, Item], result: Adoption, allow_subset: bool
    ) -> list[tuple[DataFile, str]]:
        """Choose the declared folders of images that are laid: those that are not in place and are whole.

        Returns those that are whole only if the reader says so (with what is odd), because the authors' folder holds
        more images than the data set reads.
        """
        unsure = []
        for file in (f for f in self.declared if f.kind == "dir" and f.role != "extra"):
            if holds_images(self.target / file.path):
                if plan.below(file.path):
                    result.notes.append(
                        f"{self.target / file.path} is in place already and stays; move it away to lay it anew"
                    )
                continue
            images = {to for to in plan.images if inside(to, file.path)}
            problem = incomplete(file, images, listed)
            doubtful = bool(problem) and self._may_do(file, len(images), listed)
            if not images or (problem and not allow_subset and not doubtful):
                result.lacking.append((file, problem or "no image"))
                continue
            if doubtful:
                unsure.append((file, problem))
            result.laid.append(file.path)
        return unsure

    def _may_do(self, file: DataFile, count: int, listed: dict[str, Item]) -> bool:
        """Whether ``count`` images, other than the authors' folder holds, may still be all that is read of it."""
        expected = self.reader.expected
        if listed or expected is None or file.images is None:
            return False
        return min(expected.train, expected.test) <= count

    def lay_images(self, plan: Plan, result: Adoption) -> None:
        """Lay the chosen folders in ``work``, and show the reader those that are in place."""
        lay(
            plan,
            {to: path for to, path in plan.images.items() if any(inside(to, f) for f in result.laid)},
            self.work,
            self.copy,
        )
        for file in self.declared:
            place = self.target / file.path
            if file.kind != "dir" or file.path in result.laid or not place.is_dir():
                continue
            shown = [entry.name for entry in place.iterdir() if entry.is_dir()] if file.path == "." else [""]
            for name in shown:
                if not os.path.lexists(self.work / file.path / name):
                    put(place / name, self.work / file.path / name, copy=False)

    def read(self, result: Adoption, allow_subset: bool) -> None:
        """Read ``work`` as a run with seed 1 does, which makes the split where none is there."""
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                self._reader(allow_subset).load()
            result.complete = True
        except UserError as error:
            result.complaints.append(self._as_in_place(str(error)))
        result.said = self._as_in_place(said.getvalue())
        for file in self.declared:
            path = self.work / file.path
            if file.role == "split" and path.is_file() and not path.is_symlink() and file.path not in result.files:
                result.files[file.path] = "made here with seed 1"
                why = (
                    f"the published one comes from {origins(file)}"
                    if self.numbered
                    else "the images have names of their own, which the published one does not know, so that results do "
                    "not compare with published ones"
                )
                result.notes.append(f"{file.path} was made here with seed 1; {why}")

    def take_back(self, unsure: list[tuple[DataFile, str]], result: Adoption) -> None:
        """Folders that turned out not to be whole are not laid."""
        for file, problem in unsure:
            result.laid.remove(file.path)
            result.lacking.append((file, problem))
            path = self.work / file.path
            if file.path != ".":
                path.unlink() if path.is_symlink() else shutil.rmtree(path)

    def name_absent(self, result: Adoption) -> None:
        """Add to what is lacking the plain files that reading needs; the split is not needed, nor annotations with it."""
        split_there = any(f.role == "split" and self._there(f) for f in self.declared)
        for file in self.declared:
            if file.kind == "file" and not self._there(file):
                if file.role == "required" or (file.role == "annotations" and not split_there):
                    result.lacking.append((file, "not found"))
                elif file.role == "split" and not result.complete:
                    result.notes.append(
                        f"{file.path}, the published split, was not found; it comes from {origins(file)}"
                    )

    def _as_in_place(self, text: str) -> str:
        return text.replace(str(self.work), str(self.target)).replace(str(self.desk), str(self.target.parent))

    def publish(self, result: Adoption) -> None:
        """Rename what was laid into place; without any images nothing is. What ``target`` has already stays."""
        if not result.laid and not any(holds_images(self.target / f.path) for f in self.declared if f.kind == "dir"):
            result.files.clear()
            return
        if not self.target.exists():
            self.target.parent.mkdir(parents=True, exist_ok=True)
            os.rename(self.work, self.target)
            return
        everything = [entry.name for entry in self.work.iterdir()] if "." in result.laid else []
        for path in (*result.laid, *result.files, *everything):
            if path != "." and os.path.lexists(self.work / path) and not os.path.lexists(self.target / path):
                (self.target / path).parent.mkdir(parents=True, exist_ok=True)
                os.rename(self.work / path, self.target / path)


def holds_images(place: Path) -> bool:
    """Whether a folder holds images or folders (of classes), a data set's own caches aside."""
    if not place.is_dir():
        return False
    return any(
        (entry.is_dir() and not entry.name.startswith((".", "split_fewshot"))) or listing.is_image(entry.name)
        for entry in place.iterdir()
    )


def put(source: Path, to: Path, copy: bool) -> None:
    """A link at ``to`` that leads to ``source``, or a copy of it."""
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if copy:
            shutil.copyfile(source, to)
        else:
            os.symlink(source, to, target_is_directory=source.is_dir())
    except OSError as error:
        remedy = "" if copy else "; --copy copies files where links cannot be made"
        raise UserError(f"cannot write {to}: {error.strerror or error}{remedy}") from error


def incomplete(file: DataFile, images: set[str], listed: dict[str, Item]) -> str:
    """``"12 of 7390 images"``, or "" where nothing is missing of a declared folder: by the list, else by number."""
    wanted = [path for path in listed if inside(path, file.path)]
    if wanted:
        gone = [path for path in wanted if path not in images]
        return f"{len(gone)} of {len(wanted)} listed images are missing, e.g. {gone[0]}" if gone else ""
    if file.images is not None and len(images) != file.images:
        return f"{len(images)} of {file.images} images"
    return ""


def lay(plan: Plan, images: dict[str, str], into: Path, copy: bool) -> None:
    """Lay ``images`` ({path below ``into``: path below the plan's folder}); whole folders as one link where they fit."""
    files_in: Counter[str] = Counter()
    for path in plan.paths:
        if listing.is_image(path):
            parts = path.split("/")
            files_in.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    tree: dict = {}
    for to, path in images.items():
        node = tree
        *folders, name = to.split("/")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[name] = path
    _lay_folder(plan.folder, tree, into, copy, files_in)


def _lay_folder(source: Path, tree: dict, into: Path, copy: bool, files_in: Counter[str]) -> None:
    for name, entry in tree.items():
        whole = None if copy or isinstance(entry, str) else _one_folder(entry)
        if isinstance(entry, str):
            put(source / entry, into / name, copy)
        elif whole and files_in[whole[0]] == whole[1]:
            put(source / whole[0], into / name, copy)
        else:
            _lay_folder(source, entry, into / name, copy, files_in)


def _one_folder(tree: dict) -> tuple[str, int] | None:
    """(folder, number of files) where all of ``tree`` lies in one folder under the same names, else None."""
    folders, count = set(), 0
    for name, entry in tree.items():
        if isinstance(entry, str):
            folder, _, base = entry.rpartition("/")
            inner = (entry, 1)
        else:
            found = _one_folder(entry)
            if found is None:
                return None
            inner = found
            folder, _, base = found[0].rpartition("/")
        if base != name:
            return None
        folders.add(folder)
        count += inner[1]
    folder = folders.pop() if len(folders) == 1 else ""
    return (folder, count) if folder else None


@contextlib.contextmanager
def _scratch(root: Path, dry_run: bool) -> Iterator[Path]:
    """A folder that is gone afterwards: below ``root``, so that a rename puts things into place; elsewhere to look only."""
    try:
        if not dry_run:
            root.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".adopt-", dir=None if dry_run else root))
    except OSError as error:
        raise UserError(f"cannot write to {root}: {error.strerror}; choose another --root") from error
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _declared(reader: type[PromptDataset]) -> Layouts:
    layouts = layouts_of(reader)
    if layouts is None:
        raise UserError(
            f"{reader.__name__} has no other layouts declared: bring its folder into the form that its reader reads"
        )
    return layouts


def _target(reader: type[PromptDataset], folder: Path, root: Path) -> Path:
    """The data set's folder below ``root``; UserError where writing to it would change ``folder``."""
    names = reader.dataset_dirs or (reader.dataset_dir,)
    target = next((root / name for name in names if (root / name).is_dir()), root / names[0])
    real, source, base = (Path(os.path.realpath(p)) for p in (target, folder, root))
    if real == source:
        raise UserError(
            f"{folder} is the place where {reader.__name__} belongs, and nothing in it is changed: "
            f"mv {folder} {folder}.original, and adopt {folder}.original"
        )
    if source in base.parents or source == base:
        raise UserError(
            f"--root {root} lies in {folder}, where nothing is changed; name the data set's own folder, or another --root"
        )
    if real in source.parents:
        raise UserError(
            f"{folder} lies in {target}, which is to be written; move it out of there, or name another --root"
        )
    return target


def _nothing(reader: type[PromptDataset], plan: Plan) -> str:
    images = sum(map(listing.is_image, plan.paths))
    what = f"{images} image(s), e.g. {plan.unused[0]}" if plan.unused else f"{len(plan.paths)} file(s) and no image"
    told = "; ".join(f"{what} ({example}): {remedy}" for (what, remedy), example in plan.strangers.items())
    wrong = "; ".join(plan.complaints[:2])
    hint = wrong or told or "these layouts are known: " + ", ".join(w.name for w in _declared(reader).images)
    return f"{plan.folder} holds {what}, and none is laid like {reader.__name__}: {hint}"


def origins(file: DataFile) -> str:
    """Every address that a declared file can be had from."""
    sources: tuple[Source, ...] = file.sources
    return " or ".join(dict.fromkeys(map(str, sources))) or file.origin
