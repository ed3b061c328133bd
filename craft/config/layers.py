"""Layers of configuration: yaml files and ``KEY VALUE`` pairs laid over defaults, key by key.

A yaml may start from others: ``_BASE_: [file, …]``, relative to itself. Every mistake names the file or option, and for
a key the nearest keys that exist. Which layers a run has, and their order, is the launcher's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml
from yacs.config import CfgNode

from craft.common.errors import UserError, nearest, unknown


def _keys(node: CfgNode, prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{prefix}{key}.")


def read_yaml(path: Path) -> dict:
    """The mapping in a yaml file with its ``_BASE_`` files below it; UserError where it cannot be read."""
    try:
        own = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(f"cannot read configuration {path}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid yaml: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict):
        raise UserError(f"{path} does not hold a configuration: expected KEY: value lines")
    bases = own.pop("_BASE_", [])
    merged: dict = {}
    for base in [bases] if isinstance(bases, str) else bases:
        _overlay(merged, read_yaml(path.parent / base))
    _overlay(merged, own)
    return merged


def _overlay(below: dict, above: dict) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _overlay(below[key], value)
        else:
            below[key] = value


def merge(cfg: CfgNode, layer: dict, origin: str, prefix: str = "") -> None:
    """Put ``layer`` over ``cfg``. UserError names ``origin`` and the key, for an unknown key or a wrong type."""
    for key, value in layer.items():
        full = f"{prefix}{key}"
        if isinstance(value, dict) and isinstance(cfg.get(key), CfgNode):
            merge(cfg[key], value, origin, f"{full}.")
            continue
        if key not in cfg:
            raise UserError(
                f"{origin}: unknown key {full}; did you mean: "
                f"{nearest(full, [prefix + known for known in _keys(cfg)])}?"
            )
        current = cfg[key]
        if isinstance(value, list):
            value = tuple(value) if isinstance(current, tuple) else value
        if isinstance(value, int) and not isinstance(value, bool) and isinstance(current, float):
            value = float(value)
        try:
            cfg.merge_from_list([key, value])
        except (ValueError, AssertionError, KeyError) as error:
            raise UserError(
                f"{origin}: {full} is {value!r}, expected {type(current).__name__} such as {current!r}"
            ) from error


def merge_options(cfg: CfgNode, options: list[str]) -> None:
    """Trailing ``KEY VALUE`` pairs of the command line."""
    if len(options) % 2:
        raise UserError(f"trailing options come in pairs KEY VALUE; {options[-1]!r} has no partner")
    for full, value in zip(options[::2], options[1::2]):
        *path, key = full.split(".")
        node = cfg
        for part in path:
            node = node.get(part) if isinstance(node, CfgNode) else None
        if not isinstance(node, CfgNode) or key not in node:
            raise UserError(f"unknown key {full}; did you mean: {nearest(full, _keys(cfg))}?")
        current = node[key]
        if isinstance(current, CfgNode):
            raise UserError(f"{full} is a group of keys; choose one of {', '.join(_keys(current, full + '.'))}")
        if isinstance(current, float) and not isinstance(value, float):
            value = _number(value)
        elif isinstance(current, str):
            value = repr(value)  # yacs would turn a path or name such as 747 into a number
        elif isinstance(current, tuple | list) and not value.lstrip().startswith(("(", "[")):
            value = repr(type(current)(part for part in value.split(",") if part))
        try:
            node.merge_from_list([key, value])
        except (ValueError, AssertionError, SyntaxError) as error:
            raise UserError(f"{full} is {value!r}, expected {type(current).__name__} such as {current!r}") from error


def _number(text: str):
    try:
        return float(text)
    except ValueError:
        return text


def find(name: str, folder: Path, kind: str) -> Path:
    """The yaml called ``name``: a path, or a file of ``folder`` with or without its ending."""
    for path in (Path(name), folder / name, folder / f"{name}.yaml"):
        if path.is_file():
            return path
    known = [file.stem for file in sorted(folder.glob("*.yaml"))]
    if not known:
        raise UserError(f"no such {kind} configuration: {name}")
    raise unknown(f"{kind} configuration", name, known)
