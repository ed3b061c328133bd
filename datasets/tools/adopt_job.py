"""One adoption at work: what is missing is fetched or made, links or copies are laid in a scratch folder, the reader
reads them there as a run would, and what is whole is renamed into place."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import write_json
from craft.datasets.layouts.declared import Layouts
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.sources import DataFile
from craft.datasets.splits import Item
from craft.datasets.tools import download
from craft.datasets.tools.adopt_lay import holds_images, lay, put
from craft.datasets.tools.adopt_plan import Plan, inside

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


@dataclass
class Job:
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

    def check_names(self, folder: Path) -> None:
        """UserError where a split in place is to be joined by images that it cannot know."""
        laid = any(holds_images(self.target / f.path) for f in self.declared if f.kind == "dir")
        for file in self.declared:
            if file.role == "split" and not self.numbered and not laid and (self.target / file.path).is_file():
                raise UserError(
                    f"{self.target / file.path} is in place, and the images in {folder} have names of their own, which "
                    "it does not know; move it away, and a split of these images is made"
                )

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

    def make_labels(self, plan: Plan, result: Adoption) -> None:
        """Make the file of class numbers, where it is missing and the folders of all images say them."""
        path, variable = self.layouts.labels or ("", "")
        file = next((f for f in self.declared if f.path == path), None)
        split_there = any(f.role == "split" and self._there(f) for f in self.declared)
        if file is None or split_there or self._there(file) or not plan.images:
            return
        numbers = [plan.classes.get(place, "") for place in sorted(plan.images)]
        if all(map(str.isdecimal, numbers)) and len(numbers) in self._counts():
            from scipy.io import savemat

            savemat(self.work / path, {variable: [[int(number) for number in numbers]]})
            result.files[path] = "made of the folders of class numbers"

    def _counts(self) -> set[int]:
        """How many images make the set whole."""
        return {file.images for file in self.declared if file.kind == "dir" and file.images is not None}

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
                    else "the images have names of their own, which the published one does not know, so that results "
                    "do not compare with published ones"
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
        """Add to what is lacking the plain files that reading needs: not the split, nor annotations beside it."""
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


def incomplete(file: DataFile, images: set[str], listed: dict[str, Item]) -> str:
    """``"12 of 7390 images"``, or "" where nothing is missing of a declared folder: by the list, else by number."""
    wanted = [path for path in listed if inside(path, file.path)]
    if wanted:
        gone = [path for path in wanted if path not in images]
        if images and len(gone) == len(wanted):
            return f"none of the {len(wanted)} listed images is there under its published name, e.g. {gone[0]}"
        return f"{len(gone)} of {len(wanted)} listed images are missing, e.g. {gone[0]}" if gone else ""
    if file.images is not None and len(images) != file.images:
        return f"{len(images)} of {file.images} images"
    return ""


def origins(file: DataFile) -> str:
    """Every address that a declared file can be had from."""
    return " or ".join(dict.fromkeys(map(str, file.sources))) or file.origin
