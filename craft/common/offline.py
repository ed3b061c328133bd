"""No network: with ``CRAFT_OFFLINE=1`` in the environment whatever would connect to another machine is refused.

Python's own audit events are listened to, so that no library can go around it; sockets within this machine that have
no address (``AF_UNIX``, which loading workers use) are let through. An audit hook cannot be taken back: `forbid` is
for whole processes, and `allowed` for the tests' own server on the loopback address.
"""

from __future__ import annotations

import socket
import sys
from typing import Any

from craft.common.errors import UserError

_forbidden: dict[str, bool] = {}  # loopback: whether connections to this very machine are let through
LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECTING = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.bind")
LOOKING_UP = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")


class Offline(UserError):
    """Something wanted to reach another machine while that is forbidden."""


def forbid(loopback: bool = False) -> None:
    """Refuse every connection of this process from now on; with ``loopback`` all but those to 127.0.0.1 and ::1."""
    if not _forbidden:
        sys.addaudithook(_listen)
    _forbidden["loopback"] = loopback


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if not event.startswith("socket."):
        return
    if event in CONNECTING:
        one, address = arguments
        if one.family == getattr(socket, "AF_UNIX", None) or address is None:
            return
        host = address[0] if isinstance(address, tuple) and address else address
    elif event in LOOKING_UP:
        host = arguments[0]
    else:
        return
    if not (_forbidden["loopback"] and host in LOOPBACK):
        raise Offline(
            f"CRAFT_OFFLINE is 1, which forbids the network, and {host} was asked for; unset it, or do without"
        )
