"""The data of a configuration as they are now, known by digests: what a done run is compared with."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from dassl.data.datasets import DATASET_REGISTRY

from craft import datasets
from craft.common.files import digest_json
from craft.datasets.images import drawing_from
from craft.runs import identity


def data_identity(cfg) -> dict[str, Any]:
    """`craft.runs.identity.split_record` of the data set that a run with ``cfg`` would read.

    The data set is read as the run reads it, shots drawn or remembered, and says nothing. UserError for data that
    cannot be read.
    """
    datasets.enter_into_dassl()
    # Dassl's own data sets draw from Python's global stream, which a run has just seeded when it reads them.
    with contextlib.redirect_stdout(io.StringIO()), drawing_from(max(cfg.SEED, 0)):
        dataset = DATASET_REGISTRY.get(cfg.DATASET.NAME)(cfg)
    return identity.split_record(dataset, cfg.DATASET.ROOT)


class KnownData:
    """`data_identity`, each data set read once: it depends on the DATASET node and the seed alone. For a sweep, whose
    many runs are on few data sets; what changes while it lasts is not seen."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, Any]] = {}

    def __call__(self, cfg) -> dict[str, Any]:
        key = digest_json([identity.flatten(cfg.DATASET), cfg.SEED])
        if key not in self.known:
            self.known[key] = data_identity(cfg)
        return self.known[key]
