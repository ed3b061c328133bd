"""Top-k accuracy of a batch."""

from bundled.both.accuracy import compute_accuracy

__all__ = ["compute_accuracy"]
