"""The towers' blocks through ``torch.compile``.

One block is compiled, not a tower: all blocks of a tower run the same code on other weights, so that compiling costs
the same for any number of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from craft.common.errors import UserError

BACKEND = "inductor"
#: Each way to call a block (batch size 1 or more, with a graph or without, block 0 or later, last block) is compiled of
#: its own; torch gives up at 8, and would run what comes then as if nothing were compiled.
VARIANTS = 64


@functools.cache
def compiled(function: Callable) -> Callable:
    """``function``, compiled when it is first called; other shapes compile it once more, then for all sizes.

    Calls raise UserError where the machine cannot compile.
    """
    from torch import _dynamo  # a second to import, which runs without it need not spend
    from torch._dynamo.exc import TorchDynamoException

    _dynamo.config.cache_size_limit = max(_dynamo.config.cache_size_limit, VARIANTS)
    try:
        fast = torch.compile(function, backend=BACKEND)
    except RuntimeError as error:  # this Python, or this system
        raise _refusal(error) from error

    @functools.wraps(function)
    def call(*args):
        try:
            return fast(*args)
        except TorchDynamoException as error:
            raise _refusal(error) from error

    return call


def _refusal(error: Exception) -> UserError:
    error = getattr(error, "inner_exception", error)  # of the backend, where torch tells it apart
    cause = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return UserError(
        f"TRAINER.COMPILE: torch.compile does not work here ({cause}); install what it misses (on a CPU a C++ "
        "compiler), or set TRAINER.COMPILE to False"
    )
