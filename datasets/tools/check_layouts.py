"""Where `craft data check` misses something: does a folder at hand hold the images in another layout? Then `craft data
adopt` is proposed, with the command to type."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from craft.common.errors import UserError
from craft.datasets.layouts.declared import layouts_of, normal
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.split_file import SplitFileDataset, read_split
from craft.datasets.splits import Item
from craft.datasets.tools.adopt_plan import files_below, make_plan

MOST = 50_000  # files looked at: enough to know a layout by, and listed in a second or two


def proposals(name: str, reader: type[PromptDataset], root: Path, folder: Path) -> list[tuple[str, str]]:
    """[(what a folder holds, what to type)] for the data set's own ``folder`` and those below ``root`` that are called
    like one of it."""
    layouts = layouts_of(reader)
    if layouts is None or not root.is_dir():
        return []
    alike = {normal(other) for other in layouts.folders}
    others = [f for f in sorted(root.iterdir()) if f.is_dir() and f != folder and normal(f.name) in alike]
    to, found = f"--as {name} --root {quote(str(root))}", []
    for place in [folder, *others]:
        if not place.is_dir():
            continue
        paths = files_below(place, MOST)
        plan = make_plan(place, layouts, paths, _listed(reader, [folder, place]), compare=False)
        astray = sum(path != to for to, path in plan.images.items()) if place == folder else len(plan.images)
        if not astray or 2 * astray < len(plan.images):
            continue
        count = f"{astray} images" + (" or more" if len(plan.paths) >= MOST else "")
        what = f"{place} holds {count} of {name} in another layout ({plan.by.most_common(1)[0][0]})"
        if place == folder:
            aside = quote(f"{place}.original")
            found.append((what, f"mv {quote(str(place))} {aside} && craft data adopt {aside} {to}"))
        else:
            found.append((what, f"craft data adopt {quote(str(place))} {to}"))
    return found


def _listed(reader: type[PromptDataset], places: list[Path]) -> dict[str, Item]:
    """{path: item} of the first split file in ``places`` that can be read."""
    if issubclass(reader, SplitFileDataset):
        for path in (place / reader.split_file for place in places):
            try:
                split, _ = read_split(path, reader.image_dir)
            except UserError:  # missing, or damaged, which check says elsewhere
                continue
            return {item.path: item for items in split.parts().values() for item in items}
    return {}
