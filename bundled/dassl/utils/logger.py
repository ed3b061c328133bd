"""Copying what is printed to a log file."""

from craft.bundled.both.logs import Logger, setup_logger

__all__ = ["Logger", "setup_logger"]
