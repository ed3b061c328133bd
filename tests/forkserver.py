"""Real processes without waiting for torch: a server imports everything once and forks for every command.

Sweeps and scripts start many short processes, each of which would spend most of its life importing torch. In these
tests they start `stand_in` instead, a tiny program that hands its arguments, folder, environment and streams to the
server; the command then runs in a forked child of its own, with its own exit status, and can be killed.

    python tests/forkserver.py SOCKET        serves until its standard input closes
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
#: what commands load when they first need it, imported once
PRELOADED = (
    "scipy.stats",
    "craft.anchors.static",
    "craft.datasets.dassl_datasets",
    "craft.lab.results.command",
    "craft.lab.results.tables",
    "craft.lab.sweeps.command",
    "craft.lab.sweeps.executors.local",
    "craft.lab.sweeps.runner",
    "craft.runs.checkpoints",
    "craft.trainers.data_identity",
    "craft.trainers.engine.variants",
    "craft.trainers.launch",
    "craft.trainers.overview",
    "craft.trainers.settings",
)

STAND_IN = """#!{python} -S
import json, os, signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({address!r})
request = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ)}}
socket.send_fds(s, [b"x"], [0, 1, 2])
s.sendall(json.dumps(request).encode() + b"\\n")
answers = s.makefile()
pid = int(answers.readline())
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda n, _: os.kill(pid, n))
status = int(answers.readline() or 1)
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if status != -9 else None
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


@contextlib.contextmanager
def serving(folder: Path):
    """The path of the stand-in for the interpreter, while a server runs."""
    address, stand_in = str(folder / "socket"), folder / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable, address=address))
    stand_in.chmod(0o755)
    server = subprocess.Popen([sys.executable, __file__, address, str(stand_in)], stdin=subprocess.PIPE, cwd=HOME)
    try:
        while not os.path.exists(address):
            assert server.poll() is None, "the server did not start"
            time.sleep(0.05)
        yield stand_in
    finally:
        server.stdin.close()
        server.wait(timeout=30)


def serve(address: str, stand_in: str) -> None:
    sys.path.insert(0, str(HOME))
    for module in PRELOADED:
        importlib.import_module(module)

    sys.executable = stand_in  # commands that start commands come back here
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".new")
    listener.listen(64)
    os.rename(address + ".new", address)
    if os.fork() == 0:  # ends the server when the test does
        sys.stdin.read()
        os.kill(os.getppid(), signal.SIGTERM)
        os._exit(0)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            answer(connection)
            os._exit(0)
        connection.close()


def answer(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    request = json.loads(connection.makefile().readline())
    pid = os.fork()
    if pid == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        run(request)
    connection.sendall(f"{pid}\n".encode())
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        readable, _, _ = select.select([connection], [], [], 0.02)
        if readable and not connection.recv(1):  # kill -9 of the stand-in is kill -9 of its command
            os.kill(pid, signal.SIGKILL)
            return
    connection.sendall(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())


def run(request: dict) -> None:
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    argv, status = request["argv"], 0
    try:
        if argv[0] == "-m":
            sys.argv = argv[1:]
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = argv
            runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve(*sys.argv[1:])
