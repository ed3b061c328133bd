"""What classes are called in prompts: the names of their folders, or those that a file gives them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from craft.common.errors import UserError, nearest
from craft.common.texts import parse_json, read_text
from craft.datasets.annotations import read_lines


def composed(name: str) -> str:
    """``name`` with every accented letter as one character (NFC), as CLIP's tokenizer has it.

    A Mac may write the two parts of such a letter one after the other (NFD): to everybody the same name, to a computer
    another one.
    """
    return unicodedata.normalize("NFC", name)


def class_names(keys: Sequence[str], file: str, folder: Path) -> dict[str, str]:
    """{key: name} in the order of ``keys``: the name that ``file`` gives, else the key itself.

    Args:
        keys: names of class folders, or of classes in a CSV, `composed`.
        file: DATASET.CLASSNAMES, may be empty: a JSON object {folder: name}, or lines ``folder<TAB or ,>name``.
        folder: where ``file`` is looked for if it is not found as it stands.

    Raises UserError for a file that is missing or damaged, a key that is not among ``keys`` or is named twice, and
    for two classes whose names CLIP cannot tell apart (it ignores case, and underscores become spaces).
    """
    names = {key: key for key in keys}
    where = dict.fromkeys(keys, "its folder")
    if file:
        path = Path(file).expanduser()
        path = path if path.is_file() else folder / path
        if not path.is_file():
            raise UserError(f"DATASET.CLASSNAMES: there is no file {file}, nor {path}")
        given: set[str] = set()
        for place, key, name in ((place, composed(key), composed(name)) for place, key, name in _entries(path)):
            if key not in names:
                raise UserError(f"{place}: there is no class folder {key!r}; did you mean: {nearest(key, keys)}?")
            if key in given:
                raise UserError(f"{place}: {key!r} has been named before; keep one of the lines")
            given.add(key)
            names[key], where[key] = name, place
    taken: dict[str, str] = {}
    for key, name in names.items():
        plain = composed(" ".join(name.replace("_", " ").split()).casefold())
        if not plain:
            raise UserError(f"{where[key]}: the name of class {key!r} is empty")
        if plain in taken:
            raise UserError(
                f"two classes have the same name, {name!r}: {taken[plain]!r} ({where[taken[plain]]}) and {key!r} "
                f"({where[key]}); rename one, e.g. through DATASET.CLASSNAMES"
            )
        taken[plain] = key
    return names


def _entries(path: Path) -> Iterator[tuple[str, str, str]]:
    """(place for messages, key, name) of every entry of a class-name file."""
    if path.suffix.lower() == ".json":
        content = parse_json(read_text(path), path, _Pairs)
        if not isinstance(content, _Pairs) or not all(isinstance(name, str) for _, name in content):
            raise UserError(f"{path} should hold one JSON object, folder: name")
        for key, name in content:
            yield f"{path}, {key!r}", key, name
        return
    for number, line in read_lines(path):
        key, mark, name = line.partition("\t" if "\t" in line else ",")
        if not mark or not name.strip():
            raise UserError(f"{path}, line {number}: expected a folder, a tab or comma, and a name; found {line!r}")
        yield f"{path}, line {number}", key.strip(), name.strip()


class _Pairs(list):
    """The pairs of a JSON object in their order, repeated keys included, which a dict would hide."""
