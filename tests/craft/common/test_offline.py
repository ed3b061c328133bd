"""With CRAFT_OFFLINE=1 nothing reaches another machine, by whatever way."""

import socket
import subprocess
import sys

import pytest

from craft.common.offline import Offline
from craft.common.places import environment

TRIES = """
import socket, sys, urllib.request
import craft
from craft.common.errors import UserError
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b"x", ("192.0.2.1", 9))
def tcp():
    with socket.socket() as s: s.connect(("127.0.0.1", 9))
def six():
    with socket.socket(socket.AF_INET6) as s: s.connect_ex(("::1", 9))
tries = [udp, tcp, six, lambda: urllib.request.urlopen("http://192.0.2.1/"),
         lambda: socket.getaddrinfo("example.org", 80), lambda: socket.create_connection(("192.0.2.1", 9)),
         lambda: socket.gethostbyname("example.org")]
for one in tries:
    try: one()
    except UserError as error: assert "CRAFT_OFFLINE" in str(error)
    else: sys.exit(f"{one} went through")
a, b = socket.socketpair(); a.sendall(b"x"); assert b.recv(1) == b"x"
import torch
from torch.utils.data import DataLoader
print(sum(len(batch) for batch in DataLoader(torch.arange(8), 2, num_workers=1)))
"""


def test_every_way_out_is_closed_and_workers_work():
    more = environment() | {"CRAFT_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", TRIES], env=more, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "8", done.stdout + done.stderr


def test_the_tests_themselves_are_offline():
    with pytest.raises(Offline), socket.socket() as one:
        one.connect(("192.0.2.1", 9))
    with pytest.raises(Offline):
        socket.getaddrinfo("example.org", 80)
    socket.getaddrinfo("127.0.0.1", 80)
