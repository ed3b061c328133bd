"""How much memory this process has needed."""

from __future__ import annotations

import sys
from pathlib import Path


def peak() -> int:
    """Bytes: the largest resident size that this process has had.

    Linux keeps getrusage's ru_maxrss across exec, so that a child starts with its parent's peak; VmHWM in
    /proc/self/status belongs to this program alone and is read where it exists.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource  # Windows has none

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
