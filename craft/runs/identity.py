"""What makes a run the run it is: its resolved configuration, the code that runs it, and the images it reads.

Two runs with equal identity give equal numbers on one machine. Settings that cannot change a number (where files lie,
how often a line is printed) are no part of it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import craft
from craft.common import places
from craft.common.files import digest_file, digest_json

#: what a number can depend on; yaml files are part of the resolved configuration
CODE = ("craft", "anchors", "bundled", "datasets", "trainers")
#: keys without influence on any number; the content of the data is compared through the split's digest
VOLATILE = {
    "OUTPUT_DIR",
    "RESUME",
    "VERBOSE",
    "DATASET.ROOT",
    "DATASET.CACHE_DIR",
    "DATALOADER.IMAGE_CACHE_MB",
    "TRAIN.PRINT_FREQ",
    "TRAIN.CHECKPOINT_FREQ",
}
PACKAGES = ("torch", "torchvision", "clip-anytorch", "numpy", "scikit-learn", "scipy", "Pillow", "safetensors", "yacs")


# -- configuration ----------------------------------------------------------------------------------------------------


def flatten(node: dict, prefix: str = "") -> dict[str, Any]:
    """``{"OPTIM.LR": 0.002, …}`` of a nested configuration; tuples become lists, as JSON gives them back."""
    out: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, dict):
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = list(value) if isinstance(value, tuple | list) else value
    return out


def settled(cfg: dict) -> dict[str, Any]:
    """The flat configuration without the keys that change no number."""
    return {key: value for key, value in flatten(cfg).items() if key not in VOLATILE}


def config_digest(cfg: dict) -> str:
    return digest_json(settled(cfg))[:16]


def differences(
    then: dict[str, Any], now: dict[str, Any], defaults: dict[str, Any], absent: dict[str, Any] | None = None
) -> list[str]:
    """``["OPTIM.LR: 0.002 there, 0.01 now", …]`` between two flat configurations.

    A key that one of them does not know (it was added to the code, or taken away, in between) counts as its value in
    ``absent``: what a run without the key effectively had, such as 0 for the weight of a term that it did not have.
    Any other counts as its default, which is right where the default changes nothing.
    """
    usual = defaults | (absent or {})
    lines = []
    for key in sorted({*then, *now} - VOLATILE):
        fallback = usual.get(key, then.get(key, now.get(key)))
        old, new = then.get(key, fallback), now.get(key, fallback)
        if old != new:
            lines.append(f"{key}: {_show(old)} there, {_show(new)} now")
    return lines


def _show(value: Any) -> str:
    text = str(value) if value != "" else '""'
    return text if len(text) <= 60 else text[:57] + "…"


# -- code -------------------------------------------------------------------------------------------------------------


@functools.cache
def code_digest() -> str:
    """Digest of every Python file that a run executes, 12 hex digits."""
    own = Path(craft.__file__).resolve().parent
    state = hashlib.sha256()
    for name in CODE:
        folder = own if name == "craft" else places.room(name)
        for file in sorted(folder.rglob("*.py")):
            parts = file.relative_to(folder).parts
            # Installed, the other rooms lie inside the package: each counts once, under its own name.
            if name == "craft" and parts[0] in (*CODE, "lab"):
                continue
            state.update(f"{'/'.join((name, *parts))}\0".encode())
            state.update(file.read_bytes())
    return state.hexdigest()[:12]


@functools.cache
def commit() -> str:
    """``abc1234`` or ``abc1234 with changes``; empty outside a git checkout."""
    folder = str(Path(craft.__file__).parent)
    try:
        head, changes = (
            subprocess.run(["git", "-C", folder, *command], capture_output=True, text=True, timeout=10)
            for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    if head.returncode:
        return ""
    return head.stdout.strip() + (" with changes" if changes.stdout.strip() else "")


def versions() -> dict[str, str]:
    """Versions of the interpreter, of the packages that compute, and of this code."""
    found = {"craft": craft.__version__, "code": code_digest(), "commit": commit()}
    found["python"] = platform.python_version()
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # a package may come from elsewhere than pip
            found[name] = ""
    return found


# -- data and model ---------------------------------------------------------------------------------------------------


def split_record(dataset, root: str) -> dict[str, Any]:
    """``{"digest": …, "train": n, "unlabelled": n, "val": n, "test": n}`` of a Dassl data set.

    The digest covers, for every part in order, each image's path below the data set's folder, label and domain.
    """
    base = getattr(dataset, "dataset_dir", "") or root
    parts = {"train": "train_x", "unlabelled": "train_u", "val": "val", "test": "test"}
    listed = {}
    for name, attribute in parts.items():
        items = getattr(dataset, attribute, None) or []
        listed[name] = [
            [os.path.relpath(item.impath, base) if base else item.impath, item.label, item.domain] for item in items
        ]
    return {"digest": digest_json(listed)[:16]} | {name: len(items) for name, items in listed.items()}


def model_record(model_dir: str, epoch: int | None) -> dict[str, str] | None:
    """Path and digest of the checkpoint that an evaluation reads; None where there is none (zero-shot).

    epoch: None stands for ``model-best.pth.tar``.
    """
    if not model_dir:
        return None
    name = f"model.pth.tar-{epoch}" if epoch else "model-best.pth.tar"
    files = sorted(Path(model_dir).glob(f"*/{name}"))
    if not files:
        return None
    return {"path": str(files[0]), "digest": digest_json([digest_file(file) for file in files])[:16]}
