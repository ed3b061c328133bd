"""Mends an installed upstream Dassl 0.6.3, at import, for current torch and numpy and without its dead pins.

This file is no part of the API around it, and does nothing where the package is imported as ``dassl``. It lies here
because it mends upstream with this package's own functions, and because nothing but ``dassl`` may lie in the folder
above, which stands on ``sys.path``. `craft.bundled` loads it as ``craft.bundled.dassl.upstream``, beside upstream's
``dassl``.

What breaks, and what is done about it, inside Dassl's own modules and nowhere else:

- ``wilds``, ``pandas``: its data-set package imports them at once. Without them those data sets are left out.
- ``gdown``, ``tabulate``, ``tensorboard``: imported at once, too, for one function each. Stand-ins are bound.
- torch >= 2.7: warm-up schedulers hand ``verbose`` to LRScheduler by position.
- torch >= 2.6: checkpoints load with weights_only and hold a pickled scheduler. The warm-up schedulers save plain
  values instead, and ``load_checkpoint`` reads both kinds without executing anything. (Loading the pickled one, a
  resumed run stepped a copy of its optimizer: its learning rate no longer moved.)
- ``load_model`` formats ``val_result``, which every checkpoint but the best lacks; and a folder without a
  checkpoint passed for one to resume from.
- torch >= 1.7: ``compute_accuracy`` for k > 1 (a view of a matrix that is not contiguous).
- numpy >= 1.24: ``np.int`` in two modules of transforms.

Errors, logs and checkpoint files then follow the rules of this project as in ``bundled/dassl``: one line that names the
file or the nearest names, nothing half-written, a log that survives a kill.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import importlib.util
import logging
import sys
import types
from collections.abc import Iterator

import numpy as np
from torch.optim.lr_scheduler import LRScheduler

from .metrics.accuracy import compute_accuracy
from .utils import checkpoints, images, logger, tools, trained_models
from .utils.errors import UnknownName, UserError
from .utils.registry import readable


def mend() -> None:
    """Import upstream's packages and mend them; ImportError where something else is missing. Safe to call twice."""
    with _stand_ins():
        _replace("dassl.utils", _utilities())
        _replace("dassl.metrics", {"compute_accuracy": compute_accuracy})
        for package in ("config", "optim", "evaluation", "metrics", "modeling", "data", "engine"):
            importlib.import_module(f"dassl.{package}")
    _mend_registry()
    _mend_warmup()
    _mend_numpy()
    _mend_datum()
    _mend_trainer()


def _utilities() -> dict:
    """Name in ``dassl.utils`` -> what takes its place."""
    return {
        "check_availability": tools.check_availability,
        "load_checkpoint": checkpoints.load_checkpoint,
        "read_image": images.read_image,
        "resume_from_checkpoint": checkpoints.resume_from_checkpoint,
        "save_checkpoint": checkpoints.save_checkpoint,
        "Logger": logger.Logger,
        "setup_logger": logger.setup_logger,
    }


def _replace(package: str, replacements: dict) -> None:
    """Rebind names of ``package`` wherever in Dassl they are already bound; later imports take them from there."""
    home = importlib.import_module(package)
    for name, replacement in replacements.items():
        original = getattr(home, name, None)
        for module_name, module in list(sys.modules.items()):
            if module_name.split(".")[0] == "dassl" and vars(module).get(name) is original is not None:
                setattr(module, name, replacement)


# ---------------------------------------------------------------- modules that are not installed


@contextlib.contextmanager
def _stand_ins() -> Iterator[None]:
    """Importing Dassl succeeds without its optional needs; afterwards ``sys.modules`` is as honest as before."""
    missing = {name for name in ("wilds", "pandas", "gdown", "tabulate", "tensorboard") if not _installed(name)}
    stand_ins = {}
    if missing & {"wilds", "pandas"}:
        stand_ins["dassl.data.datasets.dg.wilds"] = _module("dassl.data.datasets.dg.wilds")
    if "gdown" in missing:
        stand_ins["gdown"] = _module("gdown", download=_needs("gdown"))
    if "tabulate" in missing:
        stand_ins["tabulate"] = _module("tabulate", tabulate=tools.two_columns)
    if "tensorboard" in missing:
        stand_ins["torch.utils.tensorboard"] = _module("torch.utils.tensorboard", SummaryWriter=_NoWriter)
    stand_ins = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    logging_level = logging.root.manager.disable
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            sys.modules.pop(name, None)
        # Dassl's reader of wilds data turns off everybody's warnings.
        logging.disable(logging_level)


def _installed(name: str) -> bool:
    return name in sys.modules or importlib.util.find_spec(name) is not None


def _module(name: str, **attributes) -> types.ModuleType:
    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, loader=None)  # find_spec() refuses a module without
    vars(module).update(attributes)
    return module


def _needs(package: str):
    def fail(*args, **kwargs):
        raise UserError(f"this needs the package {package}: pip install {package}")

    return fail


class _NoWriter:
    """A SummaryWriter that writes nothing, where tensorboard is not installed."""

    def __init__(self, log_dir=None):
        print("tensorboard is not installed: scalars are not written (pip install tensorboard)")

    def add_scalar(self, *args, **kwargs):
        pass

    def close(self):
        pass


# ---------------------------------------------------------------- what current torch and numpy broke


def _mend_warmup() -> None:
    schedulers = importlib.import_module("dassl.optim.lr_scheduler")

    def initialise(self, optimizer, successor, warmup_epoch, last_epoch=-1, verbose=False):
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        LRScheduler.__init__(self, optimizer, last_epoch)

    base = schedulers._BaseWarmupScheduler
    base.__init__ = initialise
    base.state_dict = checkpoints.warmup_state_dict
    base.load_state_dict = checkpoints.load_warmup_state_dict


class _NumpyWithInt(types.ModuleType):
    """NumPy with the alias that it dropped."""

    int = int

    def __getattr__(self, name):
        return getattr(np, name)


def _mend_numpy() -> None:
    if hasattr(np, "int"):
        return
    for name in ("autoaugment", "randaugment"):
        importlib.import_module(f"dassl.data.transforms.{name}").np = _NumpyWithInt("numpy")


def _mend_trainer() -> None:
    base = importlib.import_module("dassl.engine.trainer").TrainerBase
    base.resume_model_if_exist = trained_models.resume_model_if_exist
    base.load_model = trained_models.load_model


# ---------------------------------------------------------------- errors for people


def _mend_registry() -> None:
    registry = importlib.import_module("dassl.utils.registry").Registry
    original = registry.get
    if hasattr(original, "__wrapped__"):
        return

    @functools.wraps(original)
    def get(self, name):
        if name not in self._obj_map:
            raise UnknownName(readable(self._name), name, self._obj_map)
        return original(self, name)

    registry.get = get


def _mend_datum() -> None:
    importlib.import_module("dassl.data.datasets.base_dataset").check_isfile = tools.require_file
