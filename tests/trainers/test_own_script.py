"""Craft in somebody's Dassl script: his registry, his configuration, his trainers and data sets of the same names."""

import os
import subprocess
import sys

from craft.common import places
from craft.trainers.engine.variants import build, trainer_class
from craft.trainers.structures import STRUCTURES

# As CoOp's train.py goes: its trainers and data sets register themselves, then Dassl builds what cfg says.
SCRIPT = """
import sys
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.utils import set_random_seed


@TRAINER_REGISTRY.register()
class CoOp(TrainerX):
    pass


@DATASET_REGISTRY.register()
class Caltech101(DatasetBase):
    pass


from craft.trainers import enter_into_dassl

cfg = get_cfg_default()
enter_into_dassl(cfg)
assert TRAINER_REGISTRY.get("CoOp") is CoOp and DATASET_REGISTRY.get("Caltech101") is Caltech101
cfg.merge_from_list([
    "TRAINER.NAME", "CoOpCraft", "DATASET.NAME", "Digits", "DATASET.NUM_SHOTS", 1, "MODEL.BACKBONE.NAME", "demo",
    "INPUT.SIZE", (32, 32), "INPUT.TRANSFORMS", ("normalize",), "OPTIM.NAME", "sgd", "OPTIM.MAX_EPOCH", 1,
    "TRAINER.COOP.PREC", "fp32", "SEED", 1, "DATALOADER.NUM_WORKERS", 0, "OUTPUT_DIR", "out",
])
cfg.freeze()
set_random_seed(cfg.SEED)
build_trainer(cfg).train()
"""


def test_a_script_of_its_own_trains_craft(tmp_path):
    (tmp_path / "train.py").write_text("import craft.trainers\n" + SCRIPT)
    told = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, env=places.environment(), capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    assert "which stay: CoOp, Caltech101\n" in told.stdout and "Craft: static x 1, stochastic x 1" in told.stdout
    assert "* accuracy:" in told.stdout and (tmp_path / "out/prompt_learner/model.pth.tar-1").is_file()
    assert "craft" not in os.listdir(tmp_path)


def test_the_launcher_builds_ours_whoever_holds_the_name(monkeypatch, tmp_path):
    """Prompts of CoOpCraft are evaluated with our CoOp, not with the one that a CoOp checkout has entered."""
    from dassl.engine import TRAINER_REGISTRY

    from craft.config.commandline import parser
    from craft.trainers.settings import setup_cfg

    class CoOp:
        pass

    cfg = setup_cfg(parser("").parse_args(["--trainer", "CoOpCraft", "--output-dir", str(tmp_path)]))
    monkeypatch.setitem(TRAINER_REGISTRY._obj_map, "CoOp", CoOp)
    built = build(cfg, evaluate=True)
    assert isinstance(built, trainer_class(STRUCTURES["CoOp"], "")) and not isinstance(built, CoOp)
