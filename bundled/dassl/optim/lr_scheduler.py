"""``cfg.OPTIM`` -> a learning-rate schedule that is stepped once an epoch.

With W = WARMUP_EPOCH, epochs 0 … W-1 warm up and epoch W + i has the rate that the schedule alone gives to
epoch i. The period of the cosine is MAX_EPOCH whatever W, so with a warm-up it does not quite reach zero.
"""

import torch
from torch.optim.lr_scheduler import LRScheduler

from ..utils.checkpoints import load_warmup_state_dict, warmup_state_dict
from ..utils.errors import UnknownName

AVAI_SCHEDS = ["single_step", "multi_step", "cosine"]


class _BaseWarmupScheduler(LRScheduler):
    """Sets the rate itself for ``warmup_epoch`` epochs, then hands over to ``successor``."""

    def __init__(self, optimizer, successor, warmup_epoch, last_epoch=-1):
        self.successor = successor
        self.warmup_epoch = warmup_epoch
        super().__init__(optimizer, last_epoch)

    def warmup_lr(self):
        """One rate a parameter group, for epoch ``last_epoch`` < ``warmup_epoch``."""
        raise NotImplementedError

    def get_lr(self):
        return self.warmup_lr() if self.last_epoch < self.warmup_epoch else self.successor.get_last_lr()

    def step(self, epoch=None):
        if self.last_epoch < self.warmup_epoch:
            super().step(epoch)
        else:
            self.successor.step(epoch)
            self._last_lr = self.successor.get_last_lr()

    state_dict = warmup_state_dict
    load_state_dict = load_warmup_state_dict


class ConstantWarmupScheduler(_BaseWarmupScheduler):
    """``cons_lr`` during the warm-up."""

    def __init__(self, optimizer, successor, warmup_epoch, cons_lr, last_epoch=-1):
        self.cons_lr = cons_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self):
        return [self.cons_lr for _ in self.base_lrs]


class LinearWarmupScheduler(_BaseWarmupScheduler):
    """``min_lr`` in epoch 0, then the share epoch / warmup_epoch of the base rate."""

    def __init__(self, optimizer, successor, warmup_epoch, min_lr, last_epoch=-1):
        self.min_lr = min_lr
        super().__init__(optimizer, successor, warmup_epoch, last_epoch)

    def warmup_lr(self):
        if self.last_epoch == 0:
            return [self.min_lr for _ in self.base_lrs]
        return [lr * self.last_epoch / self.warmup_epoch for lr in self.base_lrs]


def build_lr_scheduler(optimizer, optim_cfg):
    """The schedule that ``optim_cfg`` (the OPTIM node) describes, for ``optimizer``.

    Raises UnknownName (a ValueError) for an unknown LR_SCHEDULER or WARMUP_TYPE, TypeError for a STEPSIZE that
    does not go with it.
    """
    if optim_cfg.LR_SCHEDULER not in AVAI_SCHEDS:
        raise UnknownName("OPTIM.LR_SCHEDULER", optim_cfg.LR_SCHEDULER, AVAI_SCHEDS)
    scheduler = _schedule(optimizer, optim_cfg)
    if optim_cfg.WARMUP_EPOCH <= 0:
        return scheduler
    if not optim_cfg.WARMUP_RECOUNT:
        scheduler.last_epoch = optim_cfg.WARMUP_EPOCH
    if optim_cfg.WARMUP_TYPE == "constant":
        return ConstantWarmupScheduler(optimizer, scheduler, optim_cfg.WARMUP_EPOCH, optim_cfg.WARMUP_CONS_LR)
    if optim_cfg.WARMUP_TYPE == "linear":
        return LinearWarmupScheduler(optimizer, scheduler, optim_cfg.WARMUP_EPOCH, optim_cfg.WARMUP_MIN_LR)
    raise UnknownName("OPTIM.WARMUP_TYPE", optim_cfg.WARMUP_TYPE, ["constant", "linear"])


def _schedule(optimizer, optim_cfg):
    """The schedule without warm-up."""
    stepsize = optim_cfg.STEPSIZE
    if optim_cfg.LR_SCHEDULER == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, float(optim_cfg.MAX_EPOCH))
    if optim_cfg.LR_SCHEDULER == "multi_step":
        if not isinstance(stepsize, (list, tuple)):
            raise TypeError(f"multi_step needs a list as OPTIM.STEPSIZE, but got {stepsize!r}")
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=stepsize, gamma=optim_cfg.GAMMA)
    if isinstance(stepsize, (list, tuple)):
        stepsize = stepsize[-1]
    if not isinstance(stepsize, int):
        raise TypeError(f"single_step needs an integer as OPTIM.STEPSIZE, but got {stepsize!r}")
    if stepsize <= 0:
        stepsize = optim_cfg.MAX_EPOCH
    return torch.optim.lr_scheduler.StepLR(optimizer, step_size=stepsize, gamma=optim_cfg.GAMMA)
