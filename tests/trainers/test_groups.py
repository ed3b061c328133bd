"""Accuracy by group: its numbers, where it applies, what it selects, and the MMD between groups of a batch."""

import re

import numpy as np
import pytest
import torch
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from dassl.evaluation import EVALUATOR_REGISTRY, Classification
from PIL import Image

from craft.common.errors import UserError
from craft.datasets import GroupDatum
from craft.trainers.engine.group_evaluator import GroupClassification
from craft.trainers.settings import get_cfg
from tests.fixtures_data.trees import make_tree
from tests.tiny_clip import build, tiny_clip, train  # noqa: F401  (a fixture)

GROUPS = ("--dataset-config-file", "digits_groups")
FEW = ("DATASET.NUM_SHOTS", 4, "DATASET.SHOTS_PER", "group")


@pytest.fixture
def backbone(tiny_clip):  # noqa: F811
    return "--backbone", tiny_clip


# -- numbers ----------------------------------------------------------------------------------------------------------


def test_metrics_by_hand(capsys):
    """Four groups, the second without images; predictions come in batches."""
    evaluator = GroupClassification(get_cfg(), None, ["a", "b", "c", "d"], {0: 70, 1: 5, 2: 20, 3: 10})
    groups = torch.tensor([0, 0, 0, 0, 2, 2, 3, 3, 3, 3])
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    predicted = torch.tensor([0, 0, 0, 1, 1, 0, 1, 1, 1, 1])
    for _ in range(2):  # a second evaluation starts from nothing
        evaluator.reset()
        for part in (slice(0, 3), slice(3, 10)):
            evaluator.process(torch.eye(2)[predicted[part]], labels[part], groups[part])
        results = evaluator.evaluate()
        assert next(iter(results)) == "accuracy" and results["accuracy"] == pytest.approx(80)
        assert results["error_rate"] == pytest.approx(20)
        average = (70 * 75 + 20 * 50 + 10 * 100) / 100
        assert results["accuracy_train_weighted"] == pytest.approx(average)
        assert results["accuracy_group_mean"] == pytest.approx(75)
        assert (results["worst_group_accuracy"], results["worst_group"], results["worst_group_n"]) == (50, "c", 2)
        assert results["gap"] == pytest.approx(average - 50)
        assert [(row["name"], row["n"], row["accuracy"]) for row in results["groups"]] == [
            ("a", 4, 75),
            ("c", 2, 50),
            ("d", 4, 100),
        ]
    out = capsys.readouterr().out
    assert "* accuracy: 80.0%" in out and "* worst_group_accuracy: 50.0% (c, n = 2)" in out
    assert re.search(r"^  a +70 +4 +75\.0%$", out, re.MULTILINE)


def test_random_predictions_against_numpy():
    rng = np.random.default_rng(0)
    groups, labels, logits = rng.integers(0, 4, 500), rng.integers(0, 3, 500), rng.normal(size=(500, 3))
    counts = {0: 100, 1: 7, 2: 3, 3: 50}
    evaluator = GroupClassification(get_cfg(), None, None, counts)
    evaluator.process(torch.tensor(logits), torch.tensor(labels), torch.tensor(groups))
    found = evaluator.evaluate()
    hits = 100 * (logits.argmax(1) == labels)
    each = np.array([hits[groups == g].mean() for g in range(4)])
    assert found["accuracy"] == pytest.approx(hits.mean())
    assert found["accuracy_group_mean"] == pytest.approx(each.mean())
    assert found["worst_group_accuracy"] == pytest.approx(each.min())
    assert found["worst_group"] == f"group {each.argmin()}"
    assert found["accuracy_train_weighted"] == pytest.approx(np.average(each, weights=list(counts.values())))


# -- runs -------------------------------------------------------------------------------------------------------------


def test_group_run_ends_in_a_table(backbone, tmp_path):
    run = train(tmp_path, "--trainer", "CoOpCraft", *backbone, *GROUPS, options=FEW)
    assert run.status == 0, run.err
    rows = run.test["groups"]
    assert [row["name"] for row in rows] == ["three on blue", "three on yellow", "eight on blue", "eight on yellow"]
    assert [row["n"] for row in rows] == [73, 73, 69, 69]
    # Weights are those of the full training split, however few shots were drawn from it.
    assert [row["train"] for row in rows] == [69, 4, 4, 66]
    assert run.test["accuracy"] == pytest.approx(sum(row["n"] * row["accuracy"] for row in rows) / 284)
    worst = min(rows, key=lambda row: row["accuracy"])
    assert f"* worst_group_accuracy: {worst['accuracy']:.1f}% ({worst['name']}, n = {worst['n']})" in run.out
    for row in rows:
        assert re.search(rf"^  {row['name']} +{row['train']} +{row['n']} +{row['accuracy']:.1f}%$", run.out, re.M)


def test_groups_follow_their_images(backbone, tmp_path):
    """The order in which a loader gives the images changes nothing."""
    common = ("--trainer", "ZeroshotCLIP", *backbone, *GROUPS)
    ordered = train(tmp_path / "a", *common)
    shuffled = train(tmp_path / "b", *common, options=("DATALOADER.TEST.SAMPLER", "RandomSampler"))
    assert ordered.test == shuffled.test
    trainer = build(tmp_path / "c", *common)
    items, images = trainer.dm.dataset.test, trainer.test_loader.dataset
    with torch.no_grad():
        predicted = trainer.model(torch.stack([images[i]["img"] for i in range(len(items))])).logits.argmax(dim=1)
    for row in ordered.test["groups"]:
        label, ground = divmod(row["group"], 2)
        folder = f"{('three', 'eight')[label]}/{('blue', 'yellow')[ground]}"
        hits = [p == label for p, item in zip(predicted.tolist(), items) if folder in item.impath]
        assert row["accuracy"] == pytest.approx(100 * sum(hits) / len(hits), abs=1)  # ties at float32's edge


@pytest.mark.parametrize("metric, best", [("worst_group_accuracy", 2), ("accuracy", 3)])
def test_best_val_selects_by_the_metric(metric, best, backbone, tmp_path, monkeypatch):
    """Four epochs whose validation results are given; the first of the best is taken, and it is what is tested."""
    script = iter([(50.0, 10.0), (40.0, 30.0), (90.0, 20.0), (80.0, 30.0), (1.0, 1.0)])

    def evaluate(self):
        accuracy, worst = next(script)
        return {"accuracy": accuracy, "worst_group_accuracy": worst}

    monkeypatch.setattr(GroupClassification, "evaluate", evaluate)
    select = ("TEST.FINAL_MODEL", "best_val", "TEST.METRIC", metric, "OPTIM.MAX_EPOCH", 4)
    run = train(tmp_path, "--trainer", "CoOp", *backbone, *GROUPS, options=(*FEW, *select))
    assert run.status == 0, run.err
    checkpoint = torch.load(tmp_path / "prompt_learner" / "model-best.pth.tar", weights_only=True)
    assert checkpoint["epoch"] == best and checkpoint["val_result"] == {2: 30.0, 3: 90.0}[best]
    assert f'model-best.pth.tar" (epoch = {best})' in run.out


def test_another_evaluator_is_respected(backbone, tmp_path):
    if "Constant" not in EVALUATOR_REGISTRY.registered_names():

        @EVALUATOR_REGISTRY.register()
        class Constant(Classification):
            def evaluate(self):
                return {"accuracy": 12.5}

    run = train(tmp_path, "--trainer", "ZeroshotCLIP", *backbone, *GROUPS, options=("TEST.EVALUATOR", "Constant"))
    assert run.status == 0 and run.test == {"accuracy": 12.5}


def test_data_without_groups_is_evaluated_as_ever(backbone, tmp_path):
    run = train(tmp_path, "--trainer", "ZeroshotCLIP", *backbone, "--dataset-config-file", "digits")
    assert run.status == 0 and set(run.test) == {"accuracy", "error_rate", "macro_f1"}


@pytest.mark.parametrize("name", ["Waterbirds", "CelebA"])
def test_published_sets_in_miniature(name, backbone, tmp_path):
    root = make_tree(tmp_path / "data", name)
    run = train(
        tmp_path / "run",
        *("--trainer", "MaPLeCraft", *backbone, "--root", str(root), "--dataset-config-file", name.lower()),
        options=("DATASET.ALLOW_SUBSET", True, *FEW, "TRAINER.MAPLE.PROMPT_DEPTH", 1, "TRAINER.CRAFT.GROUP_MMD", True),
    )
    assert run.status == 0, run.err
    counts = {"Waterbirds": ((24, 22, 9, 8), (70, 11, 5, 28)), "CelebA": ((14, 11, 6, 4), (48, 44, 17, 3))}[name]
    assert [row["n"] for row in run.test["groups"]] == list(counts[0])
    assert [row["train"] for row in run.test["groups"]] == list(counts[1])
    assert all(epoch["mmd"] > 0 for epoch in run.metrics["history"])
    short = train(tmp_path / "short", "--trainer", "ZeroshotCLIP", *backbone, "--root", str(root),
                  "--dataset-config-file", name.lower())  # fmt: skip
    assert short.status == 1 and "ALLOW_SUBSET" in short.err and short.err.count("\n") == 1


# -- MMD between groups -----------------------------------------------------------------------------------------------


def test_group_mmd_is_off_by_default_and_adds_its_term(backbone, tmp_path):
    common = ("--trainer", "CoOpCraft", *backbone, *GROUPS)
    plain = train(tmp_path / "a", *common, options=FEW)
    assert "mmd" not in plain.metrics["history"][0]
    compared = train(tmp_path / "b", *common, options=(*FEW, "TRAINER.CRAFT.GROUP_MMD", True))
    assert compared.status == 0 and compared.metrics["history"][0]["mmd"] > 0
    for key in ("cross_entropy", "static", "stochastic"):  # one step, the same batch: the other terms are untouched
        first = [re.search(rf"batch \[1/.*? {key} ([\d.]+)", run.out)[1] for run in (plain, compared)]
        assert first[0] == first[1]


def test_group_mmd_compares_the_groups_of_one_class(backbone, tmp_path):
    trainer = build(tmp_path, "--trainer", "CoOpCraft", *backbone, *GROUPS,
                    options=(*FEW, "TRAINER.CRAFT.GROUP_MMD", True))  # fmt: skip
    items = trainer.dm.dataset.train_x
    cells = {cell.item(): {(i.label, i.group) for i, c in zip(items, trainer.groups) if c == cell}
             for cell in trainer.groups.unique()}  # fmt: skip
    assert all(len(members) == 1 for members in cells.values())
    pairs = {tuple(sorted(next(iter(cells[c]))[1] for c in pair)) for pair in trainer.group_pairs.tolist()}
    assert pairs == {(0, 1), (2, 3)}


@pytest.mark.parametrize(
    "dataset, options, message",
    [
        ("digits", (), "needs training images with groups"),
        # One shot a class is of one group.
        ("digits_groups", (), "SHOTS_PER group"),
    ],
)
def test_group_mmd_without_groups(dataset, options, message, backbone, tmp_path):
    run = train(tmp_path, "--trainer", "CoOpCraft", *backbone, "--dataset-config-file", dataset,
                options=("DATASET.NUM_SHOTS", 1, *options, "TRAINER.CRAFT.GROUP_MMD", True))  # fmt: skip
    assert run.status == 1 and message in run.err and run.err.count("\n") == 1


# -- mistakes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dataset, options, message",
    [
        ("digits", ("TEST.METRIC", "worst_group_accuracy"), "Digits has none"),
        ("digits", ("TEST.EVALUATOR", "GroupClassification"), "Digits has none"),
        ("digits_groups", ("TEST.METRIC", "worst_group"), "did you mean: worst_group_accuracy"),
        ("digits", ("TEST.METRIC", "acuracy"), "did you mean: accuracy"),
        ("digits_groups", ("TEST.METRIC", "gap", "TEST.FINAL_MODEL", "best_val"), "better when smaller"),
        ("digits_groups", ("TEST.EVALUATOR", "GroupClasification"), "GroupClassification"),
    ],
)
def test_mistakes_are_told_before_training(dataset, options, message, backbone, tmp_path):
    run = train(
        tmp_path, "--trainer", "CoOp", *backbone, "--dataset-config-file", dataset, options=(*FEW[:2], *options)
    )
    assert run.status == 1 and message in run.err and run.err.count("\n") == 1
    assert "epoch [1/" not in run.out


def test_evaluator_that_is_told_no_groups():
    """What another author's trainer would do with it."""
    with pytest.raises(UserError, match="told no groups"):
        GroupClassification(get_cfg(), None).process(torch.eye(2), torch.tensor([0, 1]))


@DATASET_REGISTRY.register()
class HalfGrouped(DatasetBase):
    """Written on Dassl's API alone; DATASET.CIFAR_C_TYPE (ab)used to say which parts have groups."""

    def __init__(self, cfg):
        grouped = {"train": ("train",), "test": ("test",), "mixed": ("train", "val"), "all": ("train", "val", "test")}
        parts = {}
        for part in ("train", "val", "test"):
            parts[part] = []
            for index in range(4):
                path = f"{cfg.DATASET.ROOT}/{part}{index}.png"
                Image.new("RGB", (16, 16), (60 * index, 9, 9)).save(path)
                group = index if part in grouped[cfg.DATASET.CIFAR_C_TYPE or "all"] else None
                label = index % 2
                parts[part].append(GroupDatum(path, label, 0, ("red", "dark")[label], group=group))
        super().__init__(train_x=parts["train"], val=parts["val"], test=parts["test"])


@pytest.mark.parametrize(
    "which, message",
    [
        ("train", "4 of 4 validation images have no group, but training images have"),
        ("test", "4 of 4 training images have no group, but test images have"),
        ("mixed", "4 of 4 test images have no group, but training and validation images have"),
    ],
)
def test_groups_in_only_some_splits(which, message, backbone, tmp_path):
    (tmp_path / "half.yaml").write_text('DATASET: {NAME: "HalfGrouped"}\n')
    common = ("--trainer", "CoOp", *backbone, "--dataset-config-file", str(tmp_path / "half.yaml"))
    run = train(tmp_path / "a", *common, "--root", str(tmp_path), options=("DATASET.CIFAR_C_TYPE", which))
    assert run.status == 1 and message in run.err and run.err.count("\n") == 1
    whole = train(tmp_path / "b", *common, "--root", str(tmp_path))
    assert whole.status == 0, whole.err
    assert [row["train"] for row in whole.test["groups"]] == [1, 1, 1, 1]


def test_own_images_with_groups(backbone, tmp_path):
    """An ImageFolder CSV: names of groups from its column, groups of train and test that never meet refused."""
    lines = {"good": ["path,class,group,split"], "bad": ["path,class,group,split"]}
    for index in range(24):
        Image.new("RGB", (16, 16), (10 * index, 9, 9)).save(tmp_path / f"{index}.png")
        label, place, part = ("cat", "dog")[index % 2], ("in", "out")[index // 2 % 2], ("train", "test")[index // 12]
        lines["good"].append(f"{index}.png,{label},{label} {place},{part}")
        lines["bad"].append(f"{index}.png,{label},{part} {place},{part}")
    for name, rows in lines.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(rows) + "\n")
    common = ("--trainer", "CoOp", *backbone, "--dataset-config-file", "image_folder", "--root", str(tmp_path))
    run = train(tmp_path / "a", *common, options=("DATASET.PATH", "good.csv"))
    assert run.status == 0, run.err
    assert [(row["name"], row["n"]) for row in run.test["groups"]] == [
        ("cat in", 3), ("cat out", 3), ("dog in", 3), ("dog out", 3)
    ]  # fmt: skip
    run = train(tmp_path / "b", *common, options=("DATASET.PATH", "bad.csv"))
    assert run.status == 1 and "no group of the test images occurs in training" in run.err
    run = train(tmp_path / "c", *common, options=("DATASET.PATH", "good.csv", "TEST.FINAL_MODEL", "best_val"))
    assert run.status == 1 and "needs validation images" in run.err
