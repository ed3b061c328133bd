"""Text files that people and programs elsewhere wrote: the one place where they are decoded, and where JSON is parsed.

A byte order mark, as spreadsheets and editors of Windows put in front, is no part of the text; the three ways to end a
line are one. Whatever a file holds, what comes out is text (or a JSON value), or a UserError that names the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from craft.common.errors import UserError

UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: str | os.PathLike) -> str:
    """The UTF-8 text in ``path``, without a byte order mark, lines ended by ``\\n``; UserError where it is none."""
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"no such file: {path}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UserError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "it is UTF-16 text" if content.startswith(UTF16) else f"line {line} is not UTF-8 text"
        raise UserError(f"cannot read {path}: {what}; save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_json(text: str, path: str | os.PathLike, pairs: Callable[[list], Any] | None = None) -> Any:
    """The JSON value in ``text``, which stands in ``path``; UserError where it is damaged, or holds no text.

    pairs: called with the (key, value) pairs of every object, in their order; gives what stands for it.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_int=_whole)
        if "\\ud" in text or "\\uD" in text:  # perhaps half of a surrogate pair, which no file and no screen takes
            # A name of a file that is not UTF-8 has U+DC80 to U+DCFF for its bytes: it goes back to the same file.
            json.dumps(value, ensure_ascii=False).encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise UserError(
            f"{path} is not valid JSON (a \\ud… that is half of a character); restore it, or move it away"
        ) from None
    except RecursionError:
        raise UserError(f"{path} is not valid JSON (nested too deeply); restore it, or move it away") from None
    except ValueError as error:
        raise UserError(f"{path} is not valid JSON ({error}); restore it, or move it away") from error
    return value


def _whole(digits: str) -> int:
    if len(digits) > 100:  # no float holds more than 308, and Python takes long over very many
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)
