"""``--import`` of sweeps and results: what it registers is planned with, runs get it, and its table is shown."""

import shlex

from craft.common import imports
from craft.lab.results import command as results
from craft.lab.sweeps import command
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.trainers import launch
from tests.lab.results.test_results import write

OWN = """
from craft.lab.sweeps.catalogue import register_protocol
from craft.lab.sweeps.protocol import Phase, Protocol, Table
register_protocol(
    Protocol("own_one", "of my own", "few_shot", (Phase("own_one"),), ("dtd",), ("CoOp",), table=Table(notes=("mine",)))
)
"""


def test_a_protocol_of_ones_own_from_sweep_to_table(tmp_path, capsys):
    file = tmp_path / "own_protocol_for_a_test.py"
    file.write_text(OWN)
    try:
        assert command.main(["show", "own_one", "--import", str(file), "--seeds", "1", "OPTIM.LR", "0.1"]) == 0
        (line,) = capsys.readouterr().out.splitlines()
        words = shlex.split(line)
        assert words[words.index("--import") + 1] == str(file) and words[-2:] == ["OPTIM.LR", "0.1"]
        # What is printed is understood by the command that it is for.
        assert launch.parser("").parse_args(words[2:]).imports == [str(file)]
        write(tmp_path / "out/own_one/dtd/shots_16/CoOp/few_shot/seed1", 50.0, dataset="DescribableTextures")
        assert results.main(["table", "--import", str(file), str(tmp_path / "out"), "--protocol", "own_one"]) == 0
        assert "mine" in capsys.readouterr().out
    finally:
        PROTOCOLS.pop("own_one", None)


def test_a_file_that_is_not_there_is_named_before_anything_is_planned(capsys):
    for main, words in ((command.main, ["show", "nothing"]), (results.main, ["table", "nowhere"])):
        assert main([*words, "--import", "gone.py"]) == 1
        assert "--import gone.py: no such file" in capsys.readouterr().err
    assert imports.take(["a", "--imp", "b"]) == ([], ["a", "--imp", "b"])
