"""The table of keys: it knows every key, accepts what works, refuses the rest in one line before anything starts."""

import subprocess
import sys

import pytest
from dassl.config import get_cfg_default

from craft.common.errors import UserError
from craft.common.places import environment
from craft.config import keys
from craft.config.commandline import parser
from craft.config.rules import Rule
from craft.datasets.tools import command as data
from craft.trainers import structures
from craft.trainers.settings import get_cfg, names_of_dassl, setup_cfg


def setup(*argv):
    return setup_cfg(parser("").parse_args(["--trainer", "CoOpCraft", *map(str, argv)]))


def foreign_nodes() -> set[str]:
    """Config nodes of trainers that are not this project's: Dassl's own, and structures that live elsewhere."""
    elsewhere = {s.node for s in structures.STRUCTURES.values() if not s.load().__module__.startswith("craft.")}
    return elsewhere | {name for name, node in get_cfg_default().TRAINER.items() if hasattr(node, "items")}


def without_a_row() -> list[str]:
    """Keys that nobody wrote a rule for."""
    foreign = foreign_nodes()
    every = [key for key, _ in keys.leaves(get_cfg()) if key.split(".")[:1] != ["TRAINER"] or key.count(".") < 2]
    every += [key for key, _ in keys.leaves(get_cfg().TRAINER, "TRAINER.") if key.count(".") > 1]
    return [key for key in every if keys.row(key) is None and key.split(".")[1] not in foreign]


def test_every_key_has_a_row_and_every_row_a_key():
    assert without_a_row() == []
    known = [key for key, _ in keys.leaves(get_cfg())]
    used = {keys.row(key) for key in known}
    assert [row for row in keys.RULES if row not in used] == []


def test_a_key_without_a_row_is_found(monkeypatch):
    """Of a structure of this project; one that lives elsewhere goes by the types of its defaults."""
    from craft.prompts.learner import PromptLearner

    learner = type("NewLearner", (PromptLearner,), {"defaults": {"PREC": "fp32", "N_CTX": 2, "TWIST": 0.5}})
    learner.__module__ = "craft.trainers.new"
    monkeypatch.setitem(structures.STRUCTURES, "New", structures.Structure("New", learner, node="NEW"))
    assert without_a_row() == ["TRAINER.NEW.TWIST"]
    learner.__module__ = "elsewhere"
    assert without_a_row() == []
    with pytest.raises(UserError, match=r"TRAINER\.NEW\.N_CTX is 0; it must be a whole number from 1 up"):
        setup("TRAINER.NEW.N_CTX", 0)
    with pytest.raises(UserError, match=r"TRAINER\.NEW\.TWIST is nan; it must be a number"):
        setup("TRAINER.NEW.TWIST", "nan")
    assert setup("TRAINER.NEW.TWIST", "-3").TRAINER.NEW.TWIST == -3.0


def test_the_defaults_pass():
    for key, value in keys.leaves(get_cfg()):
        assert keys.rule_of(key).allows(value, value), key


REFUSED = """
OPTIM.LR -3                          | is -3.0; it must be a number from 0 up
OPTIM.LR nan                         | is nan; it must be a number from 0 up
OPTIM.LR inf                         | is inf; it must be a number from 0 up
OPTIM.LR None                        | is 'None', expected float
OPTIM.NAME sdg                       | is 'sdg'; it can be adam, amsgrad, sgd, rmsprop, radam, adamw
OPTIM.MOMENTUM 1                     | is 1.0; it must be a number from 0 to below 1
OPTIM.MOMENTUM -0.1                  | is -0.1; it must be a number from 0 to below 1
OPTIM.ADAM_BETA2 1.0                 | it must be a number from 0 to below 1
OPTIM.WEIGHT_DECAY -1e-4             | is -0.0001; it must be a number from 0 up
OPTIM.MAX_EPOCH -1                   | is -1; it must be a whole number from 0 up
OPTIM.LR_SCHEDULER cosin             | is 'cosin'; it can be single_step, multi_step, cosine; did you mean cosine?
OPTIM.WARMUP_TYPE fast               | is 'fast'; it can be linear, constant
OPTIM.SGD_NESTEROV True OPTIM.NAME sgd OPTIM.MOMENTUM 0 | OPTIM.SGD_NESTEROV needs an OPTIM.MOMENTUM above 0
SEED 4294967296                      | SEED is 4294967296; it must be a whole number from -1 to 4294967295
INPUT.SIZE 32                        | is (32,); it must be 2 whole numbers, each from 0 up
INPUT.SIZE 32,32,3                   | is (32, 32, 3); it must be 2 whole numbers
INPUT.SIZE 32,0                      | is (32, 0); it must be two numbers above 0
INPUT.SIZE 32,wide                   | is '32,wide', expected tuple such as
INPUT.SIZE 32.5,32                   | is '32.5,32', expected tuple such as
INPUT.PIXEL_STD 0,1,1                | it must be 3 numbers, each above 0
INPUT.PIXEL_MEAN 0.5,0.5             | is [0.5, 0.5]; it must be 3 numbers
INPUT.RRCROP_SCALE 1,0.5             | is (1.0, 0.5); it must be 2 numbers, each from 0 to 1, in rising order
INPUT.TRANSFORMS random_flp          | is ('random_flp',); did you mean random_flip?
INPUT.INTERPOLATION cubic            | it can be bilinear, bicubic, nearest; did you mean bicubic?
INPUT.GB_K 4                         | is 4; it must be an odd whole number from 1 up
INPUT.RANDAUGMENT_M 31               | is 31; it must be a whole number from 0 to 30
DATALOADER.TRAIN_X.BATCH_SIZE 0      | is 0; it must be a whole number from 1 up
DATALOADER.TEST.BATCH_SIZE -1        | is -1; it must be a whole number from 1 up
DATALOADER.NUM_WORKERS -1            | is -1; it must be a whole number from 0 up
DATALOADER.K_TRANSFORMS 0            | is 0; it must be a whole number from 1 up
DATALOADER.TRAIN_U.SAMPLER Random    | is 'Random'; it can be RandomSampler
DATASET.SUBSAMPLE_CLASSES foo        | is 'foo'; it can be all, base, new
DATASET.SHOTS_PER clas               | is 'clas'; it can be class, group; did you mean class?
DATASET.BAD_IMAGES ignore            | is 'ignore'; it can be error, skip
DATASET.UNLABELED test               | is 'test'; it can be train, release
DATASET.NUM_SHOTS -5                 | is -5; it must be a whole number from -1 up
TRAIN.PRINT_FREQ 0                   | is 0; it must be a whole number from 1 up
TRAIN.COUNT_ITER both                | is 'both'; it can be train_x, train_u, smaller_one
TEST.FINAL_MODEL best-val            | is 'best-val'; it can be last_step, best_val; did you mean best_val?
TEST.SPLIT nope                      | is 'nope'; it can be test, val
TEST.EVALUATOR Clasification         | did you mean Classification?
TRAINER.TEXT_CHUNK -1                | is -1; it must be a whole number from 0 up
TRAINER.COMPILE 1                    | is '1', expected bool
TRAINER.COOP.PREC fp64               | TRAINER.COOP.PREC is 'fp64'; it can be fp32, fp16, amp, amp_bf16
TRAINER.COOP.N_CTX 0                 | is 0; it must be a whole number from 1 up
TRAINER.COOP.CLASS_TOKEN_POSITION mid | is 'mid'; it can be end, middle, front
TRAINER.VPT.N_CTX_VISION 0           | is 0, but PROMPT_DEPTH_VISION 9 asks for prompts in that tower
TRAINER.VPT.N_CTX_VISION -1          | is -1; it must be a whole number from 0 up
TRAINER.VPT.PROMPT_DEPTH_VISION 0    | is 0; it must be a whole number from 1 up
TRAINER.IVLP.N_CTX_TEXT 0            | is 0, but PROMPT_DEPTH_TEXT 9 asks for prompts in that tower
TRAINER.PROMPTSRC.GPA_STD 0          | is 0.0; it must be a number above 0
TRAINER.PROMPTSRC.GPA_STD nan        | is nan; it must be a number above 0
TRAINER.CRAFT.STATIC_WEIGHT -1       | is -1.0; it must be a number from 0 up
TRAINER.CRAFT.MMD_WEIGHT inf         | is inf; it must be a number from 0 up
TRAINER.CRAFT.ANCHORS_PER_CLASS 0    | is 0; it must be a whole number from 1 up
TRAINER.CRAFT.MMD_VARIANCES 1,-2     | is (1.0, -2.0); it must be numbers, each above 0
TRAINER.CRAFT.MMD_MULTIPLES 0        | is (0.0,); it must be numbers, each above 0
TRAINER.CRAFT.BATCH_TEXT learnt      | it can be learned, template
TRAINER.CRAFT.TARGETS sample         | it can be class, index
TRAINER.CRAFT.MMD_NORMALIZE max      | it can be none, minmax
TRAINER.CRAFT.MMD_ANCHORS texts      | it can be text, image, both; did you mean text?
"""


@pytest.mark.parametrize("line", REFUSED.strip().splitlines(), ids=lambda line: line.split("|")[0].strip())
def test_what_means_nothing_is_refused_at_once(line):
    options, message = (part.strip() for part in line.split(" | "))
    with pytest.raises(UserError) as refused:
        setup(*options.split(" "))
    text = str(refused.value)
    assert message in text and options.split(" ")[0] in text and "\n" not in text


ACCEPTED = """
OPTIM.LR 0
OPTIM.MAX_EPOCH 0
OPTIM.STEPSIZE 20
OPTIM.STEPSIZE (20, 40)
OPTIM.WARMUP_EPOCH -1
DATASET.NUM_SHOTS -1
DATASET.NUM_SHOTS 0
SEED -1
SEED 4294967295
INPUT.SIZE (0, 0)
TRAIN.CHECKPOINT_FREQ 0
TRAINER.TEXT_CHUNK 100
TRAINER.IVLP.N_CTX_VISION 0 TRAINER.IVLP.PROMPT_DEPTH_VISION 0
TRAINER.CRAFT.MMD_VARIANCES ()
OPTIM.SGD_NESTEROV True OPTIM.NAME sgd
MODEL.HEAD.HIDDEN_LAYERS 512,512
"""


@pytest.mark.parametrize("line", ACCEPTED.strip().splitlines())
def test_what_works_is_accepted(line):
    words = line.replace(", ", ",").split(" ")
    setup(*words)


def test_nothing_is_read_before_the_check(tmp_path):
    """Neither the data (their folder does not exist) nor the weights (not their file either)."""
    gone = ["--root", tmp_path / "gone", "--dataset-config-file", "caltech101", "--backbone", tmp_path / "gone.pt"]
    with pytest.raises(UserError, match=r"TRAINER\.COOP\.PREC is 'fp64'"):
        setup(*gone, "TRAINER.COOP.PREC", "fp64")


def test_values_in_a_yaml_file(tmp_path):
    """A key without a value, and numbers that are none."""
    for text, message in (
        ("OPTIM: {LR: }", "OPTIM.LR is None, expected float"),
        ("OPTIM: {LR: .nan}", "OPTIM.LR is nan; it must be"),
        ("INPUT: {SIZE: 32}", r"INPUT.SIZE is \(32,\); it must be 2 whole numbers"),
        ("OPTIM: 3", "OPTIM is a group of keys; choose one of OPTIM.NAME"),
        ("INPUT: {SIZE: &a [*a, 2]}", "contains itself"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(UserError, match=message):
            setup("--config-file", tmp_path / "bad.yaml")


def test_names_that_others_register_are_valid(monkeypatch):
    from dassl.evaluation import EVALUATOR_REGISTRY, Classification

    with pytest.raises(UserError, match=r"TEST\.EVALUATOR is 'Somebodys'; it can be "):
        setup("TEST.EVALUATOR", "Somebodys")
    monkeypatch.setitem(EVALUATOR_REGISTRY._obj_map, "Somebodys", Classification)
    assert setup("TEST.EVALUATOR", "Somebodys").TEST.EVALUATOR == "Somebodys"
    assert set(names_of_dassl()) <= set(keys.RULES)


def test_data_commands_check_their_keys(tmp_path, capsys):
    assert data.main(["show", "Digits", "--out", str(tmp_path / "a.png"), "DATASET.SUBSAMPLE_CLASSES", "foo"]) == 1
    assert "DATASET.SUBSAMPLE_CLASSES is 'foo'; it can be all, base, new" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("typed", ["32,32", "(32, 32)", "(32,32)", "[32,32]", "32 32", " 32 , 32 ", "[32, 32"])
def test_a_size_however_it_is_typed(typed, tmp_path):
    assert setup("INPUT.SIZE", typed).INPUT.SIZE == (32, 32)
    (tmp_path / "size.yaml").write_text(f'INPUT: {{SIZE: "{typed}"}}\n')
    assert setup("--config-file", tmp_path / "size.yaml").INPUT.SIZE == (32, 32)


def test_other_sequences_however_they_are_typed(tmp_path):
    for typed in (
        "random_flip,normalize",
        "random_flip normalize",
        "['random_flip', 'normalize']",
        "(random_flip, normalize)",
    ):
        assert setup("INPUT.TRANSFORMS", typed).INPUT.TRANSFORMS == ("random_flip", "normalize")
    for typed in ("0.5, 1", "(0.5, 1)", "0.5 1"):
        found = setup("INPUT.RRCROP_SCALE", typed).INPUT.RRCROP_SCALE
        assert found == (0.5, 1.0) and all(isinstance(number, float) for number in found)
    assert setup("TRAINER.CRAFT.MMD_VARIANCES", "10 20").TRAINER.CRAFT.MMD_VARIANCES == (10.0, 20.0)
    # A domain is called as its folder is, spaces and all.
    assert setup("DATASET.SOURCE_DOMAINS", "real world").DATASET.SOURCE_DOMAINS == ("real world",)
    assert setup("DATASET.SOURCE_DOMAINS", "").DATASET.SOURCE_DOMAINS == ()
    (tmp_path / "one.yaml").write_text('DATASET: {ROOT: "747", SOURCE_DOMAINS: photo}\nINPUT: {SIZE: 32 32}\n')
    cfg = setup("--config-file", tmp_path / "one.yaml")
    assert (cfg.DATASET.SOURCE_DOMAINS, cfg.INPUT.SIZE, cfg.DATASET.ROOT) == (("photo",), (32, 32), "747")


def test_what_older_runs_had():
    found = keys.absent_values({"TRAINER": {"CRAFT": {"NEW_WEIGHT": 1.0, "SYMMETRIC": True}}, "OPTIM": {"LR": 1.0}})
    assert found == {"TRAINER.CRAFT.NEW_WEIGHT": 0.0}


def test_a_rule_says_what_it_allows():
    assert Rule(low=0, high=1).allowed(0.5) == "it must be a number from 0 to 1"
    assert Rule(low=1, each=int).allowed(()) == "it must be whole numbers, each from 1 up"
    assert Rule().allowed(True) == "it must be True or False" and Rule().allowed("") == "it must be text"


def test_the_table_loads_neither_torch_nor_dassl():
    code = (
        "import sys, craft.config.keys, craft.config.commandline, craft.config.layers\n"
        "print([name for name in ('torch', 'dassl', 'numpy', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
