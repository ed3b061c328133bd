"""What a run's choice of domains is called in the names of files and folders."""

from __future__ import annotations

import re


def as_folder(domain: str) -> str:
    """A domain's name as a part of the name of a file or folder: in a CSV it may hold anything."""
    return re.sub(r"[^\w.+ -]", "_", domain)


def domains_label(node) -> str:
    """What SOURCE_DOMAINS and TARGET_DOMAINS of a ``cfg.DATASET`` are called.

    ``photo`` for a target, ``from_cartoon+photo`` for sources, ``from_cartoon-to_photo`` for both; "" for neither.
    """
    source, target = ("+".join(map(as_folder, sorted(names))) for names in (node.SOURCE_DOMAINS, node.TARGET_DOMAINS))
    if source and target:
        return f"from_{source}-to_{target}"
    return f"from_{source}" if source else target
