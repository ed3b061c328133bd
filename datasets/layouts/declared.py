"""What a file of this folder declares, and how a declared pattern is read: from the path that an image has in
somebody's folder to the path that it has in CoOp's layout. No data set is known by name here."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from craft.datasets.annotations import read_lines

#: What file managers and merged copies add to a name: ``a (1).jpg``, ``a - Copy.jpg``, ``a copy 2.jpg``.
DOUBLED = re.compile(r"(?: ?\(\d+\)| - Copy(?: ?\(\d+\))?| copy(?: \d+)?)(?=\.[^./]+$)", re.IGNORECASE)

IMAGE_ENDING, SIGNS, LEADING_ZEROS = re.compile(r"\.(?:jpe?g|png)$"), re.compile(r"[^a-z0-9]"), re.compile(r"0*(\d+)")


def plain(path: str) -> str:
    """``path`` without what marks a second copy of a file."""
    return DOUBLED.sub("", path)


def normal(text: str) -> str:
    """``text`` as spellings share it: no extension of an image, no case, signs or leading zeros of numbers."""
    return LEADING_ZEROS.sub(r"\1", SIGNS.sub("", IMAGE_ENDING.sub("", text.lower())))


class Field(str):
    """A part of a path. ``{n:05}`` writes a number with five digits, ``{action:words}`` sets ``_`` between the words of
    ``ApplyEyeMakeup``."""

    def __format__(self, spec: str) -> str:
        if spec == "words":
            return "_".join(re.findall(r"[A-Z][^A-Z]*", self))
        return format(int(self), spec) if spec else str(self)


@dataclass(frozen=True)
class Table:
    """A file that says of each image what its path does not.

    file    its name, wherever it lies
    line    pattern of a line with the groups ``key`` and, unless the row's number is meant (from 0), ``value``
    key     the pattern's group that is looked up; the answer is called ``looked_up`` in Images.to
    """

    file: str
    line: str
    key: str

    def read(self, path: Path) -> dict[str, str]:
        """{key: value or row}; lines that the pattern does not match are passed over. UserError where unreadable."""
        found, pattern = {}, re.compile(self.line)
        for row, (_, line) in enumerate(read_lines(path)):
            if match := pattern.match(line):
                found[match["key"]] = match.groupdict().get("value") or str(row)
        return found


@dataclass(frozen=True)
class Images:
    """One way in which images are laid, and where each belongs.

    name        what people know the layout by, for the plan
    tail        pattern (regular expression) of the end of an image's path, from the start of a folder's or file's name
    to          its path below the data set's folder; ``{group}`` stands for a group of the pattern, see Field
    without     pattern that must be nowhere in the path: another set with the same names
    spelling    {new field: (group, {as spelt: as wanted})}: a group with some of its values spelt otherwise
    table       file to look a group up in
    numbered    whether images have their published names; False where they have names of their own, so that neither a
                published split nor a published draw of shots can mean the same images
    """

    name: str
    tail: str
    to: str
    without: str = ""
    spelling: Mapping[str, tuple[str, Mapping[str, str]]] = field(default_factory=dict)
    table: Table | None = None
    numbered: bool = True

    @cached_property  # kept in the instance's dict, which a frozen dataclass leaves open
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
        return re.compile(f"(?:^|/){self.tail}$"), re.compile(self.without, re.IGNORECASE) if self.without else None

    def place(self, path: str, classes: Mapping[str, str], table: Mapping[str, str]) -> tuple[str, str] | None:
        """(path in CoOp's layout, class folder that the path names or ""), or None for a path laid otherwise.

        Args:
            path: relative to the folder that is looked at, with /.
            classes: {normal spelling: folder} of Layouts; empty where any class will do.
            table: what ``table`` says, empty where there is none.
        """
        pattern, without = self._patterns
        match = pattern.search(plain(path))
        if match is None or (without and without.search(path)):
            return None
        fields = {name: Field(text or "") for name, text in match.groupdict().items()}
        if classes and "cls" in fields:
            known = classes.get(normal(fields["cls"]))
            if known is None:
                return None
            fields["cls"] = Field(known)
        if self.table is not None:
            if fields[self.table.key] not in table:
                return None
            fields["looked_up"] = Field(table[fields[self.table.key]])
        for new, (old, others) in self.spelling.items():
            fields[new] = Field(others.get(fields[old], fields[old]))
        return self.to.format_map(fields), fields.get("cls", "")


@dataclass(frozen=True)
class Stranger:
    """Files that tell of something else than the data set, or of a form of it that cannot be laid.

    what    what it is; ``remedy`` what to do
    sign    pattern of a file's whole path (searched, case ignored)
    """

    what: str
    sign: str
    remedy: str

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.sign, re.IGNORECASE)

    def told_by(self, path: str) -> bool:
        """Whether the file at ``path`` is such a one."""
        return self._pattern.search(path) is not None


@dataclass(frozen=True)
class Layouts:
    """How a data set lies at other people's.

    images      the ways, the most telling first: an image belongs to the first that matches it
    folders     names that its folder goes by, for `craft data check`, which proposes to adopt such a folder
    classes     folders of the classes, where images are only told by them; spellings that are ``normal`` alike agree
    also        {class folder: other spellings of it}
    instead     {declared file: names of files that do as well and keep their names}
    made        {declared file: its content as JSON}: annotations that are facts and known here
    labels      (declared file, variable) of a MATLAB file with the class number of every image in the order of their
                places: made of folders that are called by class numbers, where all images lie in such
    elsewhere   {declared file: paths below the data root where another set has the same file}
    strangers   see Stranger
    """

    images: tuple[Images, ...]
    folders: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    also: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    made: Mapping[str, object] = field(default_factory=dict)
    labels: tuple[str, str] | None = None
    elsewhere: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    strangers: tuple[Stranger, ...] = ()

    def class_spellings(self) -> dict[str, str]:
        """{normal spelling: folder} of ``classes`` and ``also``."""
        known = {normal(folder): folder for folder in self.classes}
        return known | {normal(other): folder for folder, others in self.also.items() for other in others}


#: What no set's layout knows, whichever it is.
ANY_SET = (
    Stranger(
        "a data set of Hugging Face as parquet or arrow files",
        r"\.(?:parquet|arrow)$",
        "such files are not read here: write the images out with the library that made them, each under its own file "
        "name (the image column's path), and adopt that folder",
    ),
    Stranger("an archive", r"\.(?:zip|tar|tgz|tar\.\w+|7z|rar)$", "unpack it (anywhere) and adopt that folder"),
    Stranger("images packed into one file", r"\.(?:h5|hdf5|npz|npy|tfrecord\S*|lmdb|mdb)$", "adopt the image files"),
)


def layouts_of(reader: type) -> Layouts | None:
    """What is declared for a reader in the file that is called like its own; None where nothing is."""
    name = f"{__package__}.{reader.__module__.rpartition('.')[2]}"
    try:
        return importlib.import_module(name).LAYOUTS
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
