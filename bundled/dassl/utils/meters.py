"""Running averages of what a training step returns."""

from collections import defaultdict

import torch

__all__ = ["AverageMeter", "MetricMeter"]


class AverageMeter:
    """The latest value (``val``), the weighted mean (``avg``), ``sum`` and ``count`` of a series of numbers.

    Args:
        ema: average exponentially, 0.9 of the past and 0.1 of the newest value.
    """

    def __init__(self, ema=False):
        self.ema = ema
        self.reset()

    def reset(self):
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        """Add ``val`` (a number or a one-element tensor), standing for ``n`` samples."""
        if isinstance(val, torch.Tensor):
            val = val.item()
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = 0.9 * self.avg + 0.1 * val if self.ema else self.sum / self.count


class MetricMeter:
    """One AverageMeter a name, printed as ``loss 0.5000 (0.7500) acc 50.0000 (40.0000)``."""

    def __init__(self, delimiter=" "):
        self.meters = defaultdict(AverageMeter)
        self.delimiter = delimiter

    def update(self, input_dict):
        """Add a dict of numbers or one-element tensors; None adds nothing."""
        if input_dict is None:
            return
        if not isinstance(input_dict, dict):
            raise TypeError(f"forward_backward() must return a dict or None, not {type(input_dict).__name__}")
        for name, value in input_dict.items():
            self.meters[name].update(value)

    def __str__(self):
        return self.delimiter.join(f"{name} {meter.val:.4f} ({meter.avg:.4f})" for name, meter in self.meters.items())
