"""Every trainer as a user runs it: train, test, evaluate elsewhere, interrupt, resume, get it wrong."""

import pytest
import torch
from torch import nn

from craft.clip import VisionPrompts, load_backbone
from craft.prompts.learner import PromptLearner
from craft.trainers import structures
from tests.runs import QUICK, interrupted_after, metrics, run

SHIFT = ["--dataset-config-file", "digits_shift"]
ALIGNED = [name for name in structures.trainer_names() if not name.endswith("OOD")]
SHIFTED = [name for name in structures.trainer_names() if name.endswith("OOD")]


@pytest.mark.parametrize("name", ALIGNED)
def test_every_trainer_trains_an_epoch(name, tmp_path, capsys):
    assert run(tmp_path, name) == 0, capsys.readouterr().err
    found = metrics(tmp_path)
    assert 0 <= found["results"]["test"]["accuracy"] <= 100
    assert f"* accuracy: {found['results']['test']['accuracy']:.1f}%" in (tmp_path / "log.txt").read_text()
    host = structures.structure_of(name)
    if not host.trainable:
        assert found["history"] == [] and not (tmp_path / "prompt_learner").exists()
        return
    (epoch,) = found["history"]
    terms = {key: value for key, value in epoch.items() if key not in ("epoch", "lr", "loss")}
    assert epoch["loss"] == pytest.approx(sum(terms.values()), rel=1e-4)
    assert "cross_entropy" in terms and ("stochastic" in terms) == name.endswith("Craft")
    assert ("static" in terms) == (name.endswith("Craft") and host.name != "VPT")
    checkpoint = torch.load(tmp_path / "prompt_learner" / "model.pth.tar-1", weights_only=True)
    assert (
        sum(v.numel() for k, v in checkpoint["state_dict"].items() if not k.startswith("gpa_")) == found["parameters"]
    )


@pytest.mark.parametrize("name", SHIFTED)
def test_every_ood_trainer_trains_an_epoch(name, tmp_path, capsys):
    assert run(tmp_path, name, *SHIFT) == 0, capsys.readouterr().err
    (epoch,) = metrics(tmp_path)["history"]
    assert {"cross_entropy", "stochastic", "mmd"} <= set(epoch)


def test_a_term_without_gradient_is_left_out_and_said(tmp_path, capsys):
    assert run(tmp_path, "VPTCraft") == 0
    assert capsys.readouterr().out.count("the term 'static' is left out") == 1


def test_same_seed_same_numbers_other_seed_others(tmp_path):
    for folder, seed in (("a", 1), ("b", 1), ("c", 0)):
        assert run(tmp_path / folder, "MaPLeCraft", "--seed", str(seed)) == 0
    a, b, c = (metrics(tmp_path / folder) for folder in "abc")
    assert a["history"] == b["history"] and a["results"] == b["results"]
    assert a["history"] != c["history"] and c["seed"] == 0


@pytest.mark.parametrize("name", ["CoOpCraft", "PromptSRC"])
def test_resuming_continues_the_same_run(name, tmp_path):
    """Stopped after two of four epochs and resumed: the same prompts, losses and results to the last bit."""
    long = [*QUICK[:2], "OPTIM.MAX_EPOCH", "4", *QUICK[4:], "DATALOADER.TRAIN_X.BATCH_SIZE", "4"]
    assert run(tmp_path / "whole", name, settings=long) == 0
    with interrupted_after(2):
        assert run(tmp_path / "cut", name, settings=long) == 130
    assert run(tmp_path / "cut", name, "--resume", str(tmp_path / "cut"), settings=long) == 0
    whole, cut = metrics(tmp_path / "whole"), metrics(tmp_path / "cut")
    assert whole["history"] == cut["history"] and whole["results"] == cut["results"]
    states = [
        torch.load(tmp_path / folder / "prompt_learner" / "model.pth.tar-4", weights_only=True)["state_dict"]
        for folder in ("whole", "cut")
    ]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_base_prompts_are_evaluated_on_new_classes(tmp_path, capsys):
    base, new = ["DATASET.SUBSAMPLE_CLASSES", "base"], ["DATASET.SUBSAMPLE_CLASSES", "new"]
    assert run(tmp_path / "base", "CoOp", overrides=base) == 0
    evaluate = ["--eval-only", "--model-dir", str(tmp_path / "base")]
    assert run(tmp_path / "again", "CoOp", *evaluate, overrides=base) == 0
    assert metrics(tmp_path / "again")["results"] == metrics(tmp_path / "base")["results"]
    assert run(tmp_path / "new", "CoOp", *evaluate, overrides=new) == 0
    assert metrics(tmp_path / "new")["subsample"] == "new" and metrics(tmp_path / "new")["classes"] == 5
    capsys.readouterr()
    assert run(tmp_path / "new", "CoOp", *evaluate, "--load-epoch", "7", overrides=new) == 1
    assert "the folder has model.pth.tar-1: choose with --load-epoch" in capsys.readouterr().err
    specific = ["TRAINER.COOP.CTX_INIT", "", "TRAINER.COOP.N_CTX", 4, "TRAINER.COOP.CSC", True]
    assert run(tmp_path / "csc", "CoOp", *evaluate, overrides=specific) == 1
    assert "does not fit this trainer and its settings: ctx (4, " in capsys.readouterr().err


def test_checkpoint_of_another_backbone_or_damaged(tmp_path, capsys):
    assert run(tmp_path / "base", "CoOp") == 0
    path = tmp_path / "base" / "prompt_learner" / "model.pth.tar-1"
    whole = path.read_bytes()
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["backbone"] = {"name": "ViT-B/16", "fingerprint": "0" * 32}
    torch.save(checkpoint, path)
    capsys.readouterr()
    evaluate = ["--eval-only", "--model-dir", str(tmp_path / "base")]
    assert run(tmp_path / "x", "CoOp", *evaluate) == 1
    error = capsys.readouterr().err
    assert "learned on another backbone (ViT-B/16" in error and "MODEL.BACKBONE.NAME" in error
    assert error.count("\n") == 1
    path.write_bytes(whole[: len(whole) // 2])
    assert run(tmp_path / "x", "CoOp", *evaluate) == 0  # from the copy beside it
    assert "model.pth.tar-1 is truncated or damaged" in capsys.readouterr().out
    path.with_name("prompts-1.safetensors").unlink()
    assert run(tmp_path / "y", "CoOp", *evaluate) == 1
    assert "model.pth.tar-1 is truncated or damaged" in capsys.readouterr().err


def test_help_and_misspelt_names(tmp_path, capsys):
    assert run(tmp_path, "Help", settings=()) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == structures.trainer_names()
    assert run(tmp_path, "CoOpCrft") == 1
    assert "unknown trainer 'CoOpCrft'; did you mean: CoOpCraft" in capsys.readouterr().err
    assert run(tmp_path, "coopcraft") == 1
    assert "did you mean: CoOpCraft" in capsys.readouterr().err


def test_wrong_image_size_and_unfit_structures(tmp_path, capsys):
    for overrides, message in (
        (["INPUT.SIZE", "(64, 64)"], "backbone demo reads 32x32 images"),
        (["TRAINER.MAPLE.PROMPT_DEPTH", "9"], "TRAINER.MAPLE.PROMPT_DEPTH is 9, but the text tower"),
        (["TRAINER.MAPLE.PREC", "fp8"], "TRAINER.MAPLE.PREC is 'fp8'"),
        (["TRAINER.CRAFT.TARGETS", "sample"], "TRAINER.CRAFT.TARGETS is 'sample'; it can be class, index"),
        (["TRAINER.CRAFT.STATIC_WEIGHT", "-1"], "TRAINER.CRAFT.STATIC_WEIGHT is -1.0"),
        (["TRAINER.CRAFT.GROUP_MMD", "True"], "needs training images with groups"),
    ):
        assert run(tmp_path, "MaPLeCraft", overrides=overrides) == 1
        assert message in capsys.readouterr().err
    assert (
        run(tmp_path, "IVLP", overrides=["TRAINER.IVLP.PROMPT_DEPTH_TEXT", 0, "TRAINER.IVLP.PROMPT_DEPTH_VISION", 0])
        == 1
    )
    assert "nothing would be learned" in capsys.readouterr().err


def test_ivlp_with_one_tower(tmp_path, capsys):
    """Depth 0 leaves a tower alone: deep language-only, and vision only (whose static term has no gradient)."""
    assert run(tmp_path / "text", "IVLPCraft", overrides=["TRAINER.IVLP.PROMPT_DEPTH_VISION", 0]) == 0
    names = torch.load(tmp_path / "text" / "prompt_learner" / "model.pth.tar-1", weights_only=True)["state_dict"]
    assert "ctx" in names and not any(name.startswith("vision") for name in names)
    capsys.readouterr()
    assert run(tmp_path / "vision", "IVLPCraft", overrides=["TRAINER.IVLP.PROMPT_DEPTH_TEXT", 0]) == 0
    assert "the term 'static' is left out" in capsys.readouterr().out


def test_loss_that_is_not_finite_stops_the_run(tmp_path, capsys):
    many = [*QUICK[:2], "OPTIM.MAX_EPOCH", "9", *QUICK[4:]]
    assert run(tmp_path, "CoOp", settings=many, overrides=["OPTIM.LR", "1e30", "OPTIM.WARMUP_EPOCH", "-1"]) == 1
    assert "a loss term is not finite at epoch" in capsys.readouterr().err


def test_a_toy_host_takes_one_class_and_one_registration(tmp_path, monkeypatch, capsys):
    class ToyLearner(PromptLearner):
        defaults = {"PREC": "fp32", "TOKENS": 1}

        def __init__(self, backbone, classnames, node, template):
            super().__init__(backbone, classnames, node, template)
            self.token = nn.Parameter(torch.zeros(node.TOKENS, backbone.vision_width))

        def vision_prompts(self):
            return VisionPrompts(self.token)

    toy = structures.Structure("Toy", ToyLearner, node="TOY", summary="one token in the image")
    monkeypatch.setitem(structures.STRUCTURES, "Toy", toy)
    for name in ("Toy", "ToyCraft"):
        assert run(tmp_path / name, name) == 0, capsys.readouterr().err
    assert run(tmp_path / "ToyCraftOOD", "ToyCraftOOD", *SHIFT) == 0
    assert {"stochastic", "mmd"} <= set(metrics(tmp_path / "ToyCraftOOD")["history"][0])


def test_cross_entropy_of_craft_equals_the_hosts(tmp_path):
    """With weights 0 Craft is its host: the same losses and results."""
    assert run(tmp_path / "host", "MaPLe") == 0
    zero = ["TRAINER.CRAFT.STATIC_WEIGHT", 0, "TRAINER.CRAFT.STOCHASTIC_WEIGHT", 0]
    assert run(tmp_path / "craft", "MaPLeCraft", overrides=zero) == 0
    host, craft = metrics(tmp_path / "host"), metrics(tmp_path / "craft")
    assert host["history"] == craft["history"] and host["results"] == craft["results"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "backbone, name",
    [("ViT-B/16", name) for name in structures.trainer_names() if structures.structure_of(name).trainable]
    + [("ViT-L/14", "MaPLeCraft"), ("RN50", "CoOpCraft")],
)
def test_one_step_at_real_size(backbone, name, tmp_path, capsys):
    """Random weights, OpenAI's shapes, default depth: one step on two classes."""
    data = SHIFT if name.endswith("OOD") else []
    config = ["--config-file", "base2new"]
    assert (
        run(
            tmp_path,
            name,
            *data,
            *config,
            "--backbone",
            f"random:{backbone}",
            overrides=[
                "TEST.NO_TEST",
                "True",
                "DATALOADER.TRAIN_X.BATCH_SIZE",
                4,
                "DATALOADER.TRAIN_U.BATCH_SIZE",
                4,
                "DATASET.SUBSAMPLE_CLASSES",
                "base",
            ],
        )
        == 0
    ), capsys.readouterr().err
    assert metrics(tmp_path)["history"][0]["loss"] > 0


@pytest.mark.slow
def test_vision_prompts_in_a_resnet_say_so(tmp_path, capsys):
    assert run(tmp_path, "MaPLe", "--config-file", "base2new", "--backbone", "random:RN50") == 1
    assert "vision prompts need a vision transformer" in capsys.readouterr().err


def test_checkpoint_holds_no_clip(tmp_path):
    """A few kilobytes of prompts, not a backbone."""
    assert run(tmp_path, "MaPLeCraft") == 0
    size = (tmp_path / "prompt_learner" / "model.pth.tar-1").stat().st_size
    learned = metrics(tmp_path)["parameters"]
    assert size < 4 * learned + 20_000
    assert 4 * sum(p.numel() for p in load_backbone("demo").module.parameters()) > 20 * size


def test_cocoop_is_evaluated_a_few_images_at_a_time(tmp_path, monkeypatch):
    """Texts of 10 classes for every image: at most 35 at once are three images, and change no result."""
    for folder, texts in (("whole", 10**6), ("parts", 35)):
        monkeypatch.setattr("craft.prompts.learner.TEXTS_AT_ONCE", texts)
        assert run(tmp_path / folder, "CoCoOp") == 0
    whole, parts = metrics(tmp_path / "whole"), metrics(tmp_path / "parts")
    assert whole["history"] == parts["history"]
    assert whole["results"]["test"]["accuracy"] == pytest.approx(parts["results"]["test"]["accuracy"], abs=0.2)


@pytest.mark.parametrize("name", ["CoOp", "CoCoOp"])
def test_cached_image_features_change_nothing(name, tmp_path, monkeypatch):
    """Test features kept on disk, found there, or not kept at all: the same run."""
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))
    select = ["TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", 2]
    assert run(tmp_path / "kept", name, overrides=select) == 0
    kept = sorted((tmp_path / "cache" / "images").iterdir())
    assert len(kept) == 2  # val and test
    assert run(tmp_path / "found", name, overrides=select) == 0
    assert sorted((tmp_path / "cache" / "images").iterdir()) == kept
    assert metrics(tmp_path / "kept") | {"seconds": 0} == metrics(tmp_path / "found") | {"seconds": 0}
    assert run(tmp_path / "plain", name, overrides=["TEST.CACHE_FEATURES", False, "OPTIM.MAX_EPOCH", 2]) == 0
    assert run(tmp_path / "last", name, overrides=["OPTIM.MAX_EPOCH", 2]) == 0
    plain, last = metrics(tmp_path / "plain"), metrics(tmp_path / "last")
    assert plain["history"] == last["history"]
    assert plain["results"]["test"]["accuracy"] == pytest.approx(last["results"]["test"]["accuracy"], abs=0.3)
    monkeypatch.setattr("craft.trainers.engine.evaluation.READING", 0)  # features of pictures read in another way
    assert run(tmp_path / "other", name, overrides=["OPTIM.MAX_EPOCH", 1]) == 0
    assert len(list((tmp_path / "cache" / "images").iterdir())) == 3
