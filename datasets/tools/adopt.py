"""`craft data adopt`: a copy of a data set that lies otherwise than in CoOp's layout, laid as the readers want it."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from craft.common.errors import UserError
from craft.datasets import listing
from craft.datasets.layouts.declared import Layouts, layouts_of
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.tools.adopt_job import Adoption, Config, Job
from craft.datasets.tools.adopt_lay import holds_images, scratch
from craft.datasets.tools.adopt_plan import Plan, files_below, find_files, make_plan


def adopt(
    reader: type[PromptDataset],
    folder: Path,
    root: Path,
    config: Config,
    copy: bool = False,
    dry_run: bool = False,
    fetch: bool = True,
    allow_subset: bool = False,
) -> Adoption:
    """Lay what ``folder`` holds of a data set below ``root`` as CoOp's layout wants it; ``folder`` is only read.

    Args:
        config: makes the configuration that the reader is given.
        copy: copy files instead of linking them.
        dry_run: say what would be done; nothing is written or fetched.
        fetch: fetch small files that are missing (split, annotations, names), never images.
        allow_subset: lay sets that lack images, and take annotations with other digests than the published ones.

    Raises UserError where nothing of the data set is recognised, and where ``root`` and ``folder`` are in each other's
    way. What could not be had is in the result.
    """
    layouts = _declared(reader)
    folder, root = Path(os.path.abspath(folder.expanduser())), Path(os.path.abspath(root.expanduser()))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; unpack the data set and name the folder it is in")
    target = _target(reader, folder, root)
    paths = files_below(folder)
    declared = reader.files_in(target)
    found, complaints = find_files(declared, layouts, folder, paths, allow_subset)
    for path, others in layouts.elsewhere.items():
        there = [root / other for other in others if (root / other).is_file()]
        if path not in found and there:
            found[path] = there[0]
    plan = make_plan(folder, layouts, paths, tables=found.values(), compare=False)
    with scratch(root, dry_run) as desk:
        work = desk / target.relative_to(root)
        work.mkdir(parents=True)
        job = Job(reader, layouts, target, work, declared, found, config, desk, plan.numbered, copy)
        job.check_names(folder)
        result = Adoption(plan, target, complaints=complaints)
        job.gather_files(result, fetch and not dry_run)
        job.make_labels(plan, result)
        listed = job.listed()
        plan = make_plan(folder, layouts, paths, listed, [work / p for p in job.names() if (work / p).is_file()])
        result.plan = plan
        result.complaints += plan.complaints
        if not plan.images and not any(holds_images(target / f.path) for f in declared if f.kind == "dir"):
            raise UserError(_nothing(reader, plan))
        unsure = job.choose(plan, listed, result, allow_subset)
        if not dry_run:
            job.lay_images(plan, result)
            job.read(result, allow_subset)
            if not result.complete and not allow_subset:
                job.take_back(unsure, result)
        job.name_absent(result)
        if not dry_run:
            job.publish(result)
    return result


def _declared(reader: type[PromptDataset]) -> Layouts:
    layouts = layouts_of(reader)
    if layouts is None:
        raise UserError(
            f"{reader.__name__} has no other layouts declared: bring its folder into the form that its reader reads"
        )
    return layouts


def _target(reader: type[PromptDataset], folder: Path, root: Path) -> Path:
    """The data set's folder below ``root``; UserError where writing to it would change ``folder``."""
    names = reader.dataset_dirs or (reader.dataset_dir,)
    target = next((root / name for name in names if (root / name).is_dir()), root / names[0])
    real, source, base = (Path(os.path.realpath(p)) for p in (target, folder, root))
    if real == source:
        raise UserError(
            f"{folder} is the place where {reader.__name__} belongs, and nothing in it is changed: "
            f"mv {quote(str(folder))} {quote(f'{folder}.original')}, and adopt that"
        )
    if source in base.parents or source == base:
        raise UserError(
            f"--root {root} lies in {folder}, where nothing is changed; name the set's own folder, or another --root"
        )
    if real in source.parents:
        raise UserError(
            f"{folder} lies in {target}, which is to be written; move it out of there, or name another --root"
        )
    return target


def _nothing(reader: type[PromptDataset], plan: Plan) -> str:
    images = sum(map(listing.is_image, plan.paths))
    what = f"{images} image(s), e.g. {plan.unused[0]}" if plan.unused else f"{len(plan.paths)} file(s) and no image"
    told = "; ".join(f"{what} ({example}): {remedy}" for (what, remedy), example in plan.strangers.items())
    wrong = "; ".join(plan.complaints[:2])
    hint = wrong or told or "these layouts are known: " + ", ".join(w.name for w in _declared(reader).images)
    return f"{plan.folder} holds {what}, and none is laid like {reader.__name__}: {hint}"
