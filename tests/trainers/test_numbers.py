"""A number is of what was learned, of the epoch that its record names, or there is none."""

import numpy as np
import pytest
import torch
from PIL import Image

from craft.clip import load_backbone
from craft.runs import record
from tests.runs import QUICK, interrupted_after, metrics, run

LONG = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "3", "DATALOADER.NUM_WORKERS", "0"]
BEST = ["TEST.FINAL_MODEL", "best_val"]


@pytest.mark.parametrize("options, settings", [(["--eval-only"], QUICK), ([], [*QUICK, "OPTIM.MAX_EPOCH", "0"])])
def test_untrained_prompts_get_no_number(options, settings, tmp_path, capsys):
    assert run(tmp_path / "run", "CoOp", *options, settings=settings) == 1
    assert "ZeroshotCLIP" in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert run(tmp_path / "zero", "ZeroshotCLIP", *options, settings=settings) == 0
    assert record.read(tmp_path / "zero")["evaluated"] is None


def test_weights_that_are_not_finite_are_no_result(tmp_path, monkeypatch, capsys):
    """Every loss is finite, and then the last step goes wrong."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    whole = PromptTrainer.run_epoch

    def run_epoch(self):
        whole(self)
        if self.epoch == 1:
            with torch.no_grad():
                self.model.ctx[0, 0] = float("nan")

    monkeypatch.setattr(PromptTrainer, "run_epoch", run_epoch)
    assert run(tmp_path, "CoOp", settings=LONG, overrides=["TRAIN.CHECKPOINT_FREQ", 1]) == 1
    assert "ctx is not finite after epoch 2" in capsys.readouterr().err
    assert record.state_of(tmp_path).name == "failed" and not (tmp_path / "metrics.json").exists()
    kept = torch.load(tmp_path / "state.pth.tar", weights_only=True)
    assert kept["epoch"] == 1 and kept["model"]["ctx"].isfinite().all()
    assert not (tmp_path / "prompt_learner/model.pth.tar-2").exists()


def test_neither_damaged_prompts_nor_their_logits_are_evaluated(tmp_path, monkeypatch, capsys):
    assert run(tmp_path / "run", "CoOp") == 0
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    path = tmp_path / "run/prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["state_dict"]["ctx"][0, 0] = float("inf")
    torch.save(checkpoint, path)
    assert run(tmp_path / "there", "CoOp", *load) == 1
    assert "ctx is not finite" in capsys.readouterr().err
    monkeypatch.setattr(type(load_backbone("demo")), "scale", torch.tensor(float("inf")))
    assert run(tmp_path / "zero", "ZeroshotCLIP") == 1
    assert "not finite" in capsys.readouterr().err


def test_the_record_names_the_epoch(tmp_path, monkeypatch, capsys):
    """Validation is best after epoch 1, so the number is of epoch 1, here and where the prompts are evaluated."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    whole = PromptTrainer.test

    def test(self, split=None):
        found = whole(self, split)
        return 100.0 - self.epoch if split == "val" else found

    with monkeypatch.context() as patch:
        patch.setattr(PromptTrainer, "test", test)
        assert run(tmp_path / "best", "CoOp", settings=LONG, overrides=BEST) == 0
    assert run(tmp_path / "last", "CoOp", settings=LONG) == 0
    first, last = {"epoch": 1, "by": "best_val"}, {"epoch": 3, "by": "last"}
    assert metrics(tmp_path / "best")["evaluated"] == first == record.read(tmp_path / "best")["evaluated"]
    assert metrics(tmp_path / "last")["evaluated"] == last == record.read(tmp_path / "last")["evaluated"]
    best, final = (metrics(tmp_path / name)["results"]["test"]["accuracy"] for name in ("best", "last"))
    capsys.readouterr()
    load = ["--eval-only", "--model-dir", str(tmp_path / "best")]
    # Nothing about it is said on this command line.
    assert run(tmp_path / "there", "CoOp", *load, settings=LONG) == 0
    assert "best_val" in capsys.readouterr().out
    assert metrics(tmp_path / "there")["evaluated"] == first == record.read(tmp_path / "there")["evaluated"]
    assert metrics(tmp_path / "there")["results"]["test"]["accuracy"] == best
    assert run(tmp_path / "asked", "CoOp", *load, "--load-epoch", "3", settings=LONG) == 0
    assert metrics(tmp_path / "asked")["results"]["test"]["accuracy"] == final
    # And a run of the last epoch is evaluated at its last, whatever the command line says of training.
    load = ["--eval-only", "--model-dir", str(tmp_path / "last")]
    assert run(tmp_path / "again", "CoOp", *load, settings=LONG, overrides=BEST) == 0
    assert metrics(tmp_path / "again")["evaluated"] == last


def test_an_unfinished_training_is_evaluated_only_where_an_epoch_is_named(tmp_path, capsys):
    with interrupted_after(2):
        assert run(tmp_path / "run", "CoOp", settings=LONG, overrides=["TRAIN.CHECKPOINT_FREQ", 1]) == 130
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert run(tmp_path / "there", "CoOp", *load, settings=LONG) == 1
    said = capsys.readouterr().err
    assert "interrupted at epoch 2/3" in said and "--load-epoch" in said
    assert run(tmp_path / "there", "CoOp", *load, "--load-epoch", "1", settings=LONG) == 0
    assert record.read(tmp_path / "there")["evaluated"] == {"epoch": 1, "by": "asked"}


def test_nothing_is_selected_on_test_images(tmp_path, capsys):
    """A folder with train/ and val/ only is tested on val/, as ImageNet is."""
    for number in range(8):
        place = tmp_path / "mine" / ("train", "val")[number % 2] / ("cat", "owl")[number // 2 % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((12, 12, 3), 20 * number, np.uint8)).save(place)
    mine = ["--dataset-config-file", "image_folder", "--root", str(tmp_path / "mine")]
    assert run(tmp_path / "run", "CoOp", *mine, overrides=BEST) == 1
    assert "would select on the test images" in capsys.readouterr().err
    assert run(tmp_path / "run", "CoOp", *mine) == 0


# -- prompts and what they presume ------------------------------------------------------------------------------------


def evaluated(tmp_path, trainer, learned, asked, *data):
    assert run(tmp_path / "run", trainer, *data, overrides=learned) == 0
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    return run(tmp_path / "there", trainer, *data, *load, overrides=asked)


FREE = ["TRAINER.COOP.CTX_INIT", "", "TRAINER.COOP.N_CTX", 4]


@pytest.mark.parametrize(
    "trainer, learned, asked, said",
    [
        ("CoOp", FREE, [*FREE, "TRAINER.COOP.CLASS_TOKEN_POSITION", "front"], "POSITION 'end' there, 'front'"),
        ("CoOp", [], ["TRAINER.COOP.CTX_INIT", "this is one fine"], "CTX_INIT 'a photo of a' there"),
        ("VPT", [], ["DATASET.TEMPLATE", "a sketch of {}"], "DATASET.TEMPLATE"),
        (
            "CoOp",
            [*FREE, "TRAINER.COOP.CSC", True, "DATASET.SUBSAMPLE_CLASSES", "base"],
            [*FREE, "TRAINER.COOP.CSC", True, "DATASET.SUBSAMPLE_CLASSES", "new"],
            "learned for other classes",
        ),
    ],
)  # fmt: skip
def test_prompts_are_evaluated_as_what_they_were_learned_as(trainer, learned, asked, said, tmp_path, capsys):
    assert evaluated(tmp_path, trainer, learned, asked) == 1
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not (tmp_path / "there/metrics.json").exists()
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert run(tmp_path / "same", trainer, *load, overrides=learned) == 0


def test_another_data_set_has_a_template_of_its_own(tmp_path):
    shift = ["--dataset-config-file", "digits_shift"]
    assert run(tmp_path / "run", "VPT") == 0
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert run(tmp_path / "there", "VPT", *shift, *load, overrides=["DATASET.TEMPLATE", "a sketch of {}"]) == 0


def test_settings_without_effect_are_said(tmp_path, capsys):
    both = ["TRAINER.COOP.CSC", True, "TRAINER.COOP.CTX_INIT", "a photo of a"]
    assert run(tmp_path / "csc", "CoOp", overrides=both) == 1
    assert "TRAINER.COOP.CSC asks for a context a class" in capsys.readouterr().err
    template = ["DATASET.TEMPLATE", "a sketch of {}"]
    for trainer, ignored in (("CoOp", True), ("MaPLe", True), ("KgCoOp", False), ("VPT", False)):
        assert run(tmp_path / trainer, trainer, overrides=template) == 0
        assert ("DATASET.TEMPLATE is not read" in capsys.readouterr().out) == ignored


def test_an_evaluation_tells_what_its_prompts_were_trained_as(tmp_path, capsys):
    assert run(tmp_path / "run", "CoOp", "--seed", "3") == 0
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    assert run(tmp_path / "there", "CoOp", *load) == 0
    trained = record.read(tmp_path / "there")["identity"]["model"]["trained"]
    assert (trained["seed"], trained["shots"], trained["trainer"]) == (3, 1, "CoOp")
    assert trained["data"] == record.read(tmp_path / "run")["split"]["digest"]
    assert "learned with seed 3; this run calls itself 1" in capsys.readouterr().out


def test_checkpoints_of_before_know_their_classes_and_nothing_else(tmp_path, capsys):
    specific = [*FREE, "TRAINER.COOP.CSC", True]
    assert run(tmp_path / "run", "CoOp", overrides=[*specific, "DATASET.SUBSAMPLE_CLASSES", "base"]) == 0
    path = tmp_path / "run/prompt_learner/model.pth.tar-1"
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["presumes"], checkpoint["dataset"]
    torch.save(checkpoint, path)
    load = ["--eval-only", "--model-dir", str(tmp_path / "run")]
    front = [*specific, "TRAINER.COOP.CLASS_TOKEN_POSITION", "front"]
    assert run(tmp_path / "base", "CoOp", *load, overrides=[*front, "DATASET.SUBSAMPLE_CLASSES", "base"]) == 0
    assert run(tmp_path / "new", "CoOp", *load, overrides=[*specific, "DATASET.SUBSAMPLE_CLASSES", "new"]) == 1
    assert "learned for other classes" in capsys.readouterr().err
