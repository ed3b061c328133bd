"""Top-k accuracy of a batch."""

from craft.bundled.both.accuracy import compute_accuracy

__all__ = ["compute_accuracy"]
