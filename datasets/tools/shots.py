"""The shots of a run as a file for others: `craft data fewshot`."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from craft.common.errors import UserError
from craft.datasets import shot_lists
from craft.datasets.registry import READERS


def write_shots(name: str, config: Callable[[list[str]], object], to: str, prefix: str) -> None:
    """Draw the shots of a run on the data set called ``name`` and write them to ``to``; the digests are printed.

    config: gives the run's configuration with further ``KEY VALUE`` pairs. UserError where there are no shots to write.
    Nothing is written into the data set's folder.
    """
    reader = READERS.get(name)
    if reader is None or reader.test_only:
        raise UserError(
            f"{name} has no shots to write: " + ("it is Dassl's own" if reader is None else "it only tests")
        )
    with tempfile.TemporaryDirectory(prefix="craft-datasets-") as scratch:
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            dataset = reader(config(["DATASET.CACHE_DIR", scratch]))
            whole = dataset.whole()
            drawn = dataset.finish(whole)
    # What was kept in a folder that is gone by now is nobody's business.
    print("\n".join(line for line in said.getvalue().splitlines() if scratch not in line))
    if dataset.told["few_shot"] is None:
        raise UserError("no shots are asked for: give their number with --shots")
    for path in shot_lists.write(Path(to).expanduser(), dataset, whole, drawn, prefix):
        print(f"few-shot list: {path}")
    for part, digest in dataset.told["few_shot"].items():
        if digest:
            print(f"digest of {part}: {digest}")
    print(f"drawn from the split {dataset.told['split']} {dataset.told['standing']}".rstrip())
