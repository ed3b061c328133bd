"""A protocol from elsewhere, from its declaration to runs, table and figure: the example of the documentation."""

import shlex

import pytest

from craft.common.errors import UserError
from craft.lab.results import command as results
from craft.lab.results.collect import collect
from craft.lab.results.figures import draw_all
from craft.lab.results.tables import build
from craft.lab.sweeps import command
from craft.lab.sweeps.catalogue import PROTOCOLS, protocol_named, register_protocol
from craft.lab.sweeps.executors import EXECUTORS, register_executor
from craft.lab.sweeps.plan import Sweep, plan
from craft.lab.sweeps.protocol import Phase, Protocol, Table
from tests.examples.my_executor import InThisProcess
from tests.examples.my_protocol import LEARN, STRESS, TEST
from tests.lab.results.test_results import write

del PROTOCOLS[STRESS.name]  # its import registers it; here each test does


@pytest.fixture
def registered():
    """register(protocol): known for the test."""
    names = []

    def register(protocol):
        register_protocol(protocol)
        names.append(protocol.name)
        return protocol

    register_executor("in-this-process", InThisProcess)
    yield register
    del EXECUTORS["in-this-process"]
    for name in names:
        del PROTOCOLS[name]


def test_folders_and_commands_follow_from_the_declaration(registered):
    registered(STRESS)
    runs = plan(protocol_named("stress"), Sweep(trainers=("CoOp",), seeds=(2,)))
    learn = "output/stress/learn/digits/shots_4/CoOp/demo/seed2"
    assert [str(run.folder) for run in runs] == [
        learn,
        "output/stress/test/digits_shift/shots_4/CoOp/demo/seed2",
        "output/stress/test/digits_groups/shots_4/CoOp/demo/seed2",
    ]
    for run in runs[1:]:
        words = shlex.split(run.command)
        assert words[words.index("--model-dir") + 1] == str(run.needs) == learn
    # Another source is another folder, whose configuration its tests keep; so is one target domain of it.
    runs = plan(STRESS, Sweep(trainers=("CoOp",), seeds=(2,), source="imagenet_ood:r"))
    assert {str(run.folder).split("/")[-2] for run in runs} == {"cross_dataset"}
    assert str(runs[0].folder) == "output/stress/learn/imagenet_ood-r/shots_4/CoOp/cross_dataset/seed2"
    assert {run.needs for run in runs[1:]} == {runs[0].folder}


def test_a_sweep_of_it_ends_in_its_table(registered, tmp_path, capsys):
    registered(STRESS)
    words = ["--trainers", "CoOp", "--seeds", "1", "--shots", "1", "--output", str(tmp_path)]
    words += ["--executor", "in-this-process", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]
    assert command.main(["run", "stress", *words]) == 0
    assert "3 run, 0 done before, 0 failed" in capsys.readouterr().out
    assert results.main(["table", str(tmp_path), "--protocol", "stress"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("stress: source and targets, 1 shot")
    # In the order of the folders, as for the paper's.
    assert said[1].split() == ["method", "Digits", "(source)", "DigitsGroups", "DigitsShift", "average", "n"]
    numbers = [float(word) for word in said[3].split()[1:]]
    assert numbers[3] == pytest.approx((numbers[1] + numbers[2]) / 2, abs=0.011) and numbers[4] == 1
    assert any("stress: all digits, other clothes" in line for line in said)
    assert command.main(["list"]) == 0 and "\nstress " in capsys.readouterr().out


def test_phases_as_columns_with_their_harmonic_mean_and_its_figure(registered, tmp_path):
    """Numbers by hand: day 80 and 60, night 40 and 60, and the mean over two data sets."""
    day = Phase("clock/day", label="day")
    night = Phase("clock/night", needs=day, label="night")
    shown = Table(columns="phases", harmonic=("HM", "day", "night"), average=True)
    registered(Protocol("clock", "by day and night", "few_shot", (day, night), ("dtd",), ("CoOp",), table=shown))
    values = {("day", "CoOp"): (80.0, 60.0), ("night", "CoOp"): (40.0, 60.0)}
    values |= {("day", "CoOpCraft"): (90.0, 60.0), ("night", "CoOpCraft"): (45.0, 60.0)}
    for (phase, trainer), both in values.items():
        for (stem, name), value in zip((("dtd", "DescribableTextures"), ("food101", "Food101")), both):
            folder = tmp_path / f"clock/{phase}/{stem}/shots_16/{trainer}/few_shot/seed1"
            write(folder, value, dataset=name, trainer=trainer)
    food, textures, average = build(collect(tmp_path), "clock")  # in CoOp's order
    assert textures.title == "clock: DescribableTextures, 16 shots" and food.columns == ["day", "night", "HM"]
    assert textures.values[("CoOp", "HM")][1] == pytest.approx(2 * 80 * 40 / 120)
    assert average.values[("CoOp", "day")] == {1: 70.0} and average.values[("CoOp", "HM")][1] == pytest.approx(
        2 * 70 * 50 / 120
    )
    assert any(note.startswith("HM is the harmonic mean of day and night") for note in textures.notes)
    names = [path.name for path in draw_all(collect(tmp_path), tmp_path / "figures", "clock", ("gains", "few_shot"))]
    assert names == ["clock_gains.png", "clock_gains.pdf"]


def test_declarations_that_do_not_fit_are_refused(registered):
    registered(STRESS)

    def declared(name, *phases, **more):
        return Protocol(name, "", "few_shot", phases, ("dtd",), ("CoOp",), **more)

    for protocol, said in (
        (declared("stress", Phase("x")), "'stress': the name is taken"),
        (declared("runs", Phase("x")), "'runs': the name is taken"),
        (declared("x", Phase("few_shot", label="other")), "folder few_shot is that of another phase"),
        (declared("x", Phase("x/a"), Phase("x/a", label="again")), "folder x/a is that of another phase"),
        (declared("x", TEST, LEARN), "needs stress/learn, which must stand before it"),
        (declared("x", LEARN), "no phase runs on the data sets"),
        (declared("x", Phase("x/a"), table=Table(columns="phases")), "x/a has no label"),
    ):
        with pytest.raises(UserError, match=said):
            register_protocol(protocol)
    assert "x" not in PROTOCOLS and PROTOCOLS["stress"] is STRESS
