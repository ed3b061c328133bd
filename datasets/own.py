"""The readers beside the benchmarks, registered by importing them: sets made on this machine, sets with groups, and
anybody's own folder of images."""

from datasets.digits import Digits

__all__ = ["Digits"]
