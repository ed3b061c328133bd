"""Learned prompts are evaluated as what they are: the plain structure, whatever trained them."""

import json

import pytest

from craft.runs import record
from tests.tiny_clip import tiny_clip, train  # noqa: F401  (a fixture)

DIGITS_SHIFT = ("--dataset-config-file", "digits_shift")
DIGITS_GROUPS = ("--dataset-config-file", "digits_groups")
FEW = ("DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 1, "DATALOADER.TRAIN_U.BATCH_SIZE", 8)


@pytest.mark.parametrize(
    "trainer, data, options, in_training",
    [
        ("CoOpCraft", (), (), ()),
        ("MaPLeCraftOOD", DIGITS_SHIFT, ("TRAINER.MAPLE.PROMPT_DEPTH", 2), ()),
        ("CoOpCraft", DIGITS_GROUPS, ("TRAINER.CRAFT.GROUP_MMD", True), ("DATASET.SHOTS_PER", "group")),
    ],
)
def test_prompts_of_craft_on_data_without_what_craft_needs(
    trainer,
    data,
    options,
    in_training,
    tiny_clip,  # noqa: F811
    tmp_path,
):
    """Trained with unlabelled images or groups, evaluated on Digits, which has neither; no setting is changed."""
    backbone = ("--backbone", tiny_clip)
    learned = train(tmp_path / "run", "--trainer", trainer, *backbone, *data, options=(*FEW, *options, *in_training))
    assert learned.status == 0, learned.err
    there = ("--eval-only", "--model-dir", tmp_path / "run")
    found = train(tmp_path / "there", "--trainer", trainer, *backbone, *there, options=(*FEW, *options))
    assert found.status == 0, found.err
    assert "Static image anchors" not in found.out and "Craft:" not in found.out
    told = record.read(tmp_path / "there")
    assert told["config"]["TRAINER"]["NAME"] == trainer and told["config"]["TRAINER"]["CRAFT"]["STATIC_WEIGHT"] > 0
    # The host's own trainer says the same of the same prompts.
    host = trainer.partition("Craft")[0]
    plain = train(tmp_path / "plain", "--trainer", host, *backbone, *there, options=(*FEW, *options))
    assert plain.test == found.test and found.metrics["trainer"] == trainer


def test_a_folder_evaluated_by_earlier_code_is_still_done(tiny_clip, tmp_path):  # noqa: F811
    """It recorded STATIC_WEIGHT 0, which it had set by itself; Craft's settings change no number of an evaluation."""
    backbone = ("--backbone", tiny_clip)
    assert train(tmp_path / "run", "--trainer", "CoOpCraft", *backbone, options=FEW).status == 0
    evaluate = ("--trainer", "CoOpCraft", *backbone, "--eval-only", "--model-dir", tmp_path / "run")
    assert train(tmp_path / "there", *evaluate, options=FEW).status == 0
    told = record.read(tmp_path / "there")
    told["config"]["TRAINER"]["CRAFT"]["STATIC_WEIGHT"] = 0.0
    (tmp_path / "there" / record.RECORD).write_text(json.dumps(told))
    assert "Already done" in train(tmp_path / "there", *evaluate, options=FEW).out
