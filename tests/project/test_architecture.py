"""Which part may use which: every import of every file is read, wherever it stands, and held against the order of the
rooms. The doors (``__main__.py``) are left out: each loads one room by name."""

import ast
import functools
import graphlib
import itertools
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

#: from the ground up: a room uses those before it and no other
ROOMS = ("craft", "bundled", "datasets", "anchors", "trainers", "inference", "lab")


def files(room: str) -> list[Path]:
    return [path for path in sorted((PROJECT / room).rglob("*.py")) if path.name != "__main__.py"]


def module_of(path: Path) -> list[str]:
    """``["craft", "datasets", "readers", "digits"]`` of ``datasets/readers/digits.py``."""
    parts = list(path.relative_to(PROJECT).with_suffix("").parts)
    parts = parts if parts[0] == "craft" else ["craft", *parts]
    return parts[:-1] if parts[-1] == "__init__" else parts


@functools.cache
def imports(path: Path) -> list[tuple[int, str]]:
    package = module_of(path) if path.name == "__init__.py" else module_of(path)[:-1]
    return imports_of(path.read_text(encoding="utf-8"), package)


def imports_of(source: str, package: list[str]) -> list[tuple[int, str]]:
    """(line, full name) of everything that a file of ``package`` imports, wherever in it.

    ``from craft.clip import load_clip`` is ``craft.clip.load_clip``: a name too many does no harm.
    """
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            base += node.module.split(".") if node.module else []
            found += [(node.lineno, ".".join([*base, name.name])) for name in node.names]
    return found


def room_of(name: str) -> str:
    """The room of an imported name; "" for other people's packages. ``dassl`` is what ``bundled`` provides."""
    top, _, rest = name.partition(".")
    if top == "dassl":
        return "bundled"
    if top != "craft":
        return ""
    part = rest.partition(".")[0]
    return part if part in ROOMS else "craft"


def test_no_import_hides():
    source = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from craft.trainers.coop import CoOpLearner
def late():
    import craft.lab.results.tables as tables
    from . import registry
    from ..clip import load_clip
    from craft import anchors
"""
    names = {name for _, name in imports_of(source, ["craft", "datasets"])}
    assert names >= {
        "craft.trainers.coop.CoOpLearner",
        "craft.lab.results.tables",
        "craft.datasets.registry",
        "craft.clip.load_clip",
        "craft.anchors",
    }
    rooms = {room_of(name) for name in names}
    assert rooms == {"", "craft", "datasets", "anchors", "trainers", "lab"} and room_of("dassl.engine") == "bundled"


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_uses_only_rooms_before_it(room):
    allowed = ROOMS[: ROOMS.index(room) + 1]
    upward = [
        f"{path.relative_to(PROJECT)}:{line}: {name}"
        for path in files(room)
        for line, name in imports(path)
        if room_of(name) not in ("", *allowed)
    ]
    assert files(room) and not upward, "\n".join(upward)


def test_nobody_imports_a_room_under_its_bare_name():
    """``datasets`` and ``trainers`` belong to other people."""
    bare = [
        f"{path.relative_to(PROJECT)}:{line}: {name}"
        for room in ROOMS
        for path in files(room)
        for line, name in imports(path)
        if name.split(".")[0] in ROOMS[1:]
    ]
    assert not bare, "\n".join(bare)


def library_arrows() -> dict[str, dict[str, str]]:
    """{part of the library: {part that it uses: an import that does}}; a part is a folder or file of ``craft/``."""
    parts = {path.stem for path in (PROJECT / "craft").iterdir() if path.suffix == ".py" or path.is_dir()}
    arrows: dict[str, dict[str, str]] = {}
    for path in files("craft"):
        own = arrows.setdefault(path.relative_to(PROJECT / "craft").parts[0].removesuffix(".py"), {})
        for line, name in imports(path):
            if name.startswith("craft.") and (part := name.split(".")[1]) in parts:
                own.setdefault(part, f"{path.relative_to(PROJECT)}:{line}")
    return {part: {to: where for to, where in used.items() if to != part} for part, used in arrows.items()}


def test_the_library_has_no_circle():
    arrows = library_arrows()
    try:
        order = tuple(graphlib.TopologicalSorter(arrows).static_order())
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        steps = [f"{a} uses {b}: {arrows[a][b]}" for a, b in itertools.pairwise(circle)]
        pytest.fail("\n".join(steps))
    assert {"common", "clip", "config", "demo", "prompts", "runs", "losses", "mmd", "terms"} <= set(order)


def test_the_common_part_uses_nothing_above_it():
    assert library_arrows()["common"] == {}


def test_data_tools_stand_on_the_readers_and_not_the_other_way_round():
    upward = [
        f"{path.relative_to(PROJECT)}:{line}: {name}"
        for path in files("datasets")
        if path.relative_to(PROJECT).parts[1] != "tools"
        for line, name in imports(path)
        if name.startswith("craft.datasets.tools")
    ]
    assert not upward, "\n".join(upward)
