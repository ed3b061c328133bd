"""What others want to know while a trainer trains, declared: functions called after every finished epoch."""

from __future__ import annotations

from collections.abc import Callable


class EpochHooks:
    """Mix-in in front of a Dassl trainer: each of `epoch_hooks` is called with the number of epochs done so far.

    They are called behind the trainer's own ``after_epoch``, when checkpoint and state of the epoch are on disk.
    """

    epoch: int
    epoch_hooks: tuple[Callable[[int], None], ...] = ()

    def after_epoch(self) -> None:
        super().after_epoch()  # type: ignore[misc]  # of the trainer that stands behind it
        for hook in self.epoch_hooks:
            hook(self.epoch + 1)


def with_hooks(trainer: type) -> type:
    """A subclass of a Dassl trainer, of the same name, that has `EpochHooks`; somebody else's trainer included."""
    return type(trainer.__name__, (EpochHooks, trainer), {"__module__": trainer.__module__, "__doc__": trainer.__doc__})
