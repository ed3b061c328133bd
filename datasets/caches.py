"""Where few-shot draws and slow directory listings are cached. Each cache is a JSON file that says what it depends on,
holds relative paths only, and is written whole or not at all; one that is stale or damaged is rebuilt with a log line.
They lie in the data set's folder, or beside the output where that folder cannot be written."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.common.files import digest_json, read_json, write_json
from craft.common.switches import without

FORMAT = 1
FOLDERS = ("split_fewshot",)  # ours, inside a data set's folder
_looking = False


@contextlib.contextmanager
def only_looking() -> Iterator[None]:
    """Within the block no cache and no made split is written, nor said to be: `craft data check` and `show`."""
    global _looking
    before, _looking = _looking, True
    try:
        yield
    finally:
        _looking = before


def keeps() -> bool:
    """Whether what is found and drawn is kept for later runs."""
    return not _looking


class CacheFolder:
    """Where a data set's caches are looked for and written.

    The data set's own folder first, then ``OUTPUT_DIR/cache/NAME``; only ``DATASET.CACHE_DIR/NAME`` where that is set.
    """

    def __init__(self, name: str, folder: Path, cfg):
        if cfg.DATASET.CACHE_DIR:
            self.places = [Path(os.path.expanduser(cfg.DATASET.CACHE_DIR)).absolute() / name]
        else:
            self.places = [folder, Path(cfg.OUTPUT_DIR or "output").absolute() / "cache" / name]

    def load(self, relative: str, accept: Callable[[dict], Any], what: str) -> Any:
        """``accept(content)`` of the first cache file that is accepted, or None.

        ``accept`` raises ValueError, with the reason, for content that must not be believed.
        """
        for place in () if without("split_cache") else self.places:
            path = place / relative
            if not path.is_file():
                continue
            try:
                content = read_json(path)
                if not isinstance(content, dict) or content.get("format") != FORMAT:
                    raise ValueError("another format")
                if content.pop("sha256", None) != digest_json(content):
                    raise ValueError("damaged")
                return accept(content)
            except (UserError, ValueError, TypeError, KeyError, AttributeError) as error:
                print(f"Not using {path} ({error or 'damaged'}): {what}")
        return None

    def save(self, relative: str, content: dict) -> Path | None:
        """Write to the first place that can be written; None, and a log line, where none can. Nothing, and None,
        while somebody is `only_looking`."""
        if _looking or without("split_cache"):
            return None
        content = {"format": FORMAT, **content}
        content["sha256"] = digest_json(content)
        for place in self.places:
            try:
                write_json(place / relative, content, indent=None)
                return place / relative
            except UserError:
                continue
        print(f"Cannot write {relative} to any of {', '.join(map(str, self.places))}; going on without this cache")
        return None
