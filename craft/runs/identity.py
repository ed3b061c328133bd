"""What makes a run the run it is: its resolved configuration, the code that runs it, its weights, and its data.

Two runs with equal identity give equal numbers on one machine. Settings that cannot change a number (where files lie,
how often a line is printed, how many workers read) are no part of it: their rows in `craft.config.keys` say so.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import craft
from craft.common import places
from craft.common.files import digest_file, digest_json, read_sealed
from craft.config.keys import rule_of
from craft.runs import shape

#: what a number can depend on; yaml files are part of the resolved configuration
CODE = ("craft", "anchors", "bundled", "datasets", "trainers")
#: paths whose content counts: of the data, as `split_record` sees it, and of weight files, as `weight_files` does
DATA_PATHS = ("DATASET.PATH", "DATASET.CLASSNAMES", "DATASET.FEWSHOT_FILE")
WEIGHT_PATHS = ("MODEL.BACKBONE.NAME", "MODEL.INIT_WEIGHTS")
PARTS = {"train": "train_x", "unlabelled": "train_u", "val": "val", "test": "test"}
#: image files of a part whose first bytes are looked at, and how many: milliseconds, also for ImageNet
SAMPLE, BEGINNING = 64, 1 << 16
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
    return {key: value for key, value in flatten(cfg).items() if not rule_of(key).volatile}


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
    for key in sorted(key for key in {*then, *now} if not rule_of(key).volatile):
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
            if name == "craft" and parts[0] in (*CODE, "inference", "lab"):
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


def names_digest(names: Iterable[str]) -> str:
    """Of class names in the order of their labels, 16 hex digits."""
    return digest_json(list(names))[:16]


def split_record(dataset, root: str) -> dict[str, Any]:
    """What a run's numbers depend on of a Dassl data set, and its sizes: cheap enough to be had again for comparison.

    train, unlabelled, val, test: images. classes: how many. digest: of every part in order, each image's path below the
    data set's folder, label and domain. parts: the same for each part alone (its few-shot list), with groups.
    classnames: of the names in the order of their labels. files: for each part, of the sizes of its image files.
    samples: for each part, of what the first bytes of some of its image files are.
    subset: ``{"test": [719, 1797]}``, what was found and what the published set has, where they differ; empty for the
    whole set, None where no published size is known. told: what the reader says of its split and shots, the same for
    everybody who has them (see `craft.datasets.prompt_dataset`); None for a data set that is not a reader of ours.

    Noticed therefore are other images, labels, domains, groups, names, another order or draw, and an image that was
    replaced by one of another size in bytes; by one of the very same size where it is among the `SAMPLE` files of its
    part that are looked into. The same content below another root is the same: when a file was written is not asked.
    """
    base = getattr(dataset, "dataset_dir", "") or root
    listed, parts, files, samples = {}, {}, {}, {}
    for name, attribute in PARTS.items():
        items = getattr(dataset, attribute, None) or []
        listed[name] = [
            [os.path.relpath(item.impath, base) if base else item.impath, item.label, item.domain] for item in items
        ]
        groups = [getattr(item, "group", None) for item in items]
        parts[name] = digest_json([[*one, group] for one, group in zip(listed[name], groups)])[:16]
        # Generated images are known by their recipe: another Pillow writes the same pixels in other bytes.
        recipe, paths = getattr(dataset, "recipe", None), [item.impath for item in items]
        files[name] = digest_json(recipe or _sizes(paths))[:16]
        samples[name] = digest_json(recipe or _sample(paths))[:16]
    return {
        "digest": digest_json(listed)[:16],
        **{name: len(items) for name, items in listed.items()},
        "classes": len(dataset.classnames),
        "classnames": names_digest(dataset.classnames),
        "parts": parts,
        "files": files,
        "samples": samples,
        "subset": getattr(dataset, "subset", None),
        "told": getattr(dataset, "told", None),
    }


def _sizes(paths: list[str]) -> list[int]:
    """Bytes of every file; -1 for one that is not there, which DATASET.BAD_IMAGES may allow."""

    def size(path: str) -> int:
        try:
            return os.stat(path).st_size
        except OSError:
            return -1

    with ThreadPoolExecutor(8) as pool:  # on a network's disk this is nothing but waiting
        return list(pool.map(size, paths))


def _sample(paths: list[str]) -> list[str]:
    """Digests of the beginnings of up to `SAMPLE` files, evenly spread over the list; "" for one that is not there."""

    def beginning(path: str) -> str:
        try:
            with open(path, "rb") as stream:
                return hashlib.sha256(stream.read(BEGINNING)).hexdigest()
        except OSError:
            return ""

    chosen = [paths[number * len(paths) // SAMPLE] for number in range(SAMPLE)] if len(paths) > SAMPLE else paths
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(beginning, chosen))


def data_differences(
    then: dict[str, Any],
    now: dict[str, Any],
    parts: tuple[str, ...] = tuple(PARTS),
    contents: tuple[str, ...] = tuple(PARTS),
) -> list[str]:
    """``["test 719 there, 720 now", …]`` between two `split_record` in the parts that count; of those in ``contents``
    also where image files of the same names have other sizes or content.

    Records from before a digest existed are compared by what they have.
    """
    lines = [
        f"{name} {then[name]} there, {now[name]} now"
        for name in (*parts, "classes")
        if name in then and then[name] != now.get(name)
    ]
    if "classnames" in then and then["classnames"] != now["classnames"] and then.get("classes") == now["classes"]:
        lines.append("other class names, or another order of them")
    if "parts" not in then:
        changed = then.get("digest") != now["digest"]
        return lines or (["other images, labels or domains"] if changed else [])
    for name in parts:
        if then.get(name) == now[name] and then["parts"].get(name) != now["parts"][name]:
            lines.append(f"{name}: as many images, but other ones, or other labels, domains or groups")
        elif then["parts"].get(name) != now["parts"][name]:
            continue  # other numbers of images, which the lines above tell
        elif name in contents and then["files"].get(name) != now["files"][name]:
            lines.append(f"{name}: image files were replaced (their sizes differ)")
        elif name in contents and then.get("samples", now["samples"])[name] != now["samples"][name]:
            lines.append(f"{name}: image files were replaced (of the same sizes, but with other content)")
    return lines


def weight_files(cfg: dict) -> dict[str, str]:
    """Key -> digest of the file that it names, for the backbone and the initial prompts where these are files."""
    flat = flatten(cfg)
    named = {key: str(flat[key]) for key in WEIGHT_PATHS if flat.get(key)}
    return {key: _digest_unless_changed(path, _stamp(path)) for key, path in named.items() if os.path.isfile(path)}


def _stamp(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


@functools.lru_cache(maxsize=32)
def _digest_unless_changed(path: str, stamp: tuple[int, int]) -> str:
    """Weights are hundreds of megabytes, and a sweep asks for each of its runs."""
    return digest_file(path)[:16]


def model_record(model_dir: str, epoch: int | None) -> dict[str, Any] | None:
    """Path and digest of the checkpoint that an evaluation reads, and what it was trained as, as its run's record says;
    None where there is none (zero-shot).

    epoch: None stands for ``model-best.pth.tar``.
    """
    if not model_dir:
        return None
    name = f"model.pth.tar-{epoch}" if epoch else "model-best.pth.tar"
    files = sorted(Path(model_dir).glob(f"*/{name}"))
    if not files:
        return None
    digest = digest_json([digest_file(file) for file in files])[:16]
    return {"path": str(files[0]), "digest": digest, "trained": _trained(Path(model_dir) / "run.json")}


def _trained(record: Path) -> dict[str, Any] | None:
    """What a training run's record says of it; None where it has none."""
    found = shape.check(read_sealed(record), record) if record.is_file() else {}
    if "config" not in found:
        return None
    config = found["config"]
    return {
        "trainer": config["TRAINER"]["NAME"],
        "dataset": config["DATASET"]["NAME"],
        "subsample": config["DATASET"].get("SUBSAMPLE_CLASSES", "all"),
        "shots": config["DATASET"]["NUM_SHOTS"],
        "seed": config["SEED"],
        "config": config_digest(config),
        "data": (found.get("split") or {}).get("digest"),
    }
