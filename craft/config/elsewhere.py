"""What the scripts of other repositories call a trainer's configuration, and what it is called here."""

from __future__ import annotations

import re

BACKBONES = {"rn50": "RN50", "rn101": "RN101", "vit_b32": "ViT-B/32", "vit_b16": ""}
PREFIX = r"vit_b16_c\d+_ep(?P<epochs>\d+)_batch\d+_"

#: what a name looks like -> the configuration here, and what to add to the command
KNOWN = (
    # CoOp: with _ctxv1 the context begins as "a photo of a", without it are 16 tokens from noise
    (r"(?P<backbone>rn50|rn101|vit_b16|vit_b32)(_ep(?P<epochs>\d+))?(?P<ctx>_ctxv1)?(_val)?", "few_shot"),
    (r"vit_b16_c(?P<tokens>\d+)_ep(?P<epochs>\d+)_batch1(?P<ctx>_ctxv1)?", "base2new"),  # CoCoOp
    (PREFIX + r"4ctx_language_only", "language_only"),
    (PREFIX + r"[\d+]+(ctx)?_cross_datasets", "cross_dataset"),
    (PREFIX + r"[\d+]+(ctx)?_few_shot", "few_shot"),
    (PREFIX + r"4\+4ctx", "base2new_4ctx"),
    (PREFIX + r"[\d+]+(ctx)?", "base2new"),
)


def called_here(name: str, known: list[str]) -> str:
    """``; here it is few_shot, with OPTIM.MAX_EPOCH 50 at the end`` for a name of other repositories, else nothing.

    known: the configurations that the trainer has here.
    """
    for pattern, config in KNOWN:
        match = re.fullmatch(pattern, name)
        if not match:
            continue
        parts = match.groupdict()
        if parts.get("ctx"):
            config = "base2new"
        config = config if config in known else "base2new"
        if config not in known:
            return ""
        more = []
        if backbone := BACKBONES.get(parts.get("backbone") or "", ""):
            more.append(f"--backbone {backbone}")
        if parts.get("epochs"):
            more.append(f"OPTIM.MAX_EPOCH {parts['epochs']} at the end")
        added = f", with {' and '.join(more)}" if more else ""
        return f"; what other repositories' scripts call so is {config} here{added}"
    return ""
