"""What the record of a run looks like: a file that somebody edited, or that is another program's, is named as such."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from craft.common.errors import UserError
from craft.config.rules import show

NUMBER, NOTHING = (int, float), (type(None),)
#: field, by its path -> what it may be. Fields that stand below one that is missing, or None, are not asked for.
FIELDS: dict[str, tuple[type, ...]] = {
    "state": (str,),
    "mode": (str,),
    "epoch": (int,),
    "epochs": (int,),
    "error": (str, *NOTHING),
    "identity": (dict,),
    "identity.code": (str,),
    "identity.weights": (dict, *NOTHING),
    "identity.model": (dict, *NOTHING),
    "identity.model.trained": (dict, *NOTHING),
    "versions": (dict, *NOTHING),
    "timing": (dict,),
    "timing.seconds": NUMBER,
    "timing.sessions": (list,),
    "config": (dict,),
    "config.SEED": (int,),
    "config.TRAINER": (dict,),
    "config.TRAINER.NAME": (str,),
    "config.DATASET": (dict,),
    "config.DATASET.NAME": (str,),
    "config.DATASET.NUM_SHOTS": (int,),
    "config.TEST": (dict,),
    "config.TEST.FINAL_MODEL": (str,),
    "split": (dict, *NOTHING),
    "split.classes": (int,),
    "split.parts": (dict,),
    "split.files": (dict,),
    "split.subset": (dict, *NOTHING),
    "evaluated": (dict, *NOTHING),
}
#: what a run that got as far as its settings has said
ALWAYS = (
    *("mode", "identity.code", "timing.seconds", "timing.sessions"),
    *("config.SEED", "config.TRAINER.NAME", "config.DATASET.NAME", "config.DATASET.NUM_SHOTS"),
)
STATES = ("started", "done", "failed")
MISSING = object()


def wrong(found: Any) -> str:
    """What is wrong with ``found``, the content of a run's record, in words that follow its name; "" for nothing."""
    if not isinstance(found, dict) or "state" not in found:
        return "is not a run's record"
    for field, kinds in FIELDS.items():
        value = _at(found, field)
        if value is MISSING:
            if field in ALWAYS and "config" in found:
                return f"is not a whole record: it has no {field}"
        elif not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds) or not _finite(value):
            return f"is not a run's record: its {field} is {show(value)}"
    if found["state"] not in STATES:
        return f"is not a run's record: its state is {show(found['state'])}"
    return ""


def check(found: Any, path: Path) -> dict[str, Any]:
    """``found``, the content of the file ``path``, where it is a run's record; UserError with the field where not."""
    if told := wrong(found):
        raise UserError(f"{path} {told}; restore it, or run that training again with --force")
    return found


def _at(found: Any, field: str) -> Any:
    for part in field.split("."):
        if not isinstance(found, dict) or part not in found:
            return MISSING
        found = found[part]
    return found


def _finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)
