"""Layers of configuration, foreign yaml files, and every way to misspell."""

import pytest

from craft.common.errors import UserError
from craft.common.places import configs
from craft.config.commandline import parser
from craft.trainers import structures as trainers
from craft.trainers.settings import setup_cfg

FOLDER = configs()


def setup(*argv):
    return setup_cfg(parser("").parse_args([str(a) for a in argv]))


def test_later_layers_win(tmp_path):
    (tmp_path / "base.yaml").write_text("OPTIM: {LR: 0.5, MAX_EPOCH: 7}\nTRAINER: {COOP: {N_CTX: 5}}\n")
    (tmp_path / "own.yaml").write_text("_BASE_: base.yaml\nOPTIM: {MAX_EPOCH: 8}\n")
    common = ["--trainer", "CoOpCraft", "--backbone", "demo", "--config-file", tmp_path / "own.yaml", "--seed", 0]
    cfg = setup(*common, "--transforms", "normalize", "TRAINER.COOP.N_CTX", 6, "OPTIM.LR", 1)
    assert (cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH, cfg.TRAINER.COOP.N_CTX) == (1.0, 8, 6)
    assert cfg.SEED == 0 and cfg.INPUT.TRANSFORMS == ("normalize",) and cfg.INPUT.SIZE == (32, 32)
    assert setup(*common).TRAINER.COOP.N_CTX == 5
    with pytest.raises(AttributeError):
        cfg.SEED = 3


def test_alone_it_is_the_demonstration():
    cfg = setup("--trainer", "CoOpCraft")
    assert (cfg.MODEL.BACKBONE.NAME, cfg.DATASET.NAME, cfg.SEED) == ("demo", "Digits", 1)
    assert cfg.OUTPUT_DIR == "output/Digits/CoOpCraft/seed1"


def test_names_of_configurations():
    cfg = setup("--trainer", "MaPLeCraft", "--config-file", "base2new", "--dataset-config-file", "caltech101")
    assert cfg.MODEL.BACKBONE.NAME == "ViT-B/16" and cfg.DATASET.NAME == "Caltech101"
    assert cfg.OPTIM.LR == 0.0035 and cfg.TRAINER.MAPLE.PROMPT_DEPTH == 9 and tuple(cfg.INPUT.SIZE) == (224, 224)
    with pytest.raises(UserError, match=r"unknown trainer configuration 'base2neu'; did you mean: .*base2new"):
        setup("--trainer", "MaPLeCraft", "--config-file", "base2neu")
    with pytest.raises(UserError, match=r"unknown data set configuration 'caltech'; did you mean: .*caltech101"):
        setup("--trainer", "MaPLeCraft", "--dataset-config-file", "caltech")
    with pytest.raises(UserError, match=r"unknown data set configuration"):
        setup("--trainer", "MaPLeCraft", "--dataset-config-file", "c" * 5000)


# Written as the files of CoOp, MaPLe and PromptSRC are: lists and tuples as strings, numbers without a dot, 1e-5.
FOREIGN = """
DATALOADER:
  TRAIN_X:
    BATCH_SIZE: 4
  TEST:
    BATCH_SIZE: 100
  NUM_WORKERS: 8
INPUT:
  SIZE: (224, 224)
  INTERPOLATION: "bicubic"
  PIXEL_MEAN: [0.48145466, 0.4578275, 0.40821073]
  PIXEL_STD: [0.26862954, 0.26130258, 0.27577711]
  TRANSFORMS: ["random_resized_crop", "random_flip", "normalize"]
OPTIM:
  NAME: "sgd"
  LR: 1
  MAX_EPOCH: 20
  LR_SCHEDULER: "cosine"
  WARMUP_EPOCH: 1
  WARMUP_TYPE: "constant"
  WARMUP_CONS_LR: 1e-5
TRAIN:
  PRINT_FREQ: 20
MODEL:
  BACKBONE:
    NAME: "ViT-B/16"
TRAINER:
  PROMPTSRC:
    N_CTX_VISION: 4
    N_CTX_TEXT: 4
    CTX_INIT: "a photo of a"
    PREC: "fp16"
    PROMPT_DEPTH_VISION: 9
    PROMPT_DEPTH_TEXT: 9
    TEXT_LOSS_WEIGHT: 25
    IMAGE_LOSS_WEIGHT: 10
    GPA_MEAN: 15
    GPA_STD: 1
  MAPLE:
    N_CTX: 2
    CTX_INIT: "a photo of a"
    PREC: "fp16"
    PROMPT_DEPTH: 9
  COCOOP:
    N_CTX: 4
    CTX_INIT: "a photo of a"
    PREC: "fp16"
"""


def test_foreign_yaml_files_load(tmp_path):
    (tmp_path / "foreign.yaml").write_text(FOREIGN)
    cfg = setup("--trainer", "PromptSRCCraft", "--config-file", tmp_path / "foreign.yaml")
    assert tuple(cfg.INPUT.SIZE) == (224, 224) and cfg.OPTIM.LR == 1.0
    assert cfg.OPTIM.WARMUP_CONS_LR == 1e-5 and isinstance(cfg.OPTIM.WARMUP_CONS_LR, float)
    assert cfg.TRAINER.PROMPTSRC.TEXT_LOSS_WEIGHT == 25 and cfg.INPUT.TRANSFORMS[0] == "random_resized_crop"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("trainers/*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_our_files_load_for_the_host_and_its_variants(path):
    for name in trainers.trainer_names():
        if trainers.structure_of(name).name == path.parent.name:
            cfg = setup("--trainer", name, "--config-file", path)
            assert name == cfg.TRAINER.NAME


def test_published_settings_as_the_table_states_them():
    """The settings table of the field, written out independently: lr, epochs, batch, and what is particular."""
    table = [
        ("CoOp", "base2new", 0.002, 200, 32, {}),
        ("CoCoOp", "base2new", 0.002, 10, 1, {"CTX_INIT": "a photo of a"}),
        ("KgCoOp", "base2new", 0.002, 100, 128, {"W": 8.0}),
        ("VPT", "base2new", 0.0025, 5, 4, {"N_CTX_VISION": 8, "PROMPT_DEPTH_VISION": 12}),
        ("IVLP", "base2new", 0.0025, 5, 4, {"N_CTX_TEXT": 2, "PROMPT_DEPTH_TEXT": 9}),
        ("IVLP", "base2new_4ctx", 0.0025, 20, 4, {"N_CTX_VISION": 4, "PROMPT_DEPTH_VISION": 9}),
        ("MaPLe", "base2new", 0.0035, 5, 4, {"N_CTX": 2, "PROMPT_DEPTH": 9}),
        ("MaPLe", "cross_dataset", 0.0026, 2, 4, {"N_CTX": 2, "PROMPT_DEPTH": 3}),
        ("MaPLe", "release_cross_dataset", 0.01, 2, 128, {"PROMPT_DEPTH": 3}),
        ("PromptSRC", "base2new", 0.0025, 20, 4, {"PROMPT_DEPTH_TEXT": 9, "GPA_MEAN": 15, "GPA_STD": 1}),
        ("PromptSRC", "cross_dataset", 0.0025, 20, 4, {"PROMPT_DEPTH_TEXT": 3, "GPA_MEAN": 6, "GPA_STD": 10}),
        ("PromptSRC", "few_shot", 0.0025, 50, 4, {"PROMPT_DEPTH_TEXT": 9, "GPA_MEAN": 30, "GPA_STD": 30}),
    ]
    for name, config, rate, epochs, batch, own in table:
        cfg = setup("--trainer", name, "--config-file", config)
        node = cfg.TRAINER[trainers.STRUCTURES[name].node]
        found = (cfg.OPTIM.LR, cfg.OPTIM.MAX_EPOCH, cfg.DATALOADER.TRAIN_X.BATCH_SIZE)
        assert found == (rate, epochs, batch), name
        assert {key: node[key] for key in own} == own, name
        assert (cfg.OPTIM.NAME, cfg.OPTIM.MOMENTUM, cfg.OPTIM.WEIGHT_DECAY) == ("sgd", 0.9, 5e-4)
        assert (cfg.OPTIM.LR_SCHEDULER, cfg.OPTIM.WARMUP_EPOCH, cfg.OPTIM.WARMUP_CONS_LR) == ("cosine", 1, 1e-5)


@pytest.mark.parametrize(
    "argv, message",
    [
        (["TRAINER.COOP.N_CTXX", "4"], r"unknown key TRAINER.COOP.N_CTXX; did you mean: TRAINER.COOP.N_CTX"),
        (["OPTIM.LR"], "'OPTIM.LR' has no partner"),
        (["OPTIM.MAX_EPOCH", "2", "--eval-only"], "--eval-only stands behind a KEY VALUE pair; options go before"),
        (["OPTIM.LR", "fast"], "OPTIM.LR is 'fast', expected float"),
        (["OPTIM.MAX_EPOCH", "2.5"], "OPTIM.MAX_EPOCH is '2.5', expected int"),
        (["OPTIM", "3"], "OPTIM is a group of keys"),
        (["--dataset-config-file", "nowhere/x.yaml"], "unknown data set configuration"),
        (["DATASET.NAME", "Caltech"], "unknown data set 'Caltech'; did you mean: Caltech101"),
        (["--backbone", "ViTB16"], "unknown backbone 'ViTB16'"),
    ],
)
def test_mistakes_on_the_command_line(argv, message):
    with pytest.raises(UserError, match=message):
        setup("--trainer", "CoOp", *argv)


@pytest.mark.parametrize(
    "text, message",
    [
        ("TRAINER: {COOP: {NCTX: 4}}", r"bad.yaml: unknown key TRAINER.COOP.NCTX; did you mean: .*N_CTX"),
        ("OPTIM: {LR: fast}", r"bad.yaml: OPTIM.LR is 'fast', expected float"),
        ("a: [", r"bad.yaml is not valid yaml"),
        ("- 1", r"bad.yaml does not hold a configuration"),
        ("_BASE_: gone.yaml", r"cannot read configuration .*gone.yaml"),
    ],
)
def test_mistakes_in_a_file(text, message, tmp_path):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        setup("--trainer", "CoOp", "--config-file", tmp_path / "bad.yaml")


def test_strings_stay_strings():
    """A path or name that looks like a number is not turned into one."""
    cfg = setup("--trainer", "CoOp", "DATASET.ROOT", "747", "TRAINER.COOP.CTX_INIT", "a photo of a")
    assert cfg.DATASET.ROOT == "747" and cfg.TRAINER.COOP.CTX_INIT == "a photo of a"
    cfg = setup("--trainer", "CoOpCraft", "TRAINER.CRAFT.MMD_VARIANCES", "(1.0, 2.0)", "DATASET.SOURCE_DOMAINS", "a,b")
    assert cfg.TRAINER.CRAFT.MMD_VARIANCES == (1.0, 2.0) and cfg.DATASET.SOURCE_DOMAINS == ("a", "b")


def test_a_misspelt_option_is_answered_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as stopped:
        setup("--trainr", "CoOp")
    assert stopped.value.code == 2
    assert "unknown option --trainr; did you mean: --trainer" in capsys.readouterr().err
