"""A term from elsewhere, from its class to everything that shows terms: the example of the documentation."""

import itertools
import re

import pytest

from craft.lab.results import command as results
from craft.lab.results.collect import collect
from craft.lab.results.figures import numbers, style
from craft.lab.results.tables import build
from craft.lab.sweeps import command
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.lab.sweeps.executors import EXECUTORS, register_executor
from craft.lab.sweeps.plan import Sweep, plan
from craft.terms import TERMS, register_term
from craft.trainers.settings import get_cfg
from tests.examples.my_executor import InThisProcess
from tests.examples.my_term import SpreadTerm
from tests.runs import metrics, run

del TERMS[SpreadTerm.name]  # its import registers it; here each test does


@pytest.fixture(autouse=True)
def spread():
    yield register_term(SpreadTerm())
    del TERMS["spread"]


def test_its_keys_have_their_defaults():
    node = get_cfg().TRAINER.CRAFT
    assert (node.SPREAD_WEIGHT, node.SPREAD_MARGIN) == (0.5, 0.25)


def test_it_is_trained_also_where_the_other_terms_are_off(tmp_path, capsys):
    """It used to go away in silence with the weights of the two that align."""
    off = ["TRAINER.CRAFT.STATIC_WEIGHT", 0.0, "TRAINER.CRAFT.STOCHASTIC_WEIGHT", 0.0]
    assert run(tmp_path / "toy", "MaPLeCraft", overrides=[*off, "TRAINER.CRAFT.SPREAD_WEIGHT", 2.0]) == 0
    said = capsys.readouterr().out
    assert "Craft: static x 0, stochastic x 0, spread x 2\n" in said
    assert re.search(r"epoch \[1/1\] batch .* spread \d", said)
    (epoch,) = metrics(tmp_path / "toy")["history"]
    assert epoch["spread"] > 0 and "static" not in epoch and metrics(tmp_path / "toy")["craft"]["spread"] == 2
    # It changes what is learned: off, the same run ends elsewhere.
    assert run(tmp_path / "off", "MaPLeCraft", overrides=[*off, "TRAINER.CRAFT.SPREAD_WEIGHT", 0.0]) == 0
    (other,) = metrics(tmp_path / "off")["history"]
    assert "spread" not in other and epoch["loss"] == pytest.approx(epoch["cross_entropy"] + epoch["spread"], rel=1e-4)


def test_where_it_has_no_gradient_it_is_left_out_with_its_reason(tmp_path, capsys):
    assert run(tmp_path, "VPTCraft") == 0
    said = capsys.readouterr().out
    assert "Craft: the term 'spread' is left out: the class texts are frozen, so it has no gradient" in said
    assert "spread" not in metrics(tmp_path)["history"][0]


def test_the_ablation_has_it_and_alone_is_alone():
    runs = plan(PROTOCOLS["ablation"], Sweep(trainers=("CoOp",), seeds=(1,)))
    on = {}
    for one in runs:
        words = list(one.arguments)
        off = {key for key, value in itertools.pairwise(words) if key.endswith("_WEIGHT") and value == "0"}
        weights = {term.name for term in TERMS.values() if f"TRAINER.CRAFT.{term.key}" not in off}
        on[one.phase.partition("/")[2]] = (one.trainer, weights)
    every = {"static", "stochastic", "mmd", "spread"}
    assert on == {
        "host": ("CoOp", every),  # which has none of them
        "static": ("CoOpCraft", {"static"}),
        "stochastic": ("CoOpCraft", {"stochastic"}),
        "spread": ("CoOpCraft", {"spread"}),
        "both": ("CoOpCraft", every - {"mmd"}),
        "mmd": ("CoOpCraftOOD", {"mmd"}),
        "all": ("CoOpCraftOOD", every),
    }


def test_table_report_and_figure_show_it(tmp_path, capsys, monkeypatch):
    register_executor("in-this-process", InThisProcess)
    words = ["--trainers", "CoOp", "--phases", "host", "spread", "--seeds", "1", "--shots", "1"]
    words += ["--output", str(tmp_path), "--executor", "in-this-process"]
    try:
        assert command.main(["run", "ablation", *words, "OPTIM.MAX_EPOCH", "2", "DATALOADER.NUM_WORKERS", "0"]) == 0
    finally:
        del EXECUTORS["in-this-process"]
    found = collect(tmp_path)
    (grid,) = build(found)
    assert (grid.rows, grid.compare) == (["host", "+ spread"], [("+ spread", "host")])
    page = tmp_path / "report.html"
    assert results.main(["report", str(tmp_path), "--to", str(page), "--no-figures"]) == 0
    cells = re.findall(r"<t[hd](?: [^>]*)?>(.*?)</t[hd]>", page.read_text().partition('id="settings"')[2])
    width = cells.index("code") + 1
    rows = [dict(zip(cells[:width], cells[start : start + width])) for start in range(width, len(cells), width)]
    weights = {row["run"].replace("<wbr>", ""): row["w spread"] for row in rows}
    assert weights == {"ablation/host DigitsShift CoOp": "–", "ablation/spread DigitsShift CoOpCraft": "0.5"}
    titles = []
    close = style.plt.close
    monkeypatch.setattr(style.plt, "close", lambda f: titles.append([a.get_title() for a in f.axes]) or close(f))
    assert numbers.loss_curves(found, tmp_path / "figures")
    assert titles == [["cross entropy", "spread"]]


def test_the_benchmark_times_it_on_both_paths():
    from craft.lab.bench import measure, plain

    spec = {"backbone": "demo", "trainer": "CoOpCraft", "classes": 4, "batch": 3, "repeats": 1}
    assert measure.check(spec)["losses"] <= measure.LOSSES
    case = measure.Case.build(spec)
    images, labels = case.images(3), case.labels(3)
    path = plain.PlainPath(case.backbone.module, case.learner, case.craft)
    ours, theirs = (terms(images, labels)["spread"].item() for terms in (case.our_terms, path.terms))
    assert ours == pytest.approx(theirs, rel=1e-4) and ours > 0
