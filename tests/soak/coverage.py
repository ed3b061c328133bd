"""One reader fuzzed at length, guided by the lines that inputs reach: needs atheris (`pip install atheris`).

    python -m tests.soak.coverage                              which readers there are
    python -m tests.soak.coverage "yaml configuration" -max_total_time=600

Further words go to libFuzzer. Ends at the first input that is neither read nor refused, and leaves it as ``crash-…``.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.soak import children
from tests.soak.readers import Reader, readers

#: packages whose lines guide the search
WATCHED = ["craft", "dassl", "yaml", "yacs", "csv", "json", "tarfile", "zipfile", "PIL"]


def fuzz(reader: Reader, words: list[str]) -> None:
    import atheris

    from craft.common.errors import UserError

    folder = Path(tempfile.mkdtemp(prefix="craft-soak-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, sample in enumerate(reader.samples):
        (corpus / str(number)).write_bytes(sample)
    numbers = iter(range(sys.maxsize))

    def one(data: bytes) -> None:
        # A folder of its own, which need not be emptied for the next input, and no process of its own, for speed.
        into = folder / str(next(numbers))
        into.mkdir()
        path = folder / f"input{reader.ending}"
        path.write_bytes(data)
        try:
            reader.read(path, into)
        except UserError:
            pass
        finally:
            if not any(into.iterdir()):
                into.rmdir()

    atheris.Setup([sys.argv[0], *words, str(corpus)], one)
    atheris.Fuzz()


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import atheris
    except ImportError:
        print("error: atheris is not installed: pip install atheris, or python -m tests.soak --only fuzz")
        return 1
    with atheris.instrument_imports(include=WATCHED):
        children.warm()
        known = {reader.name: reader for reader in readers()}
    if not words or words[0] not in known:
        print(__doc__.strip(), *known, sep="\n    ")
        return 2
    fuzz(known[words[0]], words[1:])
    return 0


if __name__ == "__main__":
    sys.exit(main())
