"""Tensors cached on disk under everything that they depend on.

A cache entry is one safetensors file named by the digest of its *key*, a JSON value made of all inputs of the
computation. The key itself is stored in the file and compared on reading, so an entry is either the answer to exactly
this question or it is not used. Files are written atomically and with a digest of their content, which is checked when
they are read (entries of before have none and are read without): a damaged one is reported, and made again.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch

from craft.common import tensor_files
from craft.common.errors import UserError
from craft.common.files import cache_dir, digest_json
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
        tensors, metadata = tensor_files.read(path)
        if json.loads(metadata.get("key", "null")) != json.loads(json.dumps(key)):
            log.warning("%s answers another question than its name says; it is made again", path)
            return None
    except (tensor_files.Unreadable, ValueError) as error:
        log.warning("%s %s; it is made again", path, getattr(error, "reason", "is damaged"))
        return None
    if tensor_files.DIGEST not in metadata:
        _say_once("%s was cached without a digest, by an older version: read unchecked, as are others like it", path)
    return tensors


def store(
    kind: str,
    key: dict[str, Any],
    tensors: dict[str, torch.Tensor],
    about: dict[str, Any] | None = None,
    folder: str | Path | None = None,
) -> Path:
    """Write the entry of ``key``; ``about`` is for people who look into the file. Returns its path.

    UserError where it cannot be written, or holds what is not finite, which nobody should find; `remember` goes on
    without.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(f"{name} of {kind} is not finite: set PREC to fp32, or give another backbone")
    path = entry(kind, key, folder)
    metadata = {"kind": kind, "key": json.dumps(key), "about": json.dumps(about or {}, indent=1)}
    tensor_files.write(path, tensors, metadata)
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
            _say_once("not cached, which costs time in every run: %s", error)
    return found


_said: set[str] = set()


def _say_once(message: str, about: object) -> None:
    if message not in _said:
        _said.add(message)
        log.warning(message, about)
