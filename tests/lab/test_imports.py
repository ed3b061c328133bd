"""Who imports whom within the laboratory, imports inside functions included."""

import ast

import pytest

from tests.conftest import PROJECT


def edges():
    """Module -> the modules of lab/ that it imports anywhere."""
    files = {path: ".".join(("craft", *path.relative_to(PROJECT).with_suffix("").parts)) for path in LAB}
    names = {name.removesuffix(".__init__") for name in files.values()}
    found = {}
    for path, name in files.items():
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    wanted.add(inner if inner in names else node.module)
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        name = name.removesuffix(".__init__")
        found[name] = (wanted & names) - {name}
    return found


LAB = sorted((PROJECT / "lab").rglob("*.py"))


def test_there_is_no_circle():
    graph = edges()
    assert len(graph) > 20

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for name in graph[todo.pop()] - seen:
                seen.add(name)
                todo.append(name)
        return seen

    assert [name for name in graph if name in reached(name)] == []


@pytest.mark.parametrize(
    ("room", "unknown"), [("sweeps", ("results", "bench")), ("results", ("bench",)), ("bench", ("sweeps", "results"))]
)
def test_sweeps_stand_alone_and_results_read_them(room, unknown):
    forbidden = tuple(f"craft.lab.{name}" for name in unknown)
    mine = {name: found for name, found in edges().items() if name.startswith(f"craft.lab.{room}")}
    assert mine and [(name, one) for name, found in mine.items() for one in found if one.startswith(forbidden)] == []


def test_only_executors_know_processes_and_signals():
    knowing = {"subprocess", "signal", "multiprocessing", "concurrent", "threading"}
    for path in LAB:
        if path.is_relative_to(PROJECT / "lab/sweeps") and "executors" not in path.parts:
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
            imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
            assert not {name.partition(".")[0] for name in imported} & knowing, path
