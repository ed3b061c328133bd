"""Layers of configuration: yaml files and ``KEY VALUE`` pairs laid over defaults, key by key.

A yaml may start from others: ``_BASE_: [file, …]``, relative to itself. Every mistake names the file or option, and for
a key the nearest keys that exist. Which layers a run has, and their order, is the launcher's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os.path import isfile, realpath
from pathlib import Path
from typing import Any

import yaml
from yacs.config import CfgNode

from craft.common.errors import UserError, nearest, unknown
from craft.config.elsewhere import called_here
from craft.config.keys import rule_of
from craft.config.rules import show

DEPTH, NODES = 20, 10_000  # what a configuration may hold at most, names for shared parts (&a, *a) written out


# -- yaml -------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """Refuses a mapping that has a key twice, of which YAML would silently take the last."""

    def construct_mapping(self, node, deep=False):
        seen = set()
        for key_node, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key in seen and key != "<<":
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1} has the key {key} a second time")
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict:
    """The mapping in a yaml file with its ``_BASE_`` files below it; UserError where it cannot be read."""
    return _with_bases(Path(path), ())


def _with_bases(path: Path, above: tuple[str, ...]) -> dict:
    """above: the files, resolved, that start from this one."""
    own = _read_one(path)
    above = (*above, realpath(path))
    bases = own.pop("_BASE_", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) and base.isprintable() and base for base in bases):
        raise UserError(f"{path}: _BASE_ is {show(bases)}; it must be the name of a yaml file, or a list of names")
    merged: dict = {}
    for base in bases:
        if realpath(path.parent / base) in above:
            raise UserError(f"{path}: _BASE_ {base} leads back to itself; take one of these lines out")
        _overlay(merged, _with_bases(path.parent / base, above))
    _overlay(merged, own)
    return merged


def _read_one(path: Path) -> dict:
    try:
        own = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader) or {}
        _measure(own, {})
    except OSError as error:
        raise UserError(f"cannot read configuration {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text (byte {error.start}); save it in that encoding") from error
    except RecursionError as error:
        raise UserError(f"{path} is nested too deeply for a configuration") from error
    # PyYAML passes on whatever Python says of a date that does not exist, or a number without digits.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
        raise UserError(f"{path} is not valid yaml: {' '.join(str(error).split())}") from error
    if not isinstance(own, dict):
        raise UserError(f"{path} does not hold a configuration: expected KEY: value lines")
    return own


def _measure(value: Any, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """(depth, values) of what a file holds; ValueError for more than a configuration has, or for a part of itself.

    known: by ``id`` what has been measured already; None while that is going on.
    """
    if not isinstance(value, dict | list):
        return 0, 1
    if id(value) not in known:
        known[id(value)] = None
        parts = [_measure(part, known) for part in (value.values() if isinstance(value, dict) else value)]
        known[id(value)] = 1 + max((depth for depth, _ in parts), default=0), 1 + sum(count for _, count in parts)
    found = known[id(value)]
    if found is None:
        raise ValueError("a part of it contains itself")
    if found[0] > DEPTH or found[1] > NODES:
        raise ValueError("it is nested too deeply, or holds too many values, for a configuration")
    return found


def _overlay(below: dict, above: dict) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            below[key] = dict(below[key])  # a yaml may use one mapping in two places
            _overlay(below[key], value)
        else:
            below[key] = value


# -- over the defaults ------------------------------------------------------------------------------------------------


def _keys(node: Mapping, prefix: str = "") -> Iterator[str]:
    """All keys of a nested configuration, those of groups included."""
    for key, value in node.items():
        yield f"{prefix}{key}"
        if isinstance(value, CfgNode):
            yield from _keys(value, f"{prefix}{key}.")


def merge(cfg: CfgNode, layer: dict, origin: str, prefix: str = "") -> None:
    """Put ``layer`` over ``cfg``. UserError names ``origin`` and the key, for an unknown key or a wrong type."""
    for key, value in layer.items():
        full = f"{prefix}{key}"
        if key not in cfg:
            known = [prefix + known for known in _keys(cfg)]
            raise UserError(f"{origin}: unknown key {full}; did you mean: {nearest(full, known)}?")
        if isinstance(value, dict) and isinstance(cfg[key], CfgNode):
            merge(cfg[key], value, origin, f"{full}.")
        else:
            _set(cfg, key, value, full, f"{origin}: ")


def merge_options(cfg: CfgNode, options: list[str]) -> None:
    """Trailing ``KEY VALUE`` pairs of the command line."""
    if stray := next((word for word in options if word.startswith("--") and len(word) > 2), None):
        raise UserError(f"{stray} stands behind a KEY VALUE pair; options go before all of them")
    if len(options) % 2:
        raise UserError(f"trailing options come in pairs KEY VALUE; {options[-1]!r} has no partner")
    for full, value in zip(options[::2], options[1::2]):
        *path, key = full.split(".")
        node = cfg
        for part in path:
            node = node.get(part) if isinstance(node, CfgNode) else None
        if not isinstance(node, CfgNode) or key not in node:
            raise UserError(
                f"unknown key {full if full.isprintable() else repr(full)}; did you mean: {nearest(full, _keys(cfg))}?"
            )
        _set(node, key, value, full)


def _set(node: CfgNode, key: str, value: Any, full: str, origin: str = "") -> None:
    current = node[key]
    if isinstance(current, CfgNode):
        raise UserError(f"{origin}{full} is a group of keys; choose one of {', '.join(_keys(current, full + '.'))}")
    try:
        node[key] = rule_of(full).fit(value, current)
    except ValueError as error:
        raise UserError(
            f"{origin}{full} is {show(value)}, expected {type(current).__name__} such as {current!r}"
        ) from error


# -- names of files ---------------------------------------------------------------------------------------------------


def find(name: str, folder: Path, kind: str) -> Path:
    """The yaml called ``name``: a path, or a file of ``folder`` with or without its ending."""
    for path in (Path(name), folder / name, folder / f"{name}.yaml"):
        if isfile(path):  # False, where Path.is_file() raises for a name that is too long
            return path
    known = [file.stem for file in sorted(folder.glob("*.yaml"))]
    if not known:
        raise UserError(f"no such {kind} configuration: {name}")
    if kind == "trainer" and (here := called_here(Path(name).stem, known)):
        raise UserError(f"unknown {kind} configuration {name!r}{here}")
    raise unknown(f"{kind} configuration", name, known)
