"""Files of tensors: safetensors of ours, with a digest that is checked when they are read, and files of elsewhere.

The digest, SHA-256 over names, dtypes, shapes, bytes and metadata, stands in the metadata under ``digest``. A file that
has none, of before or of elsewhere, is read as it is. Nothing that a file holds is run, see `craft.common.pickled`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from craft.common import pickled
from craft.common.files import atomic_path
from craft.common.pickled import Unreadable

DIGEST = "digest"


def digest(tensors: dict[str, Tensor], metadata: dict[str, str]) -> str:
    """Hex SHA-256 of tensors by name, with their dtypes and shapes, and of metadata (its own entry left out)."""
    about = {key: value for key, value in metadata.items() if key != DIGEST}
    state = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        state.update(json.dumps([name, str(value.dtype), list(value.shape)]).encode())
        state.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def write(path: str | os.PathLike, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write safetensors with their digest, atomically; UserError where that is not possible."""
    # Each with storage of its own: safetensors refuses tensors that share one.
    own = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
    about = dict(metadata or {})
    content = save(own, about | {DIGEST: digest(own, about)})
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)  # not by the library, whose errors on a full disk name no reason


def read(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; Unreadable where it is damaged or its digest is another."""
    path = Path(path)
    pickled.beginning(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise Unreadable(path, pickled.cut_short(str(error))) from error
    if DIGEST in metadata and metadata[DIGEST] != digest(tensors, metadata):
        raise Unreadable(path, "is damaged (its content is not what was written)")
    return tensors, metadata


def write_pickled(path: str | os.PathLike, value: Any, before: str | os.PathLike | None = None) -> None:
    """`torch.save`, atomically; ``before``: where the file that was there goes. UserError where it cannot be written.

    Only once the new one is whole on disk does the old one move, so that one of the two always is in place.
    """
    content = io.BytesIO()
    torch.save(value, content)  # in memory: on a full disk torch's writer says nothing of it
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())
        if before is not None and os.path.isfile(path):
            with open(temporary, "rb") as stream:
                os.fsync(stream.fileno())
            os.replace(path, before)


def load(path: str | os.PathLike) -> tuple[Any, dict[str, str]]:
    """What a file of any kind holds, by its content and not its name, and the metadata of safetensors.

    Tensors by name from safetensors; what `torch.save` was given; or a scripted module (`pickled.Inert`). Unreadable as
    `read` and `pickled.load`.
    """
    start = pickled.beginning(Path(path))
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 2**32:
        return read(path)
    return pickled.load(path), {}


def below_prefix(state: dict, landmarks: Iterable[str]) -> dict:
    """The entries of a state dict below the prefix that ``landmarks`` have in it, without it: ``module.`` of a model on
    several GPUs, ``model.`` of Lightning, ``_orig_mod.`` of a compiled one, and any others. As it is where there is no
    prefix, or more than one."""
    named = {key: value for key, value in state.items() if isinstance(key, str)}
    for landmark in landmarks:
        prefixes = {key.removesuffix(landmark) for key in named if key.endswith(f".{landmark}")}
        if landmark in named or len(prefixes) > 1:
            return state
        if prefixes:
            (prefix,) = prefixes
            return {key.removeprefix(prefix): value for key, value in named.items() if key.startswith(prefix)}
    return state
