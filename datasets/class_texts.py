"""The text that each class gets, whether anything can tell two of them apart, and names that say little to CLIP.

A name is read as OpenAI's tokenizer reads it: forms of one letter are joined, HTML entities resolved, case and
underscores ignored, and words, single digits and other signs taken one by one, however they are spaced. So ``AT&amp;T``
and ``at & t`` are one text, and no prompt tells their classes apart.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

FILE = "class_texts.txt"
PIECES = re.compile(r"<\|(?:start|end)oftext\|>|'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|[^\s\w]+|_")  # of the tokenizer
MOST = 3  # names in one line


def as_read(name: str) -> str:
    """A class name as CLIP's tokenizer takes it apart, its pieces joined by blanks; "" where nothing is left."""
    import ftfy  # as the tokenizer does it

    text = html.unescape(html.unescape(ftfy.fix_text(name.replace("_", " "))))
    return " ".join(PIECES.findall(text.lower()))


def alike(texts: Iterable[Hashable]) -> list[list[int]]:
    """The positions of texts that are equal, where there are two and more of one."""
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        places[text].append(place)
    return [found for found in places.values() if len(found) > 1]


def _camel(name: str) -> bool:
    return bool(re.fullmatch(r"[A-Z]?[a-z]{2,}([A-Z][a-z]+)+", name))


def _stray_letter(name: str) -> bool:
    """``a_abbey``, which is what the path ``/a/abbey`` of SUN397 becomes."""
    return bool(re.match(r"([A-Za-z])[\s_/.-]+(?i:\1)\w\w", name))


def _doubled(name: str) -> bool:
    words = name.replace("_", " ").lower().split()
    half = len(words) // 2
    return half > 0 and len(words) == 2 * half and words[:half] == words[half:]


def _hidden(name: str) -> bool:
    return any(unicodedata.category(sign) in ("Cc", "Cf") for sign in name)


#: (what names are, whether one is it); the first that holds counts
ODD: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("hold a control token of CLIP's, which ends or begins a text", lambda n: bool(re.search(r"<\|\w+\|>", n))),
    ("hold a sign that cannot be seen and is read all the same", _hidden),
    ("are numbers, which say nothing to CLIP", lambda n: bool(re.fullmatch(r"[\d\s_.,-]*\d[\d\s_.,-]*", n))),
    ("are WordNet ids, which say nothing to CLIP", lambda n: bool(re.match(r"n\d{8}(?!\d)", n))),
    ("hold neither letter nor digit", lambda n: not any(sign.isalnum() for sign in n)),
    ("begin with a number, as folders that are counted do", lambda n: bool(re.match(r"0*\d+[._-]+\s*[^\W\d_]{2}", n))),
    ("are words written together, which CLIP, ignoring case, reads as one", _camel),
    ("begin with a letter that seems to be left of a path", _stray_letter),
    ("say the same thing twice", _doubled),
)


def oddities(names: Sequence[str]) -> list[str]:
    """``["2 class names are numbers, which say nothing to CLIP: '1', '2'", …]``; empty where all is well."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        kind = next((kind for kind, holds in ODD if holds(name)), None)
        if kind:
            found[kind].append(name)
    lines = []
    for kind, members in found.items():
        some = ", ".join(map(repr, members[:MOST])) + (", …" if len(members) > MOST else "")
        lines.append(f"{len(members)} class name(s) {kind}: {some}")
    return lines


def first(texts: Sequence[str]) -> str:
    """The first few of the texts, for one line."""
    return ", ".join(map(repr, texts[:MOST])) + (", …" if len(texts) > MOST else "")


def filled(template: str, names: Sequence[str]) -> list[str]:
    """The hand-written text of each class."""
    from craft.prompts.context import fill

    return [fill(template, name) for name in names]


def too_long(texts: Sequence[str]) -> list[str]:
    """The texts that are longer than the 77 tokens of CLIP, those of start and end included."""
    from craft.clip.openai import count_tokens

    return [text for text in texts if count_tokens(text) > 75]


def listing(names: Sequence[str], texts: Sequence[str]) -> str:
    """A line for each class: label, name and text, divided by tabs."""
    rows = [("label", "class", "text"), *((str(label), *both) for label, both in enumerate(zip(names, texts)))]
    return "".join("\t".join(" ".join(field.split()) for field in row) + "\n" for row in rows)
