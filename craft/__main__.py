"""Craft: prompt tuning of CLIP with cross-modal anchors.

    craft train --trainer CoOpCraft          train or evaluate; without data, the embedded demonstration
    craft predict --model-dir RUN …          class probabilities of images, with what a run has learned
    craft export --model-dir RUN …           that classifier as safetensors, ONNX, or a folder with its reader
    craft app --model-dir RUN …              a page to try it on, on this machine only
    craft sweep run base2new --datasets …    a protocol of the paper over data sets and seeds
    craft results table output               tables, figures and a report of what was run
    craft data list                          the data sets: list, check, download, adopt, show, fewshot, audit, verify
    craft anchors --trainer CoOpCraft …      the static image anchors of a run, ahead of time
    craft bench --quick                      times against the published trainers' way

In the environment: CRAFT_CACHE (folder of all caches), CRAFT_OFFLINE=1 (refuse every connection), CRAFT_TRACEBACK=1.

`craft COMMAND --help` says more. In a clone that is not installed: `python -m craft COMMAND`.
"""

from __future__ import annotations

import importlib
import sys

import craft
from craft.common.errors import entry_point, nearest

#: command -> the module whose ``main(arguments)`` it is. This file is a door: nothing imports it, and it loads one
#: room by name.
COMMANDS = {
    "train": "craft.trainers.launch",
    "predict": "craft.inference.predict",
    "export": "craft.inference.export",
    "app": "craft.inference.app",
    "sweep": "craft.lab.sweeps.command",
    "results": "craft.lab.results.command",
    "data": "craft.datasets.tools.command",
    "data audit": "craft.inference.audit",  # a room above datasets, as the next
    "data verify": "craft.lab.verify",  # it makes runs: that is the laboratory's
    "anchors": "craft.trainers.precompute",
    "bench": "craft.lab.bench.command",
}


@entry_point
def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    first = argv[0] if argv else "--help"
    if first in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    if first in ("--version", "-V"):
        print(f"craft {craft.__version__}")
        return 0
    if first not in COMMANDS:
        print(f"error: unknown command {first!r}; did you mean: {nearest(first, COMMANDS)}?", file=sys.stderr)
        return 2
    words = 2 if " ".join(argv[:2]) in COMMANDS else 1
    return importlib.import_module(COMMANDS[" ".join(argv[:words])]).main(argv[words:])


def renamed(old: str, command: str) -> int:
    """What the commands of before the library had one name say: the new name, and status 2."""
    print(f"`python -m {old}` is now `craft {command}` (in a clone: `python -m craft {command}`)", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
