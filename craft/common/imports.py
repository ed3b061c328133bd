"""Python of the user's own, named on the command line: it registers structures, terms and readers before all else."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from types import ModuleType

from craft.common.arguments import Parser
from craft.common.errors import UserError


def load(name: str) -> ModuleType:
    """Import ``name``, a module or a path to a ``.py`` file.

    A file is imported under its own name with its folder at the end of ``sys.path``, so that worker processes find it
    too, and it may import what lies beside it. UserError where it does not exist, is shadowed, or cannot be imported.
    """
    path = Path(name)
    if path.suffix != ".py":
        return _import(name, name)
    if not path.is_file():
        raise UserError(f"--import {name}: no such file")
    path = path.resolve()
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = _import(path.stem, name)
    if Path(module.__file__ or "").resolve() != path:
        raise UserError(
            f"--import {name}: Python knows another module {path.stem} ({module.__file__}); rename the file"
        )
    return module


def take(argv: list[str]) -> tuple[list[str], list[str]]:
    """Import what every ``--import`` of a command line names; returns these names, and the other words.

    For commands whose own options offer what may be registered: it happens before their parser is made.
    """
    first = Parser(add_help=False)
    add_option(first)
    options, words = first.parse_known_args(argv)
    for name in options.imports:
        load(name)
    return options.imports, words


def add_option(parser: argparse.ArgumentParser) -> None:
    """Give a parser ``--import``, which may be given several times."""
    text = "a Python file or module to import first: it may register structures, terms, data sets or protocols"
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="FILE.py", help=text)


def _import(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except UserError:
        raise
    except Exception as error:  # whatever somebody's file may raise
        raise UserError(f"--import {name}: {type(error).__name__}: {error}") from error
