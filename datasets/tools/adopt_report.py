"""What `craft data adopt` prints: the plan, what became of it, and what could not be had and where it is."""

from __future__ import annotations

import argparse
from pathlib import Path

from craft.common.text_table import text_table
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.tools.adopt import adopt
from craft.datasets.tools.adopt_job import Adoption, Config, origins


def run(name: str, reader: type[PromptDataset], options: argparse.Namespace, config: Config) -> int:
    """Adopt as the command line says and print what was done; the exit status is 0 where nothing is lacking."""
    done = adopt(
        reader,
        Path(options.folder),
        Path(options.root),
        config,
        options.copy,
        options.dry_run,
        options.fetch,
        options.allow_subset,
    )
    print(f"{done.plan.folder} as {name}, to {done.target}" + (" (nothing is written)" if options.dry_run else ""))
    print_plan(done, options.copy, options.dry_run)
    if options.dry_run:
        return 1 if done.lacking or done.complaints else 0
    if done.complete:
        print(f"{name} is in place; `craft data check {name} --root {options.root} --images` looks at every image")
    else:
        if any(file.kind == "dir" and done.plan.below(file.path) for file, _ in done.lacking):
            print("--allow-subset lays folders that lack images all the same")
        print(f"{name} is not complete; `craft data download {name} --root {options.root}` fetches what a script can")
    return 0 if done.complete else 1


def print_plan(done: Adoption, copy: bool, dry_run: bool) -> None:
    plan, would = done.plan, "would be " if dry_run else ""
    for way, count in plan.by.most_common():
        print(f"  {count} images: {way}")
    if plan.doubled:
        print(f"  {plan.doubled} images are there more than once, byte for byte; one of each is taken")
    if plan.unused:
        print(f"  {len(plan.unused)} images are not used, e.g. {plan.unused[0]}")
    rows = [[f"{path}/", f"{would}{'copied' if copy else 'linked'}", plan.below(path)] for path in done.laid]
    rows += [[path, f"{would}taken", source] for path, source in done.files.items()]
    rows += [[file.path, f"lacking: {problem}", origins(file)] for file, problem in done.lacking]
    if rows:
        print(text_table(["file or folder", "state", "images, or where from"], rows))
    for line in done.said.splitlines():
        print(f"  {line}")
    for note in done.notes:
        print(note)
    if done.lacking:
        for (what, remedy), example in plan.strangers.items():
            print(f"{plan.folder / example} is {what}: {remedy}")
    for complaint in done.complaints:
        print(f"problem: {complaint}")
