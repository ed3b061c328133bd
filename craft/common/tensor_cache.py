"""Tensors cached on disk under everything that they depend on.

A cache entry is one safetensors file named by the digest of its *key*, a JSON value made of all inputs of the
computation. The key itself is stored in the file and compared on reading, so an entry is either the answer to exactly
this question or it is not used. Files are written atomically; a damaged one is reported, and made again.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from craft.common.errors import UserError
from craft.common.files import atomic_path, cache_dir, digest_json
from craft.common.switches import without

log = logging.getLogger("craft.cache")

#: kind of entries -> the optimisation that keeps them; with that switched off nothing is found and nothing kept
OPTIMISATION = {"texts": "text_cache", "images": "feature_cache", "anchors": "anchor_cache"}


def off(kind: str) -> bool:
    """Whether entries of this kind are switched off, see `craft.common.switches`."""
    return kind in OPTIMISATION and without(OPTIMISATION[kind])


def entry(kind: str, key: dict[str, Any], folder: str | Path | None = None) -> Path:
    """The file of ``key`` among the entries of ``kind``; ``folder`` replaces the user's cache folder."""
    return (Path(folder) / kind if folder else cache_dir(kind)) / f"{digest_json(key)[:32]}.safetensors"


def load(kind: str, key: dict[str, Any], folder: str | Path | None = None) -> dict[str, torch.Tensor] | None:
    """The tensors cached for ``key``, or None where there are none (or only damaged or foreign ones)."""
    path = entry(kind, key, folder)
    if off(kind) or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as stream:
            if json.loads((stream.metadata() or {}).get("key", "null")) != json.loads(json.dumps(key)):
                log.warning("%s answers another question than its name says; it is made again", path)
                return None
            return {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        log.warning("%s is damaged (%s); it is made again", path, error)
        return None


def store(
    kind: str,
    key: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    about: dict[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Write the entry of ``key``; ``about`` is for people who look into the file. Returns its path."""
    path = entry(kind, key, folder)
    metadata = {"kind": kind, "key": json.dumps(key), "about": json.dumps(about or {}, indent=1)}
    with atomic_path(path) as temporary:
        save_file({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, temporary, metadata)
    return path


def remember(kind: str, key: dict[str, Any], compute, about: dict[str, Any] | None = None) -> dict[str, torch.Tensor]:
    """The tensors of ``key`` from the cache, or computed by ``compute()`` and stored.

    A cache that cannot be written costs time, not the run: it is reported once and the computed value used.
    """
    found = load(kind, key)
    if found is None:
        found = {name: value.detach().cpu() for name, value in compute().items()}
        try:
            if not off(kind):
                store(kind, key, found, about)
        except UserError as error:
            log.warning("not cached: %s", error)
    return found
