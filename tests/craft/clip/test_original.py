"""OpenAI's package: imported with and without ``pkg_resources``, and its attributes known in one room only."""

import ast
import subprocess
import sys

import pytest

from tests.conftest import PROJECT

USE = """
import craft.clip
from craft.clip.original import openai
assert openai.tokenize(["a cat"]).shape == (1, 77)
"""
FORBIDDEN = 'import sys; sys.modules["pkg_resources"] = None\n'
MISSING = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pkg_resources":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
"""
GONE = """
try:
    import pkg_resources
except ImportError:
    print("gone")
"""


@pytest.mark.parametrize(
    "before, after, printed",
    [
        pytest.param(FORBIDDEN, 'assert sys.modules["pkg_resources"] is None' + GONE, "gone", id="forbidden"),
        pytest.param(MISSING, 'assert "pkg_resources" not in sys.modules' + GONE, "gone", id="missing"),
        pytest.param("", "", "", id="as it is"),
    ],
)
def test_import_on_any_setuptools(before, after, printed):
    """Nothing is said, the tokenizer works, and no stand-in stays behind."""
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", before + USE + after], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == printed and "pkg_resources" not in done.stderr


ROOMS = ("craft", "bundled", "datasets", "anchors", "trainers", "lab")
#: the training of that very module, and the published way on purpose
EXEMPT = ("craft/demo/train.py", "lab/bench/plain.py")
ATTRIBUTES = {
    *("visual", "transformer", "resblocks", "attnpool", "conv1", "class_embedding", "ln_pre", "ln_post", "proj"),
    *("token_embedding", "positional_embedding", "ln_final", "text_projection", "logit_scale", "vocab_size"),
    *("input_resolution", "output_dim"),
}
MODULES = ("clip", "craft.clip.original", "craft.clip.text", "craft.clip.vision", "craft.clip.blocks")


def openais(source):
    """Attributes and imports in a file that are OpenAI's."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES:
            owner = node.value
            if not (isinstance(owner, ast.Name) and owner.id == "self"):  # a class's own
                yield f"line {node.lineno}: .{node.attr}"
        elif isinstance(node, ast.Import):
            yield from (f"line {node.lineno}: {a.name}" for a in node.names if a.name.split(".")[0] == "clip")
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            yield from (f"line {node.lineno}: {name}" for name in names if name in MODULES or name.startswith("clip."))


def test_no_other_room_knows_openais_modules():
    found = {}
    for room in ROOMS:
        for path in (PROJECT / room).rglob("*.py"):
            name = path.relative_to(PROJECT).as_posix()
            if not name.startswith("craft/clip/"):
                found[name] = list(openais(path.read_text()))
    assert len(found) > 100
    assert all(found[name] for name in EXEMPT)  # what is looked for is found where it is
    assert {name: where for name, where in found.items() if where and name not in EXEMPT} == {}
