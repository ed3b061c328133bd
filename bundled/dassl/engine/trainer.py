"""All trainer base classes under the module name that Dassl extensions import them from."""

from .base import TrainerBase
from .loops import TrainerX, TrainerXU
from .simple import SimpleNet, SimpleTrainer

__all__ = ["SimpleNet", "SimpleTrainer", "TrainerBase", "TrainerX", "TrainerXU"]
