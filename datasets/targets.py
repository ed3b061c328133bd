"""The domains that a data set offers as targets, known before a run is planned: neither torch nor Dassl is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from yacs.config import CfgNode

from craft.common.errors import UserError
from craft.config.layers import read_yaml
from craft.datasets.config_keys import extend_cfg
from craft.datasets.registry import READERS


def target_domains(file: Path, root: str, options: Sequence[str] = ()) -> list[str]:
    """The domains that runs of a data set can be tested on, each in turn.

    Args:
        file: the data set's yaml. root: folder that holds the data sets.
        options: KEY VALUE pairs of the command line, one list; those of DATASET count here.

    Raises UserError where the reader is not one of ours, the images are not there, or there are no two domains.
    """
    cfg = CfgNode({"DATASET": {"NAME": "", "ROOT": "", "SOURCE_DOMAINS": (), "TARGET_DOMAINS": ()}, "DATALOADER": {}})
    extend_cfg(cfg)
    cfg.DATASET.update(read_yaml(file).get("DATASET") or {})
    pairs = zip(options[::2], options[1::2])
    cfg.DATASET.update({key.removeprefix("DATASET."): text for key, text in pairs if key.startswith("DATASET.")})
    cfg.DATASET.ROOT = root or cfg.DATASET.ROOT
    name, reader = cfg.DATASET.NAME, READERS.get(cfg.DATASET.NAME)
    if reader is None:
        raise UserError(f"the domains of {name} are not known here; name each target, {file.stem}:TARGET")
    found = reader.target_domains(cfg)
    if len(found) < 2:
        count = f"one domain, {found[0]}" if found else "no domains"
        raise UserError(f"{file.stem} has {count}; leaving each out in turn takes two or more")
    return found
