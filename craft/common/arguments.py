"""The one parser of command lines: every mistake is one line, a misspelt option is answered with the nearest ones."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from craft.common.errors import nearest


class Parser(argparse.ArgumentParser):
    """argparse's, with this project's habits: help as it is written, options written out, errors of one line.

    Sub-commands made by ``add_subparsers`` are of this class too.
    """

    def __init__(self, *args, **kwargs):
        kwargs = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **kwargs}
        super().__init__(*args, **kwargs)

    def error(self, message: str):
        """Print what is wrong, in one line, and exit with status 2."""
        wrong = next((word for word in message.split() if word.startswith("--")), None)
        if message.startswith("unrecognized") and wrong:
            wrong = wrong.partition("=")[0]
            message = f"unknown option {wrong}; did you mean: {nearest(wrong, self.options())}?"
        else:
            message = f"{' '.join(message.split())}; `{self.prog} --help` says more"
        self.exit(2, f"error: {message}\n")

    def options(self) -> list[str]:
        """Every option that a user may write, those of sub-commands included."""
        found = [name for name in self._option_string_actions if name.startswith("--")]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                for one in action.choices.values():
                    found += one.options()
        return list(dict.fromkeys(found))


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """For ``type=``: a whole number from ``low``, to ``high`` where given, both allowed."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        if value < low:
            raise argparse.ArgumentTypeError(f"{text} is not {low} or more")
        if high is not None and value > high:
            raise argparse.ArgumentTypeError(f"{text} is not {high} or less")
        return value

    return read
