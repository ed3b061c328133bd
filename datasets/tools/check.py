"""Is a data set complete? Its declared files are looked at one by one, then the reader reads it as a run would, and on
request every image is decoded. What is wrong is a row of one table, with where to get it."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from craft.common.errors import UserError
from craft.datasets import class_texts, listing
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.tools import astray
from craft.datasets.tools.files import FoundSplit, folder_of, found_split, images_below, unexpected
from craft.datasets.tools.sizes import parts_of

FOUND, MISSING, UNEXPECTED, NOT_NEEDED = "found", "missing", "unexpected size", "missing, not needed"
HERE = "it is on this disk, see below"


class Finding(NamedTuple):
    """A row of the table.

    ``good`` is False where somebody has to do something, ``detail`` goes below the table, ``folder`` tells a declared
    folder of images.
    """

    name: str
    path: str
    state: str
    advice: str = ""
    good: bool = True
    detail: str = ""
    folder: bool = False


def check_files(
    name: str, reader: type[PromptDataset], root: Path, allow_subset: bool = False, cache: str = ""
) -> list[Finding]:
    """One finding for each declared file or folder of a data set.

    ``allow_subset`` accepts folders with other numbers of images than the published set has, as long as there are
    some; ``cache`` is DATASET.CACHE_DIR, where a split that was made may lie.
    """
    folder = folder_of(reader, root)
    split = found_split(name, reader, folder, cache)
    findings = []
    for file in reader.files_in(folder):
        place = folder / file.path
        path = place.relative_to(root).as_posix()
        unread = file.role == "extra" or (file.role == "annotations" and split is not None)
        if not listing.present(place, file.kind):
            if unread:
                findings.append(Finding(name, path, NOT_NEEDED, file.origin))
            elif file.role == "split":
                made = f"missing, {split.path} is read" if split else "missing, a split is made without it"
                findings.append(Finding(name, path, made, file.origin))
            else:
                findings.append(Finding(name, path, MISSING, file.origin, False))
        elif other := reader.instead(folder, file):
            good = allow_subset and file.kind == "file"
            findings.append(Finding(name, path, f"{FOUND if good else UNEXPECTED}: {other[0]}", other[1], good))
        elif file.role == "split" and split is not None and split.made:
            findings.append(_made_here(name, reader, path, folder, split, allow_subset))
        elif not (odd := unexpected(place, file, split)):
            findings.append(Finding(name, path, FOUND))
        elif unread:
            findings.append(Finding(name, path, f"{odd}, not needed", file.origin))
        elif allow_subset and file.kind == "dir" and not odd.startswith(("0 of", "the folder")):
            findings.append(Finding(name, path, f"{FOUND}: {odd}, a subset"))
        else:
            whole = Finding(name, path, f"{UNEXPECTED}: {odd}", file.origin, False, folder=file.kind == "dir")
            findings.append(whole)
    return findings


def excused(findings: list[Finding]) -> list[Finding]:
    """Folders with other numbers of images than the authors' are no problem once the whole set has been read: what the
    data set does not use may be missing, or more may be there."""
    return [
        f._replace(good=True, advice="", state=f"{f.state.removeprefix(f'{UNEXPECTED}: ')}, but all that is read")
        if f.folder and f.state.startswith(UNEXPECTED)
        else f
        for f in findings
    ]


def _made_here(
    name: str, reader: type[PromptDataset], path: str, folder: Path, split: FoundSplit, allow_subset: bool
) -> Finding:
    """The row of a split that a run here made: not the published one, and perhaps of fewer images than there are."""
    state = f"{FOUND}: {split.made}"
    declared = [file for file in reader.files_in(folder) if file.kind == "dir" and file.role == "required"]
    all_there = all((folder / f.path).is_dir() and not unexpected(folder / f.path, f) for f in declared)
    if split.whole or not all_there:
        return Finding(name, path, state)
    state += f", of {len(split.paths)} images; now there are more"
    return Finding(name, path, state, f"delete {split.path}, and the next run makes a split of all", allow_subset)


def look_around(
    name: str, reader: type[PromptDataset], root: Path, findings: list[Finding], cache: str = "", absent: bool = True
) -> list[Finding]:
    """The findings of `check_files`, with where images lie on this disk, if not where they should, instead of where
    to fetch them. absent: also for a set that has no folder."""
    lost = [finding for finding in findings if not finding.good]
    folder = folder_of(reader, root)
    if not lost or not (absent or folder.is_dir()):
        return findings
    if sentence := astray.whole_set(name, reader, root):
        replaced = {f: f._replace(advice=HERE, detail=sentence if f is lost[0] else "") for f in lost}
        return [replaced.get(finding, finding) for finding in findings]
    split = found_split(name, reader, folder, cache)
    files = {(folder / file.path).relative_to(root).as_posix(): file for file in reader.files_in(folder)}
    told = []
    for finding in findings:
        file = files[finding.path]
        if not finding.good and file.kind == "dir" and not reader.instead(folder, file):
            listed = split.below(file) if split else []
            gone = listing.missing(folder / file.path, listed)
            if bool(gone) == bool(listed) and (sentence := astray.elsewhere(name, reader, root, folder, file, gone)):
                finding = finding._replace(advice=HERE, detail=sentence)
        told.append(finding)
    return told


def unreadable(paths: list[str], workers: int | None = None) -> list[tuple[str, str]]:
    """(path, reason) of every image that cannot be decoded to its last pixel, in the order of ``paths``."""
    bad = []
    # A thread pool: Pillow lets go of the interpreter while it decodes. Slices keep the queue of a million short.
    bar = tqdm(total=len(paths), unit="image", disable=None)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool, bar, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata is not our business here
        for start in range(0, len(paths), 4096):
            batch = paths[start : start + 4096]
            for path, reason in zip(batch, pool.map(fault, batch)):
                bar.update()
                if reason:
                    bad.append((path, reason))
    return bad


def fault(path: str) -> str:
    """Why an image cannot be read, or ""."""
    from dassl.utils import read_image

    try:
        read_image(path)
    except UserError as error:
        return getattr(error, "reason", "") or str(error)
    return ""


def check_reading(name: str, load) -> tuple[list[Finding], object | None]:
    """Read the data set as a run does: (the reader's complaint, or what it found; the data set, or None)."""
    try:
        dataset = load()
    except UserError as error:
        return [Finding(name, "(reading it)", "error, see below", "", False, str(error))], None
    counts = ", ".join(f"{len(items)} {part}" for part, items in parts_of(dataset).items())
    rows = [Finding(name, "(reading it)", f"{dataset.num_classes} classes, {counts}")]
    rows += [Finding(name, f"({what})", said) for what, said in digests_of(dataset)]
    return rows, dataset


def digests_of(dataset) -> list[tuple[str, str]]:
    """(what, digest and what is known of it) of the split, class names and shots; empty for Dassl's own data sets.

    `craft.datasets.prompt_dataset` says what each is, `craft.datasets.digests` how it is taken.
    """
    told = getattr(dataset, "told", None)
    if not told:
        return []
    rows = [("split", f"{told['split']} {told['standing']}".strip()), ("class names", told["classnames"])]
    if told["few_shot"]:
        both = " and ".join(f"{part} {digest}" for part, digest in told["few_shot"].items() if digest)
        rows.append(("shots", f"{both}: {told['draw']}"))
    return rows


def check_classes(name: str, dataset, template: str) -> list[Finding]:
    """What classes are called in prompts, and whether a run can tell them apart; for a folder or CSV of one's own also
    how many images they have, and what lies beside them."""
    names = [dataset.lab2cname[label] for label in sorted(dataset.lab2cname)]
    texts = class_texts.filled(template, names)
    rows = [Finding(name, "(texts)", class_texts.first(texts))]
    if len(names) < 2:
        rows.append(Finding(name, "(classes)", "one class: whatever is learned is right on it", "add another", False))
    rename = "DATASET.CLASSNAMES names a file with other names" if hasattr(dataset, "place") else "rename it"
    for text in class_texts.too_long(texts):
        short = f"{text[:40]}…"
        rows.append(Finding(name, "(texts)", f"{short!r} is longer than the 77 tokens that CLIP reads", rename, False))
    own = getattr(dataset, "expected", None) is None
    pairs = class_texts.alike(map(class_texts.as_read, names))
    twins = ", ".join(" and ".join(names[place] for place in places) for places in pairs[: class_texts.MOST])
    if pairs:
        rows.append(Finding(name, "(classes)", f"{len(pairs)} text(s) of several classes, as published: {twins}"))
    rows += [Finding(name, "(classes)", f"warning: {line}", rename) for line in class_texts.oddities(names) if own]
    if own and hasattr(dataset, "place"):
        rows += _own_images(name, dataset)
    return rows


def _own_images(name: str, dataset) -> list[Finding]:
    """Images a class of ImageFolder, and files that it reads nothing of."""
    label_of = {item.impath: item.label for items in parts_of(dataset).values() for item in items}  # val may be test
    counts = Counter(label_of.values()).most_common()
    (most, highest), (least, lowest) = counts[0], counts[-1]
    called = dataset.lab2cname
    state = f"{lowest} images ({called[least]!r}) to {highest} ({called[most]!r}) a class"
    rows = [Finding(name, "(classes)", state)]
    place, node = dataset.place(dataset.cfg), dataset.cfg.DATASET
    whole = node.NUM_SHOTS < 1 and node.SUBSAMPLE_CLASSES == "all" and not (node.SOURCE_DOMAINS or node.TARGET_DOMAINS)
    if place.is_file() and whole:
        listed = set(map(os.path.realpath, label_of))
        unread = sorted(path for path in images_below(dataset.folder) if os.path.realpath(path) not in listed)
        if unread:
            some = os.path.relpath(unread[0], dataset.folder)
            rows.append(
                Finding(name, "(images)", f"{len(unread)} image(s) that {place.name} does not list, e.g. {some}")
            )
    stray = [path for path in listing.other_files(dataset.folder) if dataset.folder / path != place]
    if stray:
        some = ", ".join(stray[:3]) + (", …" if len(stray) > 3 else "")
        rows.append(Finding(name, "(stray files)", f"{len(stray)} file(s) that are no images, passed over: {some}"))
    return rows


def check_images(name: str, dataset, root: Path) -> list[Finding]:
    """A finding for each unreadable image (named below ``root`` where it is), or one that says all are readable."""
    paths = list(dict.fromkeys(item.impath for items in parts_of(dataset).values() for item in items))
    bad = unreadable(paths)
    if not bad:
        return [Finding(name, "(images)", f"all {len(paths)} can be decoded")]
    advice = "restore it from its archive, or delete it and its annotation"
    prefix = f"{root.absolute()}{os.sep}"
    return [
        Finding(name, path.removeprefix(prefix), f"cannot be decoded: {reason}", advice, False) for path, reason in bad
    ]
