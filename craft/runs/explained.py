"""Why a run ended, in one line that says what to do, where torch and the system only say that there was too little."""

from __future__ import annotations

import errno
import sys

from craft.common.errors import UserError
from craft.common.files import FULL

#: in the words of torch, CUDA, NumPy, C++ and the system
NO_MEMORY = (
    *("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "unable to allocate"),
    *("bad_alloc", "alloc_failed", "insufficient shared memory"),
)


def explained(error: Exception, config: dict, mode: str = "train") -> Exception:
    """A UserError in place of an ``error`` that means too little memory or a full disk; else the error itself.

    config: nested, of the run; mode: ``train`` or ``evaluate``. They say what there is to lower.
    """
    if isinstance(error, UserError):
        return error
    if _out_of_memory(error):
        said = str(error).strip().splitlines() or [type(error).__name__]
        return UserError(f"out of memory: {_what_to_lower(config, mode)} ({said[0][:150]})")
    if isinstance(error, RuntimeError) and "PytorchStreamWriter" in str(error):  # somebody's torch.save
        return UserError(f"could not write to {config['OUTPUT_DIR']}: the disk may be full; free space there")
    if isinstance(error, OSError) and error.errno in FULL:
        where = error.filename or config["OUTPUT_DIR"]
        return UserError(
            f"could not write {where}: {error.strerror}; free space there, then run the same command again"
        )
    return error


def _out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY)


def _what_to_lower(config: dict, mode: str) -> str:
    part = "TRAIN_X" if mode == "train" else "TEST"
    size = config["DATALOADER"][part]["BATCH_SIZE"]
    chunk = config["TRAINER"].get("TEXT_CHUNK", 0)
    texts = f"lower TRAINER.TEXT_CHUNK (now {chunk})" if chunk else "set TRAINER.TEXT_CHUNK 100"
    return f"{texts}, or lower DATALOADER.{part}.BATCH_SIZE (now {size})"
