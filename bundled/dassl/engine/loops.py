"""TrainerX and TrainerXU: an epoch over labelled data, or over labelled and unlabelled data together."""

import datetime
import time

from ..utils import AverageMeter, MetricMeter
from ..utils.errors import UserError
from .simple import SimpleTrainer


class _EpochTrainer(SimpleTrainer):
    """One epoch over ``self.batches()``, timed and logged."""

    def batches(self):
        """Set ``num_batches`` and return an iterable of tuples, the arguments of ``forward_backward``."""
        raise NotImplementedError

    def run_epoch(self):
        self.set_model_mode("train")
        losses, batch_time, data_time = MetricMeter(), AverageMeter(), AverageMeter()
        batches = self.batches()
        end = time.time()
        for self.batch_idx, batch in enumerate(batches):
            data_time.update(time.time() - end)
            loss_summary = self.forward_backward(*batch)
            batch_time.update(time.time() - end)
            losses.update(loss_summary)

            frequency = self.cfg.TRAIN.PRINT_FREQ
            if (self.batch_idx + 1) % frequency == 0 or self.num_batches < frequency:
                self._print_progress(losses, batch_time, data_time)
            step = self.epoch * self.num_batches + self.batch_idx
            for name, meter in losses.meters.items():
                self.write_scalar(f"train/{name}", meter.avg, step)
            self.write_scalar("train/lr", self.get_current_lr(), step)
            end = time.time()

    def _print_progress(self, losses, batch_time, data_time):
        left = (self.max_epoch - self.epoch) * self.num_batches - self.batch_idx - 1
        print(
            f"epoch [{self.epoch + 1}/{self.max_epoch}] "
            f"batch [{self.batch_idx + 1}/{self.num_batches}] "
            f"time {batch_time.val:.3f} ({batch_time.avg:.3f}) "
            f"data {data_time.val:.3f} ({data_time.avg:.3f}) "
            f"{losses} "
            f"lr {self.get_current_lr():.4e} "
            f"eta {datetime.timedelta(seconds=int(batch_time.avg * left))}"
        )


class TrainerX(_EpochTrainer):
    """Trains on labelled data; a method implements ``forward_backward(batch)`` and returns a dict of numbers."""

    def batches(self):
        self.num_batches = len(self.train_loader_x)
        return zip(self.train_loader_x)

    def parse_batch_train(self, batch):
        """Images, labels and domains of a batch, on the trainer's device."""
        return tuple(batch[key].to(self.device) for key in ("img", "label", "domain"))


class TrainerXU(_EpochTrainer):
    """Trains on labelled and unlabelled data (target domain, or the unlabelled part of the same domain).

    A method implements ``forward_backward(batch_x, batch_u)``. TRAIN.COUNT_ITER says which loader ends an epoch;
    the other starts again whenever it runs out.
    """

    def batches(self):
        if self.train_loader_u is None:
            raise UserError(
                f"{type(self).__name__} needs unlabelled images, but data set {self.cfg.DATASET.NAME} gives none; "
                "check DATASET.TARGET_DOMAINS"
            )
        lengths = {"train_x": len(self.train_loader_x), "train_u": len(self.train_loader_u)}
        lengths["smaller_one"] = min(lengths.values())
        if self.cfg.TRAIN.COUNT_ITER not in lengths:
            raise ValueError(f"TRAIN.COUNT_ITER must be one of {list(lengths)}, not {self.cfg.TRAIN.COUNT_ITER!r}")
        self.num_batches = lengths[self.cfg.TRAIN.COUNT_ITER]
        loader_x, loader_u = _Endless(self.train_loader_x), _Endless(self.train_loader_u)
        return ((next(loader_x), next(loader_u)) for _ in range(self.num_batches))

    def forward_backward(self, batch_x, batch_u):
        raise NotImplementedError

    def parse_batch_train(self, batch_x, batch_u):
        """Labelled images, their labels, and unlabelled images, on the trainer's device."""
        return batch_x["img"].to(self.device), batch_x["label"].to(self.device), batch_u["img"].to(self.device)


class _Endless:
    """A loader's batches, from the start again (reshuffled) when they run out.

    The first pass begins at once: beginning one draws from torch's random stream, and in this order both loaders
    see the batches that they see in Dassl.
    """

    def __init__(self, loader):
        self.loader = loader
        self.batches = iter(loader)

    def __next__(self):
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            return next(self.batches)
