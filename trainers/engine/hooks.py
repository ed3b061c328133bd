"""What others want to know while a trainer trains, declared: functions called after every finished epoch."""

from __future__ import annotations

from collections.abc import Callable

from craft.runs.finite import not_finite


class EpochHooks:
    """Mix-in in front of a Dassl trainer: each of `epoch_hooks` is called with the number of epochs done so far.

    They are called behind the trainer's own ``after_epoch``, when checkpoint and state of the epoch are on disk. Before
    it, what was learned is looked at: a UserError where it is not finite, so that nothing of the epoch is kept.
    """

    epoch: int
    epoch_hooks: tuple[Callable[[int], None], ...] = ()

    def after_epoch(self) -> None:
        check_finite(self)
        super().after_epoch()  # type: ignore[misc]  # of the trainer that stands behind it
        for hook in self.epoch_hooks:
            hook(self.epoch + 1)


def check_finite(trainer) -> None:
    """UserError where a learned parameter of a Dassl trainer is not a finite number."""
    for model in trainer.get_model_names():
        learned = {name: value for name, value in trainer._models[model].named_parameters() if value.requires_grad}
        not_finite(learned, trainer.epoch + 1)


def with_hooks(trainer: type) -> type:
    """A subclass of a Dassl trainer, of the same name, that has `EpochHooks`; somebody else's trainer included."""
    return type(trainer.__name__, (EpochHooks, trainer), {"__module__": trainer.__module__, "__doc__": trainer.__doc__})
