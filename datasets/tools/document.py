"""The parts of DATASETS.md that say what readers declare: counts, layouts, sources, licences, papers, texts.

They stand between ``<!-- craft data document: NAME -->`` and ``<!-- end -->`` and are written by `craft data document`
alone. NAME is a data set, or ``overview`` or ``groups`` for a table of several.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from craft.common.errors import UserError, unknown
from craft.common.files import write_text
from craft.datasets import digests
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.published import PUBLISHED
from craft.datasets.registry import READERS
from craft.datasets.sources import DataFile, Source
from craft.datasets.split_file import SplitFileDataset
from craft.prompts.context import clean, fill

BLOCK = re.compile(r"(<!-- craft data document: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
#: what a reader's docstring tells after its first paragraph, by the word that begins it
FACTS = ("Splits", "Input", "Label", "Attribute", "Group", "Publication", "Licence")


def update(path: Path, check: bool) -> bool:
    """Write the generated parts of the document at ``path`` anew, or with ``check`` only say whether they are true."""
    if not path.is_file():
        raise UserError(f"there is no file {path}; run this where DATASETS.md is, or name it")
    text = path.read_text(encoding="utf-8")
    made = filled(text)
    if check:
        print(f"{path} is " + ("up to date" if made == text else "not what the readers say; write it without --check"))
        return made == text
    write_text(path, made)
    return True


def filled(text: str) -> str:
    """``text`` with every generated part made anew. UserError for a part that nobody knows, or a text without parts."""
    if not BLOCK.search(text):
        raise UserError("there is no `<!-- craft data document: NAME -->` in it; name DATASETS.md")
    return BLOCK.sub(lambda found: found[1] + part(found[2]) + found[4], text)


def part(name: str) -> str:
    """The generated part called ``name``, ending with a line end."""
    tables = {"overview": overview, "groups": groups}
    if name not in tables and name not in READERS:
        raise unknown("part of DATASETS.md", name, [*tables, *READERS])
    lines = tables[name]() if name in tables else of_reader(READERS[name])
    return "\n".join(lines) + "\n"


# -- tables of several ---------------------------------------------------------------------


def overview() -> list[str]:
    """A row for every published set: sizes, and how its split is known."""
    lines = [
        "| data set | folder | classes | train | val | test | split |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for name, reader in READERS.items():
        if reader.files and reader.expected:
            classes, train, val, test = reader.expected
            counts = (classes, None if reader.test_only else train, val, test)
            sizes = " | ".join("" if count is None else f"{count:,}" for count in counts)
            lines.append(f"| [{name}](#{name.lower()}) | `{reader.dataset_dir}/` | {sizes} | {split_of(reader)} |")
    return lines


def split_of(reader: type[PromptDataset]) -> str:
    """How the split of a set comes about, in a phrase."""
    if reader.test_only:
        return "all images are tested on"
    if not issubclass(reader, SplitFileDataset):
        return "official"
    known = PUBLISHED.get(reader.__name__)
    digest = f"published, `{digests.of_split(known.parts)}`" if known else "published, digest not known"
    if reader.published_seed is None:
        return f"{digest}; cannot be made anew"
    return f"{digest}; made anew with seed {reader.published_seed}"


def groups() -> list[str]:
    """Images of each group in every part, for the sets whose images carry groups."""
    lines = ["| data set | group | what it is | train | val | test |", "|---|---:|---|---:|---:|---:|"]
    for name, reader in READERS.items():
        sizes = getattr(reader, "expected_groups", None)
        if sizes and reader.files:
            for number, what in enumerate(reader.group_names or ()):
                counts = " | ".join(str(sizes[part][number]) for part in ("train", "val", "test"))
                lines.append(f"| {name} | {number} | {what} | {counts} |")
    return lines


# -- one data set --------------------------------------------------------------------------


def of_reader(reader: type[PromptDataset]) -> list[str]:
    summary, facts = told(reader)
    lines = [summary, ""]
    if counts := reader.expected:
        lines.append(f"- **Images**: {sizes(reader)} of {counts.classes:,} classes; split: {split_of(reader)}.")
    for name in ("Input", "Label", "Attribute", "Group"):
        if name in facts:
            lines.append(f"- **{name}**: {facts[name]}")
    lines.append(f"- **Paper**: {facts.get('Publication', 'unknown')}")
    lines.append(f"- **Licence**: {facts.get('Licence', 'unknown')}")
    lines.append(f"- **Text**: `{reader.template}`")
    lines += ["", *texts(reader), *layout(reader), "", *sources(reader)]
    return lines


def told(reader: type[PromptDataset]) -> tuple[str, dict[str, str]]:
    """(first paragraph, {"Input": …}) of a reader's docstring; no line breaks in either."""
    summary, _, rest = inspect.getdoc(reader).partition("\n\n")  # type: ignore[union-attr]  # every reader has one
    pieces = re.split(rf"\b({'|'.join(FACTS)})(?: \w)?: ", " ".join(rest.split()))
    facts = dict(zip(pieces[1::2], (piece.strip() for piece in pieces[2::2])))
    return " ".join(summary.split()), {name: fact.removesuffix(".") + "." for name, fact in facts.items()}


def sizes(reader: type[PromptDataset]) -> str:
    counts = reader.expected
    assert counts is not None
    if reader.test_only:
        return f"{counts.test:,} test"
    named = {"train": counts.train, "val": counts.val, "test": counts.test}
    return ", ".join(f"{count:,} {part}" for part, count in named.items() if count is not None)


def texts(reader: type[PromptDataset]) -> list[str]:
    """The hand-written text of some classes: the exact words that CLIP gets, before it takes their case away."""
    names = reader.examples or getattr(reader, "class_names", ())
    if not names:
        return []
    lines = ["| class | its text |", "|---|---|"]
    for name in names:
        read = "" if clean(name) == name else f" (read as `{clean(name)}`)"
        lines.append(f"| `{name}`{read} | `{fill(reader.template, name)}` |")
    return [*lines, ""]


def layout(reader: type[PromptDataset]) -> list[str]:
    """The tree of files below the data root."""
    lines = [f"    {reader.dataset_dir}/"]
    for file in reader.files:
        path = "…/" if file.path == "." else file.path + ("/" if file.kind == "dir" else "")
        lines.append(f"      {path:<39} {note(file)}".rstrip())
    return lines


def note(file: DataFile) -> str:
    roles = {"split": "the published split", "annotations": "read only without the split", "extra": "not read"}
    counts = [f"{count:,} {what}" for count, what in ((file.folders, "folders"), (file.images, "images")) if count]
    return roles.get(file.role) or ", ".join(counts)


def sources(reader: type[PromptDataset]) -> list[str]:
    """A line for every source, with the files that it brings."""
    brings: dict[Source, list[str]] = {}
    for file in reader.files:
        for source in file.sources:
            brings.setdefault(source, []).append("images" if file.path == "." else file.path)
    return [f"- {', '.join(f'`{path}`' for path in paths)}: {address(source)}" for source, paths in brings.items()]


def address(source: Source) -> str:
    if not source.scripted:
        return f"by hand <{source}>"
    return f"<{source}>" + (f" ([page]({source.page}))" if source.page else "")
