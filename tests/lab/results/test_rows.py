"""What may stand in one row: one data set, one setting, one test set. Each of these once gave a wrong number."""

import math
import random

import pytest

from craft.lab.results import logs, sheets, stats
from craft.lab.results.collect import collect
from craft.lab.results.tables import build
from tests.lab.results.fake import checkpoint, write_run


def only(root, protocol="few_shot"):
    (grid,) = build(collect(root), protocol)
    return grid


# -- data sets --------------------------------------------------------------------------------------------------------


def test_two_folders_of_images_are_two_data_sets(tmp_path):
    write_run(tmp_path, "few_shot", "birds", "CoOp", 1, 40.0, name="ImageFolder")
    write_run(tmp_path, "few_shot", "shapes", "CoOp", 2, 20.0, name="ImageFolder")
    birds, shapes, average = build(collect(tmp_path))
    assert (birds.title, shapes.title) == ("few_shot: birds", "few_shot: shapes")
    assert birds.values == {("CoOp", "16 shots"): {1: 40.0}} and shapes.values == {("CoOp", "16 shots"): {2: 20.0}}
    assert average.values[("CoOp", "16 shots")] == {}


def test_one_name_with_other_domains_or_paths_is_another_data_set(tmp_path):
    write_run(tmp_path, "few_shot", "image_folder", "CoOp", 1, 40.0, name="ImageFolder", path="birds")
    write_run(tmp_path / "b", "few_shot", "image_folder", "CoOp", 2, 20.0, name="ImageFolder", path="shapes")
    assert {grid.of["dataset"] for grid in build(collect(tmp_path))[:2]} == {
        "ImageFolder (PATH birds)",
        "ImageFolder (PATH shapes)",
    }


def test_target_domains_are_columns_and_are_not_subtracted_from_each_other(tmp_path):
    for trainer, target, value in (("CoOp", "v2", 60.0), ("CoOpCraftOOD", "r", 70.0)):
        write_run(tmp_path, "ood", "imagenet_ood", trainer, 1, value, name="ImageNetOOD", targets=(target,))
    grid = only(tmp_path, "ood")
    assert len([c for c in grid.columns if c.startswith("ImageNetOOD")]) == 2 and not grid.differences()


def test_a_name_with_a_dash_is_no_target_domain(tmp_path):
    write_run(tmp_path, "few_shot", "my-birds", "CoOp", 1, 40.0, name="ImageFolder")
    assert only(tmp_path).title == "few_shot: my-birds"


# -- settings ---------------------------------------------------------------------------------------------------------


def test_seeds_of_other_settings_are_other_rows(tmp_path):
    for seed, epochs, value in ((1, 3, 90.0), (2, 2, 50.0), (3, 2, 52.0)):
        write_run(tmp_path, "few_shot", "dtd", "CoOp", seed, value, name="D", settings=[("OPTIM.MAX_EPOCH", epochs)])
    grid = only(tmp_path)
    assert grid.rows == ["CoOp (OPTIM.MAX_EPOCH 2)", "CoOp (OPTIM.MAX_EPOCH 3)"]
    assert grid.values[("CoOp (OPTIM.MAX_EPOCH 2)", "16 shots")] == {2: 50.0, 3: 52.0}
    assert "CoOp (OPTIM.MAX_EPOCH 2), 16 shots: seed 1 (it is in the row CoOp (OPTIM.MAX_EPOCH 3))" in grid.missing
    assert any("OPTIM.MAX_EPOCH" in note and "never averaged" in note for note in grid.notes)


def test_workers_and_caches_split_nothing(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path, "few_shot", "dtd", "CoOp", seed, 50.0, settings=[("DATALOADER.NUM_WORKERS", seed)])
    assert only(tmp_path).rows == ["CoOp"]


def test_a_schedule_by_shots_is_no_difference(tmp_path):
    for shots, epochs in ((1, 50), (16, 200), (2, 100)):
        write_run(tmp_path, "few_shot", "dtd", "CoOp", 1, 50.0, shots=shots, settings=[("OPTIM.MAX_EPOCH", epochs)])
    grid = only(tmp_path)
    assert grid.rows == ["CoOp"] and grid.columns == ["1 shot", "2 shots", "16 shots"]


def test_crafts_weights_of_an_evaluation_are_those_of_its_training(tmp_path):
    for seed, weight in ((1, 0.1), (2, 1.0)):
        key = "TRAINER.CRAFT.STATIC_WEIGHT"
        trained = write_run(
            tmp_path, "base2new/train_base", "dtd", "CoOpCraft", seed, 60.0, half="base", settings=[(key, weight)]
        )
        write_run(
            tmp_path, "base2new/test_new", "dtd", "CoOpCraft", seed, 40.0, half="new", settings=[(key, 0.0)],
            model=checkpoint(trained), timing=("2026-01-02", "2026-01-03"),
        )  # fmt: skip
    grid = only(tmp_path, "base2new")
    assert grid.values[("CoOpCraft (TRAINER.CRAFT.STATIC_WEIGHT 0.1)", "H")] == {1: 48.0}
    assert grid.values[("CoOpCraft (TRAINER.CRAFT.STATIC_WEIGHT 1)", "H")] == {2: 48.0}


def test_numbers_of_prompts_that_were_trained_anew_since_are_left_out(tmp_path):
    trained = write_run(
        tmp_path, "base2new/train_base", "dtd", "CoOp", 1, 60.0, half="base", timing=("2026-02-01", "2026-02-02")
    )
    write_run(tmp_path, "base2new/test_new", "dtd", "CoOp", 1, 40.0, half="new", model=checkpoint(trained))
    grid = only(tmp_path, "base2new")
    assert ("CoOp", "new") not in grid.values and any("trained anew since" in line for line in grid.missing)


def test_a_difference_over_other_shots_is_none_and_other_settings_are_named(tmp_path):
    for trainer, digest, epochs in (("CoOp", "a", 2), ("CoOpCraft", "b", 3)):
        write_run(
            tmp_path, "few_shot", "dtd", trainer, 1, 50.0, digests={"parts": {"train": digest}},
            settings=[("OPTIM.MAX_EPOCH", epochs)],
        )  # fmt: skip
        write_run(tmp_path, "few_shot", "dtd", trainer, 2, 50.0, settings=[("OPTIM.MAX_EPOCH", epochs)])
    grid = only(tmp_path)
    assert [found.n for *_, found in grid.differences()] == [1]
    assert any("seed 1 drew other shots" in note for note in grid.notes)
    assert "CoOpCraft − CoOp: the two also differ in OPTIM.MAX_EPOCH (3, 2)" in grid.notes


def test_two_runs_of_one_seed_that_drew_other_shots_count_neither(tmp_path):
    for sub, digest in (("a", "x"), ("b", "y")):
        write_run(tmp_path / sub, "few_shot", "dtd", "CoOp", 1, 50.0, digests={"parts": {"train": digest}})
    grid = only(tmp_path)
    assert not grid.values[("CoOp", "16 shots")] and "drew other shots" in grid.missing[0]


def test_an_average_is_not_over_several_backbones(tmp_path):
    for label, name, backbone in (("dtd", "DescribableTextures", "ViT-B/16"), ("food101", "Food101", "ViT-L/14")):
        write_run(tmp_path, "few_shot", label, "CoOp", 1, 50.0, name=name, backbone=backbone)
    average = build(collect(tmp_path))[-1]
    assert "average" in average.title and not average.rows
    assert any("several backbones (ViT-B/16, ViT-L/14)" in note for note in average.notes)


# -- the test set -----------------------------------------------------------------------------------------------------


def test_a_subset_says_so_and_seeds_of_other_class_counts_are_not_averaged(tmp_path):
    for seed, classes in ((1, 11), (2, 4), (3, 11)):
        write_run(tmp_path, "few_shot", "sun397", "CoOp", seed, 50.0 + seed, name="SUN397", classes=classes)
    grid = only(tmp_path)
    assert grid.title == "few_shot: SUN397 (subset)"
    assert grid.values[("CoOp", "16 shots")] == {1: 51.0, 3: 53.0}
    assert grid.missing == ["CoOp, 16 shots: seed 2 (it was tested on 4 classes, the others on 11)"]
    assert any("11 of 397 classes" in note for note in grid.notes)


def test_other_test_images_class_names_or_files_are_not_averaged(tmp_path):
    for seed, test in ((1, "x"), (2, "x"), (3, "y")):
        write_run(
            tmp_path, "few_shot", "birds", "CoOp", seed, 50.0, name="ImageFolder", digests={"parts": {"test": test}}
        )
    grid = only(tmp_path)
    assert set(grid.values[("CoOp", "16 shots")]) == {1, 2} and "other images" in grid.missing[0]


def test_the_foot_says_epoch_classes_images_and_digests(tmp_path):
    trained = write_run(tmp_path, "base2new/train_base", "birds", "CoOp", 1, 60.0, name="ImageFolder", half="base",
                        classes=6, tested=120, settings=[("TEST.FINAL_MODEL", "best_val")])  # fmt: skip
    write_run(tmp_path, "base2new/test_new", "birds", "CoOp", 1, 40.0, name="ImageFolder", half="new", classes=5,
              tested=100, model=checkpoint(trained, "model-best.pth.tar"), timing=("2026-01-02", "2026-01-03"),
              settings=[("TEST.FINAL_MODEL", "best_val")])  # fmt: skip
    grid = only(tmp_path, "base2new")
    assert "tested on 5 to 6 classes, 100 to 120 images" in grid.notes
    assert "epoch of trained prompts: best on validation images" in grid.notes
    assert "digest of split: split1" in grid.notes
    # sqrt(0.4 * 0.6 / 100) = 4.899 points; a difference of two: 6.928
    (line,) = [note for note in grid.notes if note.startswith("the test set itself")]
    assert "100 images" in line and "4.90 points" in line and "6.93" in line


# -- uncertainty ------------------------------------------------------------------------------------------------------


def test_two_seeds_have_no_interval(tmp_path):
    for trainer in ("CoOp", "CoOpCraft"):
        for seed in (1, 2):
            write_run(tmp_path, "few_shot", "dtd", trainer, seed, 50.0)
    grid = only(tmp_path)
    ((*_, found),) = grid.differences()
    assert (found.n, found.low, found.high) == (2, None, None)
    assert any(note.startswith("n=2: no interval") for note in grid.notes)
    assert sheets.interval(found).text == "+0.00 ± 0.00"


def test_binomial_error_is_that_of_drawn_test_sets():
    draw = random.Random(7)
    shares = [100 * sum(draw.random() < 0.7 for _ in range(80)) / 80 for _ in range(4000)]
    mean = sum(shares) / len(shares)
    spread = math.sqrt(sum((share - mean) ** 2 for share in shares) / len(shares))
    assert stats.binomial_error(70.0, 80) == pytest.approx(spread, rel=0.05)
    assert stats.binomial_error(100.0, 50) > 0 and stats.binomial_error(0.0, 50) > 0


# -- damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run.json", "metrics.json"])
@pytest.mark.parametrize(
    "content", ["{", "[]", '{"state": "done"', '{"state": "done", "config": 3, "results": 4}', "\udcff"]
)
def test_a_damaged_file_costs_its_run_only_and_is_named(tmp_path, name, content):
    whole = write_run(tmp_path, "few_shot", "dtd", "CoOp", 1, 50.0, name="DescribableTextures")
    folder = write_run(tmp_path, "few_shot", "dtd", "CoOp", 2, 60.0, name="DescribableTextures")
    (folder / name).write_bytes(content.encode("utf-8", "surrogateescape"))
    grid = only(tmp_path)
    assert grid.values[("CoOp", "16 shots")] == {1: 50.0} and whole.exists()
    (line,) = grid.missing
    assert line.startswith("CoOp, 16 shots: seed 2 (unreadable: ")


def test_a_missing_metrics_file_is_named_where_the_log_stands_in(tmp_path):
    folder = write_run(tmp_path, "few_shot", "dtd", "CoOp", 1, 50.0, metrics=False)
    (folder / "log.txt").write_text("epoch [1/1] batch [1/1]\nFinish training\n=> result\n* accuracy: 51.3%\n")
    grid = only(tmp_path)
    assert grid.values[("CoOp", "16 shots")] == {1: 51.3}
    assert any(str(folder) in note and "metrics.json" in note for note in grid.notes)


def test_what_is_no_result_takes_no_row(tmp_path):
    write_run(tmp_path, "few_shot", "dtd", "CoOp", 1, math.nan)
    write_run(tmp_path, "few_shot", "dtd", "CoOp", 2, 9.0, settings=[("OPTIM.MAX_EPOCH", 0)])
    write_run(tmp_path, "few_shot", "dtd", "CoOp", 3, 9.0, mode="evaluate")
    grid = only(tmp_path)
    assert not grid.values and len(grid.missing) == 3
    said = " ".join(grid.missing)
    assert "no number" in said and "no epoch" in said and "nobody had trained" in said


def test_numbers_of_validation_images_say_so_and_are_a_row_of_their_own(tmp_path):
    write_run(tmp_path, "few_shot", "dtd", "CoOp", 1, 50.0)
    write_run(tmp_path, "few_shot", "dtd", "CoOp", 2, 60.0, results="val")
    grid = only(tmp_path)
    assert len(grid.rows) == 2 and any("validation images only" in note for note in grid.notes)


OLD_LOG = """** Config **
TRAINER:
  NAME: CoOp
# classes  1,000
epoch [1/2][5/5]\ttime 0.1 (0.1)\tdata 0.0 (0.0)\teta 0:00:01\tloss 1.2 (1.3)
epoch [2/2][5/5]\ttime 0.1 (0.1)
{ended}
Do evaluation on test set
=> result
* total: 2,465
* correct: 2,341
* accuracy: {accuracy}%
* error: 5.03%
=> per-class result
* class: 0 (face)\ttotal: 5\tcorrect: 5\tacc: 100.00%
* average: 93.10%
Elapsed: 0:01:00
"""


@pytest.mark.parametrize("ended", ["Finished training", "Finish training", "Finished training."])
def test_logs_of_dassl_before_and_after_its_change_of_words(tmp_path, ended):
    (tmp_path / "log.txt").write_text(OLD_LOG.format(ended=ended, accuracy="94.97"))
    log = logs.parse(tmp_path / "log.txt")
    assert log.finished and log.metrics == {"accuracy": 94.97, "error": 5.03}
    assert (log.tested, log.classes, log.epoch) == (2465, 1000, 2)


def test_a_second_training_in_one_log_must_end_too(tmp_path):
    first = OLD_LOG.format(ended="Finish training", accuracy="94.97")
    (tmp_path / "log.txt").write_text(first + "epoch [1/2] batch [1/1]\n=> result\n* accuracy: 11.0%\n")
    assert not logs.parse(tmp_path / "log.txt").finished


# -- order ------------------------------------------------------------------------------------------------------------


def test_the_papers_order_and_shots_by_number(tmp_path):
    for label, name in (
        ("dtd", "DescribableTextures"),
        ("caltech101", "Caltech101"),
        ("ucf101", "UCF101"),
        ("imagenet", "ImageNet"),
    ):
        for trainer in ("PromptSRC", "CoCoOp", "ZeroshotCLIP", "CoOpCraft", "CoOp", "MaPLe"):
            for shots in (16, 2, 1):
                write_run(tmp_path, "few_shot", label, trainer, 1, 50.0, name=name, shots=shots)
    *grids, average = build(collect(tmp_path))
    assert [grid.of["dataset"] for grid in grids] == ["ImageNet", "Caltech101", "DescribableTextures", "UCF101"]
    for grid in (*grids, average):
        assert grid.rows == ["ZeroshotCLIP", "CoOp", "CoOpCraft", "CoCoOp", "MaPLe", "PromptSRC"]
        assert grid.columns == ["1 shot", "2 shots", "16 shots"]
    assert grids[0].setting == {"backbone": "ViT-B/16", "config": "few_shot", "seeds": "1"}


def test_a_setting_alone_keeps_seeds_apart_and_a_second_run_of_a_seed_is_named(tmp_path):
    for output, seed, value, rate in (("a", 1, 50.0, 0.1), ("a", 2, 60.0, 0.2), ("b", 1, 70.0, 0.1)):
        write_run(tmp_path / output, "few_shot", "dtd", "CoOp", seed, value, settings=[("OPTIM.LR", rate)])
    grid = only(tmp_path)
    assert sorted(map(str, grid.values.values())) == ["{1: 50.0}", "{2: 60.0}"] and len(grid.rows) == 2
    (note,) = (note for note in grid.notes if "two runs" in note)
    assert "seed 1: two runs; " in note and note.endswith("is left out") and f"{tmp_path / 'b'}" in note


def test_the_foot_says_how_the_shots_were_chosen(tmp_path):
    """With the digests that `craft data` prints, of the split whatever the seed; older records keep what they have."""
    for seed, old in ((1, False), (2, False), (3, True)):
        draw = "16 shots a class; validation images: at most 4 a class"
        told = {"split": "5d76", "draw": draw, "few_shot": {"train": f"list{seed}", "val": "v"}}
        digests = {"parts": {"train": f"parts{seed}", "test": "t"}} | ({} if old else {"told": told})
        write_run(tmp_path, "few_shot", "caltech101", "CoOp", seed, 90.0 + seed, digests=digests)
    (grid,) = build(collect(tmp_path))
    assert f"learned from: {draw}" in grid.notes
    assert "digest of split: 5d76, split3" in grid.notes
    assert "digest of few-shot lists: list1, list2, parts3" in grid.notes


@pytest.mark.parametrize("ending", ["failed", "damaged"])
def test_a_run_that_counts_for_nothing_is_named_beside_one_of_its_seed_that_does(tmp_path, ending):
    """Both files say that they are of seed 1; the table has the good one, and does not keep the other to itself."""
    bad = write_run(tmp_path / "one", "few_shot", "caltech101", "CoOp", 1, 50.0,
                    state="failed" if ending == "failed" else "done")  # fmt: skip
    if ending == "damaged":
        (bad / "run.json").write_text('{"state": ')
    write_run(tmp_path / "two", "few_shot", "caltech101", "CoOp", 1, 60.0)
    (grid,) = build(collect(tmp_path))
    assert list(grid.values.values()) == [{1: 60.0}]
    (note,) = (note for note in grid.notes if "counts for nothing" in note)
    assert "seed 1" in note and ("unreadable" if ending == "damaged" else "failed") in note
