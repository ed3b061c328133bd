"""In what a recorded run is another than the one asked for, in words; `craft.runs.record` decides what follows."""

from __future__ import annotations

from typing import Any

from craft.runs import identity

LONGER = "a longer run has another schedule of the learning rate from its first epoch on, so it is trained anew"


def differences(found: dict, config: dict, defaults: dict, mode: str, absent: dict[str, Any] | None) -> list[str]:
    """What of a record's run is another than asked for: mode, settings, weight files."""
    flat = [identity.flatten(each) for each in (found["config"], config, defaults)]
    weights = (found.get("identity") or {}).get("weights") or {}
    now = identity.weight_files(config)
    by_content = [key for key in weights if key in now]
    if "classnames" in (found.get("split") or {}):
        by_content += identity.DATA_PATHS
    flat = [{key: value for key, value in each.items() if key not in by_content} for each in flat]
    if mode == "evaluate":  # learned prompts are evaluated without Craft: its settings change no number
        flat = [{key: each[key] for key in each if not key.startswith("TRAINER.CRAFT.")} for each in flat]
    then, asked, usual = flat
    different = identity.differences(then, asked, usual, absent)
    different += [f"the file of {key} has another content" for key in weights if weights[key] != now.get(key)]
    if any(line.startswith("OPTIM.MAX_EPOCH:") for line in different):
        different.append(LONGER)
    if found.get("mode") != mode:
        different.insert(0, f"it is a run to {found.get('mode')}, this is one to {mode}")
    return different


def listed(different: list[str]) -> str:
    more = f" (and {len(different) - 6} more)" if len(different) > 6 else ""
    return "; ".join(different[:6]) + more


def parts_that_count(config: dict, mode: str) -> tuple[str, ...]:
    """The parts of the data that a number depends on. Without a seed the shots are others each time, as was asked."""
    if mode == "evaluate":
        return ("test", "val") if config["TEST"]["SPLIT"] == "val" else ("test",)
    return ("test",) if config["SEED"] < 0 else tuple(identity.PARTS)
