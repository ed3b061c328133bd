"""What the documents say, taken apart for the tests: their commands, and the files, functions and links that they name.

A command is a line of an indented or fenced block, or a span in backticks, that starts with a program of this project.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conftest import PROJECT

PAGES = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "DATASETS.md")]
PAGES += sorted(path for path in (PROJECT / "docs").rglob("*.md") if not path.is_symlink())
ROOMS = ("craft", "bundled", "datasets", "anchors", "trainers", "inference", "lab")

STARTS = re.compile(
    r"(?:[A-Z_]+=\S+ )*(?:craft|python -m craft\S*|python -m anchors|python train\.py|bash scripts/\S+)(?= |$)"
)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


class Command(NamedTuple):
    """where: the file that names it. words: as a shell would have them. whole: it is a line, not a span in a sentence,
    and nothing of it is left out."""

    where: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.where}: {shlex.join(self.words)}"


def commands() -> list[Command]:
    """Every command of pages, docstrings and the heads of scripts, each once a file."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        found += [_command(path, line, line=True) for line in _lines(text)]
        found += [_command(path, span, line=False) for span in SPAN.findall(_prose(text)) if STARTS.match(span)]
    for path, text in docstrings():
        found += [_command(path, _uncommented(line), line=True) for line in _lines(text)]
    for path in sorted((PROJECT / "scripts").rglob("*.sh")):
        head = "\n".join(line[1:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
        found += [_command(path, _uncommented(line), line=True) for line in _lines(head)]
        found += [
            _command(path, line.rpartition(": ")[2], line=True)
            for line in head.splitlines()
            if STARTS.match(line.rpartition(": ")[2])
        ]
    return list(dict.fromkeys(found))


def docstrings() -> Iterator[tuple[Path, str]]:
    """Every docstring of the code, with its file."""
    files = [PROJECT / "train.py", *(path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py")))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                yield path, text


def _lines(text: str) -> Iterator[str]:
    """The command lines of blocks, continuation lines joined."""
    text = BLOCK.sub(lambda block: "".join(f"    {line}\n" for line in block[1].splitlines()), text)
    for line in re.sub(r" *\\\n *", " ", text).splitlines():
        if (line.startswith("    ") or line.startswith("python -m ")) and STARTS.match(line.strip()):
            yield line.strip()


def _prose(text: str) -> str:
    return "\n".join(line for line in BLOCK.sub("", text).splitlines() if not line.startswith("    "))


def _uncommented(line: str) -> str:
    """A line of a docstring without what is said of it behind a gap."""
    return re.split(r"\s{5,}|  \(|(?<=…)\s{2,}", line)[0]


def _command(path: Path, text: str, line: bool) -> Command:
    words = shlex.split(re.sub(r"\[[^\]]*\]", "…", text), comments=line)
    whole = line and not any("…" in word for word in words)
    kept: list[str] = []
    for word in words:
        if "…" not in word:
            kept.append(word)
        elif kept and kept[-1].startswith("--"):  # the value is left out, and so the option
            kept.pop()
    while re.fullmatch(r"[A-Z_]+=\S*", kept[0]):
        kept.pop(0)
    return Command(str(path.relative_to(PROJECT)), tuple(kept), whole)


# -- files, functions, links -----------------------------------------------------------------------------------------

PATH = re.compile(r"(?:craft|trainers|datasets|anchors|lab|bundled|configs|scripts|tests|docs)/[\w./*-]*")
#: in sentences about files that a reader may add
EXAMPLES = {"trainers/mine.py", "configs/trainers/Mine/", "configs/trainers/Mine"}


def paths() -> list[tuple[str, str]]:
    """(page, path in backticks) of everything in this repository that a page names; a path may hold ``*``."""
    found = []
    for page in PAGES:
        for span in SPAN.findall(_prose(page.read_text(encoding="utf-8"))):
            if (named := PATH.match(span)) and "<" not in span and named[0] not in EXAMPLES:
                found.append((str(page.relative_to(PROJECT)), named[0]))
    return sorted(set(found))


def yamls() -> list[tuple[str, str]]:
    """(file, yaml) of every yaml file that pages, docstrings or scripts name by its path."""
    texts = [(path, path.read_text(encoding="utf-8")) for path in PAGES] + list(docstrings())
    texts += [(path, path.read_text(encoding="utf-8")) for path in sorted((PROJECT / "scripts").rglob("*.sh"))]
    named = re.compile(r"configs/[\w/.-]+\.yaml")
    return sorted({(str(path.relative_to(PROJECT)), yaml) for path, text in texts for yaml in named.findall(text)})


def named_keys() -> list[tuple[str, str]]:
    """(page, ``TRAINER.CRAFT.SYMMETRIC``) of every configuration key or node that a page names in backticks, with or
    without a value; those of the examples aside."""
    named = re.compile(r"[A-Z]+(?:\.[A-Z][A-Z0-9_]*)+")
    found = set()
    for page in PAGES:
        for span in SPAN.findall(_prose(page.read_text(encoding="utf-8"))):
            found |= {(str(page.relative_to(PROJECT)), key) for key in named.findall(span) if ".MINE" not in key}
    return sorted(found)


def functions() -> list[tuple[str, str]]:
    """(file, name) of what a page says to be in a file: ``file.py``: ``name``, ``name``, or ``name`` in ``file.py``."""
    found = []
    for page in PAGES:
        for cell in re.split(r"[|\n]", _prose(page.read_text(encoding="utf-8"))):
            for part in re.split(r"; ", cell):
                for group in re.finditer(r"`([\w/]+\.py)`(?::| \(|,) ?((?:`\w+`(?:, )?)+)(?! in| of)", part):
                    if PATH.match(group[1]):
                        found += [(group[1], name) for name in re.findall(r"`(\w+)`", group[2])]
                for group in re.finditer(r"`(\w+)` (?:in|of) `([\w/]+\.py)`", part):
                    found.append((group[2], group[1]))
    return sorted(set(found))


def links(page: Path) -> list[tuple[str, str]]:
    """(file, heading's anchor or "") of every link of a page into this repository."""
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)#?([^)\s]*)\)", page.read_text(encoding="utf-8"))
    return [(file, anchor) for file, anchor in found]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower().replace(" ", "-") for heading in headings}
