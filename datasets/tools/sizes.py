"""The sizes of a loaded data set by part, class, domain and group."""

from __future__ import annotations

from collections import Counter

from craft.datasets.prompt_dataset import PromptDataset


def parts_of(dataset) -> dict[str, list]:
    """The parts of a loaded data set that exist, by name; train_u after train."""
    named = {"train": dataset.train_x, "train_u": dataset.train_u, "val": dataset.val, "test": dataset.test}
    return {name: items for name, items in named.items() if items}


def domain_names(dataset) -> dict[int, str]:
    """{domain: name} where a loaded data set has several domains, else empty.

    Dassl's own sets number source and target domains each from 0, so theirs keep their numbers.
    """
    found = sorted({item.domain for items in parts_of(dataset).values() for item in items})
    known = list(dataset.domains) if isinstance(dataset, PromptDataset) else []
    return {d: known[d] if d < len(known) else str(d) for d in found} if len(found) > 1 else {}


def sizes(dataset) -> dict[str, list[list[object]]]:
    """Rows [name, images in each part …] by "class", "domain" and "group"; the latter where there are several.

    The labels of unlabelled images are not counted: nobody is to look at them.
    """
    parts = parts_of(dataset)
    named: dict[str, dict[int, str]] = {"class": dict(sorted(dataset.lab2cname.items()))}
    if domains := domain_names(dataset):
        named["domain"] = domains
    if group_names := getattr(dataset, "group_names", None):
        named["group"] = dict(enumerate(group_names))
    key = {"class": "label", "domain": "domain", "group": "group"}
    tables: dict[str, list[list[object]]] = {}
    for kind, names in named.items():
        counts = {
            part: Counter(getattr(item, key[kind]) for item in items)
            for part, items in parts.items()
            if not (part == "train_u" and kind != "domain")
        }
        tables[kind] = [[name, *(counts[p][i] if p in counts else "-" for p in parts)] for i, name in names.items()]
    return tables
