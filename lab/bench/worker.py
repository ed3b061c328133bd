"""A measurement in a process of its own: reads its specification as JSON from stdin, writes the result to stdout.

By hand::

    echo '{"kind": "rate", "size": 2048, "repeats": 3, "cache": "/tmp/c"}' | python -m craft.lab.bench.worker
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from craft.common.errors import UserError
from craft.common.places import environment

ERROR = 3  # exit status of a UserError, whose text is then the last line of stderr


def in_this_process(spec: dict[str, Any], cache: str) -> dict[str, Any]:
    """The result of ``spec``, with the feature cache in folder ``cache``."""
    from craft.lab.bench import measure

    with measure.cache(cache):
        return measure.KINDS[spec["kind"]](spec)


def in_its_own(spec: dict[str, Any], cache: str) -> dict[str, Any]:
    """The result of ``spec`` from a fresh process, with its own peak of memory and the feature cache ``cache``.

    A process that is killed while it takes a time (for memory, say) is a result too: {"left_out": the reason}.
    """
    spec = {**spec, "spawned": time.time(), "cache": cache}
    command = [sys.executable, "-W", "ignore", "-m", "craft.lab.bench.worker"]
    done = subprocess.run(command, input=json.dumps(spec), capture_output=True, text=True, env=environment())
    if done.returncode == ERROR:
        raise UserError(done.stderr.strip().splitlines()[-1])
    if done.returncode < 0 and "path" in spec:
        return {"left_out": f"the process was ended by signal {-done.returncode} (out of memory?)"}
    if done.returncode:
        raise RuntimeError(f"measurement {spec} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    spec = json.load(sys.stdin)
    try:
        result = in_this_process(spec, spec["cache"])
    except UserError as error:
        print(error, file=sys.stderr)
        return ERROR
    sys.stdout.flush()
    os.write(1, (json.dumps(result) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
