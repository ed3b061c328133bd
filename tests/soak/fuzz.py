"""Readers of files that come from elsewhere, given what no writer would write: samples that were changed at random.

A reader may take the input or refuse it with a UserError. Any other exception, a crash of the process, and an input on
which it hangs is a wrong outcome. Where atheris is installed, `python -m tests.soak.coverage READER` does the same
guided by coverage.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import traceback
from pathlib import Path

from tests.soak.children import Child
from tests.soak.readers import Reader, readers
from tests.soak.tally import Tally

PORTION = 500  # inputs that one process reads
SECONDS = 20  # an input that takes longer hangs
#: what tends to hurt readers of text
TOKENS = [
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\r", b'"', b"'", b"{}", b"[]", b"[" * 2000,
    b"{" * 60, b"null", b"true", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 400, b"18446744073709551616", b"0.5",
    b"\\ud800", b"../", b"/etc/passwd", b"\\", b"C:\\", b"&a ", b"*a", b"!!python/object:os.system", b"_BASE_: ", b"? ",
    b"<<: ", b"%", b"\xe2\x80\xae", b"e\xcc\x81", b" ", b"\t", b",", b";", b":", b"\n\n", b"~", b"2026-13-45", b"0o9",
    b"1:90", b".inf",
]  # fmt: skip


def changed(sample: bytes, others: list[bytes], draw: random.Random) -> bytes:
    """``sample`` after one to eight changes."""
    data = bytearray(sample)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        at = draw.randrange(len(data) + 1)
        kind = draw.randrange(8)
        if kind == 0 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif kind == 1 and data:
            data[at % len(data)] = draw.randrange(256)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + draw.randint(1, 40)]
        elif kind == 4:
            data[at:at] = draw.choice(TOKENS)
        elif kind == 5:
            data[at:at] = data[at : at + draw.randint(1, 60)] * draw.randint(1, 3)
        elif kind == 6:
            other = draw.choice(others)
            start = draw.randrange(len(other) + 1)
            data[at : at + draw.randint(0, 40)] = other[start : start + draw.randint(0, 60)]
        else:
            width = draw.choice((1, 2, 4, 8))
            data[at : at + width] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, 2**31 - 1, 2**63)).to_bytes(8, "little")[
                :width
            ]
    return bytes(data)


def run(count: int, seed: int, names: list[str] | None = None, share: tuple[int, int] = (0, 1)) -> Tally:
    """``count`` inputs, in equal parts for each of the ``readers`` called ``names`` (all), or for a share of them."""
    chosen = [reader for reader in readers() if not names or reader.name in names][share[0] :: share[1]]
    tally = Tally("fuzz", count)
    for reader in chosen:
        left = count // len(chosen)
        for portion in range(0, left, PORTION):
            _portion(tally, reader, seed + portion, min(PORTION, left - portion))
    return tally


def _portion(tally: Tally, reader: Reader, seed: int, count: int) -> None:
    """Inputs ``seed``, ``seed + 1``, … in a process of its own; what it says comes back line by line."""
    done = 0
    while done < count:
        first = seed + done

        def work(first=first, todo=count - done) -> int:
            _read_all(reader, first, todo)
            return 0

        ended = Child(work).wait(limit=SECONDS * 30)
        lines = [line[1:] for line in ended.output.splitlines() if line.startswith("\1")]
        for line in lines:
            outcome, _, example = line.partition("\t")
            tally.add(reader.name, outcome, example)
        done += len(lines)
        if done < count:  # it died on the next one
            tally.add(reader.name, "crash", f"input {seed + done}: status {ended.status} {ended.last()[:200]}")
            done += 1


def make_input(reader: Reader, number: int) -> bytes:
    """Input ``number`` of a reader, always the same."""
    draw = random.Random(f"{reader.name} {number}")
    return changed(draw.choice(reader.samples), reader.samples, draw)


def _read_all(reader: Reader, first: int, count: int) -> None:
    import shutil
    import warnings

    from craft.common import errors

    # A command prints what is in several lines, as a key with a line break in it, in one.
    one_line = getattr(errors, "_one_line", str)

    def too_long(*_):
        raise TimeoutError(f"more than {SECONDS} s")

    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, too_long)
    out = os.fdopen(os.dup(1), "w")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    with tempfile.TemporaryDirectory() as name:
        for number in range(first, first + count):
            path, into = Path(name) / f"input{reader.ending}", Path(name) / "into"
            path.write_bytes(make_input(reader, number))
            into.mkdir()
            signal.alarm(SECONDS)
            try:
                reader.read(path, into)
                line = "read"
            except errors.UserError as error:
                line = (
                    "refused" if "\n" not in one_line(error) else f"several lines\tinput {number}: {str(error)[:200]!r}"
                )
            except BaseException as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                ours = [one for one in traceback.extract_tb(error.__traceback__) if "site-packages" not in one.filename]
                where = f"{ours[-1].filename.rpartition('/')[2]}:{ours[-1].lineno}" if ours else place.name
                line = f"{type(error).__name__}\tinput {number}: {str(error)[:150]!r} at {where}"
            signal.alarm(0)
            print(f"\1{line}", file=out, flush=True)
            shutil.rmtree(into)
