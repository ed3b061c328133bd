"""Result tables against sums done by hand, foreign logs as CoOp writes them, gaps that must be named, and the files
that people open."""

import csv
import io
import json
import math

import pytest

from craft.common.errors import UserError
from craft.lab.results import command as cli
from craft.lab.results import stats
from craft.lab.results.collect import collect
from craft.lab.results.render import FORMATS, as_csv, as_json, latex, markdown, text
from craft.lab.results.tables import build

# -- arithmetic ------------------------------------------------------------------------------------------------------


def test_mean_and_sample_deviation():
    # 2, 4, 9: mean 5, squares 9 + 1 + 16 = 26, 26 / (3 - 1) = 13
    found = stats.summary({1: 2.0, 2: 4.0, 3: 9.0})
    assert (found.mean, found.n) == (5.0, 3)
    assert found.std == pytest.approx(math.sqrt(13))
    assert stats.summary({7: 3.5}) == stats.Summary(3.5, None, 1)
    assert stats.summary({}) is None


def test_harmonic_mean_is_per_seed():
    found = stats.harmonic({1: 80.0, 2: 60.0, 3: 50.0}, {1: 40.0, 2: 60.0, 4: 1.0})
    # 2·80·40/120 = 53.33…; the mean of the two is 56.67, where H of the means (70, 50) would be 58.33
    assert found == {1: pytest.approx(160 / 3), 2: 60.0}
    assert stats.summary(found).mean == pytest.approx(170 / 3)
    assert stats.harmonic({1: 0.0}, {1: 0.0}) == {1: 0.0}


def test_paired_difference_with_students_interval():
    # differences 1, 2, 6 of the shared seeds: mean 3, variance (4 + 1 + 9) / 2 = 7; t(0.975, 2) = 4.302653
    found = stats.paired({1: 11.0, 2: 22.0, 3: 36.0, 9: 5.0}, {1: 10.0, 2: 20.0, 3: 30.0, 8: 7.0})
    assert (found.mean, found.n) == (3.0, 3)
    assert found.std == pytest.approx(math.sqrt(7))
    half = 4.302652729911275 * math.sqrt(7) / math.sqrt(3)
    assert (found.low, found.high) == (pytest.approx(3 - half), pytest.approx(3 + half))
    assert stats.paired({1: 2.0}, {1: 1.0}) == stats.Difference(1.0, None, None, None, 1)
    assert stats.paired({1: 2.0}, {2: 1.0}) is None


def test_average_over_data_sets_needs_all_of_them():
    assert stats.across([{1: 10.0, 2: 20.0}, {1: 30.0, 3: 1.0}]) == {1: 20.0}


# -- trees of logs ---------------------------------------------------------------------------------------------------

LOG = """***************
** Arguments **
***************
config_file: configs/trainers/{trainer}/vit_b16.yaml
seed: {seed}
************
** Config **
************
DATASET:
  NAME: {dataset}
  NUM_SHOTS: {shots}
  ROOT: /somewhere/else
  SUBSAMPLE_CLASSES: {subsample}
INPUT:
  SIZE: (224, 224)
SEED: {seed}
TRAINER:
  COOP:
    N_CTX: 16
  NAME: {trainer}
Collecting env info ...
** System info **
PyTorch version: 1.8.1
Loading trainer: {trainer}
epoch [1/2] batch [5/5] time 0.071 (0.100) data 0.000 (0.060) loss 1.2 (1.3) acc 50.0 (40.0) lr 2.0e-03 eta 0:00:01
{middle}"""

END = """Checkpoint saved to prompt_learner/model.pth.tar-2
Finish training
Deploy the last-epoch model
Evaluate on the *test* set
=> result
* total: 2,465
* correct: 2,000
* accuracy: {accuracy}%
* error: 10.0%
* macro_f1: 77.7%
Elapsed: 0:01:00
"""

VALIDATION = "=> result\n* total: 9\n* correct: 1\n* accuracy: 11.1%\n* error: 88.9%\n* macro_f1: 1.0%\n"


def write(folder, accuracy, dataset="Caltech101", trainer="CoOp", seed=1, shots=16, subsample="all", middle=None):
    folder.mkdir(parents=True)
    said = LOG.format(
        dataset=dataset, trainer=trainer, seed=seed, shots=shots, subsample=subsample,
        middle=END.format(accuracy=accuracy) if middle is None else middle,
    )  # fmt: skip
    (folder / "log.txt").write_text(said)


BASE2NEW = {  # trainer: seed: (base, new)
    "CoOp": {1: (98.0, 80.0), 2: (97.0, 90.0), 3: (96.0, 85.0)},
    "CoOpCraft": {1: (98.5, 84.0), 2: (97.5, 92.0), 3: (97.1, 87.0)},
}


@pytest.fixture
def foreign(tmp_path):
    """Base-to-new as CoOp's scripts lay it out."""
    for trainer, seeds in BASE2NEW.items():
        for seed, pair in seeds.items():
            for phase, subsample, value in zip(("train_base", "test_new"), ("base", "new"), pair):
                folder = tmp_path / f"base2new/{phase}/caltech101/shots_16/{trainer}/vit_b16_ctxv1/seed{seed}"
                write(folder, value, trainer=trainer, seed=seed, subsample=subsample)
    return tmp_path


def test_a_foreign_tree_gives_the_right_table(foreign):
    (grid,) = build(collect(foreign))
    assert (grid.rows, grid.columns, grid.missing) == (["CoOp", "CoOpCraft"], ["base", "new", "H"], [])
    coop = grid.summary("CoOp", "base")
    assert (coop.mean, coop.std, coop.n) == (97.0, pytest.approx(1.0), 3)
    by_hand = [2 * b * n / (b + n) for b, n in BASE2NEW["CoOp"].values()]
    assert grid.summary("CoOp", "H").mean == pytest.approx(sum(by_hand) / 3)
    ((row, other, column, found),) = [d for d in grid.differences() if d[2] == "new"]
    assert (row, other, column, found.mean, found.n) == ("CoOpCraft", "CoOp", "new", pytest.approx(8 / 3), 3)
    # The published column is the paper's own, whatever ours say.
    assert grid.published[("CoOp", "base")].value == 98.00
    assert ("CoOpCraft", "base") not in grid.published


def test_a_missing_and_an_unfinished_seed_are_named(foreign):
    gone = foreign / "base2new/test_new/caltech101/shots_16/CoOp/vit_b16_ctxv1/seed2"
    (gone / "log.txt").unlink()
    cut = foreign / "base2new/train_base/caltech101/shots_16/CoOpCraft/vit_b16_ctxv1/seed3"
    (cut / "log.txt").unlink()
    cut.rmdir()
    # A validation inside a run that never finished is not its result.
    write(cut, 0, trainer="CoOpCraft", seed=3, subsample="base", middle=VALIDATION)
    (grid,) = build(collect(foreign))
    assert grid.missing == [
        "CoOp, new: seed 2 (no run)",
        "CoOpCraft, base: seed 3 (interrupted: its log ends at epoch 1)",
    ]
    assert grid.summary("CoOp", "new").n == grid.summary("CoOp", "H").n == 2
    assert grid.summary("CoOp", "base").n == 3
    for render in (text, markdown, latex):
        assert "seed 2 (no run)" in render([grid])


def test_the_newest_of_several_logs_counts(foreign):
    folder = foreign / "base2new/train_base/caltech101/shots_16/CoOp/vit_b16_ctxv1/seed1"
    later = (folder / "log.txt").read_text().replace("98.0%", "12.3%")
    (folder / "log.txt-2024-01-01-00-00-00").write_text(later)
    (grid,) = build(collect(foreign))
    assert grid.values[("CoOp", "base")][1] == 12.3


def test_cross_dataset_and_few_shot_layouts(tmp_path):
    for seed, value in ((1, 94.0), (2, 96.0)):
        write(
            tmp_path / f"evaluation/CoOp/vit_b16_16shots/nctx16_cscFalse_ctpend/caltech101/seed{seed}", value, seed=seed
        )
        for shots in (1, 16):
            folder = tmp_path / f"oxford_pets/CoOp/vit_b16_{shots}shots/nctx16_cscFalse_ctpend/seed{seed}"
            write(folder, value - 16 + shots, dataset="OxfordPets", seed=seed, shots=shots)
    few, cross = build(collect(tmp_path))
    assert (few.protocol, few.columns) == ("few_shot", ["1 shot", "16 shots"])
    assert few.summary("CoOp", "1 shot").mean == 80.0
    assert (cross.protocol, cross.columns) == ("cross_dataset", ["Caltech101"])
    assert cross.summary("CoOp", "Caltech101").mean == 95.0
    assert cross.published[("CoOp", "Caltech101")].value == 93.70


def test_several_data_sets_are_averaged_seed_by_seed(foreign):
    for phase, value in (("train_base", 50.0), ("test_new", 60.0)):
        for seed in (1, 2):
            folder = foreign / f"base2new/{phase}/dtd/shots_16/CoOp/vit_b16_ctxv1/seed{seed}"
            write(folder, value, dataset="DescribableTextures", seed=seed)
    average = build(collect(foreign))[-1]
    assert "average over 2 data sets" in average.title
    assert average.values[("CoOp", "base")] == {1: 74.0, 2: 73.5}
    assert average.values[("CoOp", "H")][1] == pytest.approx(2 * 74 * 70 / 144)
    assert "CoOp, base: seed 3 (it has no result on DescribableTextures)" in average.missing
    # No published average of two data sets exists.
    assert not average.published


def test_a_folder_without_runs_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no run below"):
        collect(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        collect(tmp_path / "nothing")


def test_damaged_logs_do_no_harm(foreign):
    path = foreign / "base2new/train_base/caltech101/shots_16/CoOp/vit_b16_ctxv1/seed1/log.txt"
    path.write_bytes(path.read_bytes()[:300] + b"\xff\xfe\x00garbage")
    (grid,) = build(collect(foreign))
    assert any(line.startswith("CoOp, base: seed 1 (interrupted") for line in grid.missing)


# -- formats ---------------------------------------------------------------------------------------------------------


def cells(line):
    """Of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_best_is_bold_and_published_apart(foreign):
    grids = build(collect(foreign))
    lines = markdown(grids).splitlines()
    header = next(line for line in lines if line.startswith("| method"))
    assert cells(header) == ["method", "base", "new", "H", "n", *(f"{c} (published)" for c in ("base", "new", "H"))]
    craft = next(line for line in lines if line.startswith("| CoOpCraft "))
    assert "**97.70 ± 0.72**" in cells(craft) and cells(craft)[-3:] == ["–"] * 3
    assert "**" not in next(line for line in lines if line.startswith("| CoOp "))
    assert "\\textbf{97.70 $\\pm$ 0.72}" in latex(grids)
    assert "97.70 ± 0.72*" in text(grids)


def test_json_and_csv_hold_every_number(foreign):
    grids = build(collect(foreign))
    (table,) = json.loads(as_json(grids))
    cell = next(c for c in table["results"] if (c["method"], c["column"]) == ("CoOp", "new"))
    assert cell["values"] == {"1": 80.0, "2": 90.0, "3": 85.0}
    assert (cell["mean"], cell["std"], cell["n"]) == (85.0, 5.0, 3)
    rows = list(csv.DictReader(io.StringIO(as_csv(grids))))
    ours = [r for r in rows if r["kind"] == "run" and (r["method"], r["column"]) == ("CoOp", "new")]
    assert [(r["seed"], float(r["value"])) for r in ours] == [("1", 80.0), ("2", 90.0), ("3", 85.0)]
    for key, value in {
        "protocol": "base2new",
        "dataset": "Caltech101",
        "config": "vit_b16_ctxv1",
        "shots": "16",
    }.items():
        assert {r[key] for r in ours} == {value}
    assert ours[0]["source"].endswith("test_new/caltech101/shots_16/CoOp/vit_b16_ctxv1/seed1")
    derived = [float(r["value"]) for r in rows if r["kind"] == "derived" and r["method"] == "CoOp"]
    assert derived == [pytest.approx(2 * b * n / (b + n)) for b, n in BASE2NEW["CoOp"].values()]
    theirs = [r for r in rows if r["kind"] == "published"]
    assert theirs and all(r["source"] and not r["seed"] for r in theirs)


@pytest.mark.parametrize("name", FORMATS)
def test_command_line(foreign, name, capsys, tmp_path):
    assert cli.main(["table", str(foreign), "--format", name, "--write", str(tmp_path / "to")]) == 0
    assert "CoOpCraft" in capsys.readouterr().out
    assert json.loads((tmp_path / "to/results.json").read_text())[0]["protocol"] == "base2new"
    assert (tmp_path / "to/results.csv").read_text().startswith("protocol,dataset,method")


def test_command_line_mistakes(foreign, capsys):
    assert cli.main(["table", str(foreign), "--protocol", "base2mew"]) == 1
    assert "base2new" in capsys.readouterr().err
    assert cli.main(["table", str(foreign), "--protocol", "few_shot"]) == 1
    assert "base2new/train_base" in capsys.readouterr().err
    assert cli.main(["figures", str(foreign), "--only", "tnse"]) == 1
    assert "tsne" in capsys.readouterr().err


def test_report_is_one_file_that_names_what_is_missing(foreign, tmp_path):
    cut = foreign / "base2new/train_base/caltech101/shots_16/CoOpCraft/vit_b16_ctxv1/seed3/log.txt"
    cut.write_text(cut.read_text().partition("Finish training")[0] + "MemoryError: <it> was too much & more\n")
    target = tmp_path / "report.html"
    assert cli.main(["report", str(foreign), "--to", str(target), "--only", "gains"]) == 0
    page = target.read_text()
    assert "98.00<small><span>±\N{NO-BREAK SPACE}0.71</span></small>" in page
    assert "<b>97.00</b>" not in page and "<b>98.00</b>" not in page  # the best is of two seeds
    assert "no mean is marked as the best that is of fewer than 3 seeds" in page
    assert "MemoryError: &lt;it&gt; was too much &amp; more" in page
    assert 'src="data:image/png;base64,' in page
    # Nothing is fetched when it is opened.
    assert "http://" not in page and "https://" not in page and "<script" not in page and "<link" not in page
    assert 'name="viewport"' in page
