"""For the documentation's site: docstrings are plain text, pages are Markdown. Named in mkdocs.yml.

``<u, v>`` is a scalar product in a docstring and a tag in Markdown; so what is not code has its ``<`` escaped.
"""

from __future__ import annotations

import re

import griffe

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)


def as_markdown(text: str) -> str:
    """``text`` with every ``<`` outside code spans and indented blocks escaped."""
    paragraphs = re.split(r"(\n\s*\n)", text)
    return "".join(part if part.startswith(("    ", ">>>")) else _escaped(part) for part in paragraphs)


def _escaped(paragraph: str) -> str:
    parts = CODE.split(paragraph)
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in parts)


class Docstrings(griffe.Extension):
    """Rewrites every docstring once it was read."""

    def on_instance(self, *, obj: griffe.Object, **_) -> None:
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)
