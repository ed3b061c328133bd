"""The bundled `dassl` without Craft: a copy of it elsewhere is imported whole, and trains."""

import shutil
import subprocess
import sys

from craft import bundled

SCRIPT = """
import importlib, os, pkgutil, sys

folder = sys.argv[1]
sys.modules["craft"] = None  # not even where it is installed
sys.path.insert(0, folder)
import dassl
import torch
from PIL import Image

for module in pkgutil.walk_packages(dassl.__path__, "dassl."):
    importlib.import_module(module.name)

from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, build_trainer
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import set_random_seed, setup_logger


@DATASET_REGISTRY.register()
class Colours(DatasetBase):
    def __init__(self, cfg):
        items = []
        for i in range(8):
            path = os.path.join(folder, f"{i}.png")
            Image.new("RGB", (8, 8), ("red", "blue")[i % 2]).save(path)
            items.append(Datum(impath=path, label=i % 2, classname=("red", "blue")[i % 2]))
        super().__init__(train_x=items, test=items)


@TRAINER_REGISTRY.register()
class Linear(TrainerX):
    def build_model(self):
        self.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 2))
        self.optim = build_optimizer(self.model, self.cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, self.cfg.OPTIM)
        self.register_model("linear", self.model, self.optim, self.sched)

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = torch.nn.functional.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        return {"loss": loss.item()}


cfg = get_cfg_default()
cfg.merge_from_list(["DATASET.NAME", "Colours", "TRAINER.NAME", "Linear", "USE_CUDA", False, "OPTIM.MAX_EPOCH", 1])
cfg.merge_from_list(["OUTPUT_DIR", os.path.join(folder, "run"), "DATALOADER.NUM_WORKERS", 0, "OPTIM.LR", 0.1])
cfg.merge_from_list(["INPUT.SIZE", (8, 8), "INPUT.TRANSFORMS", (), "DATALOADER.TRAIN_X.BATCH_SIZE", 2])
setup_logger(cfg.OUTPUT_DIR)
set_random_seed(1)
build_trainer(cfg).train()
try:
    TRAINER_REGISTRY.get("Linaer")
except KeyError as error:
    print(error)
print(sorted({"craft", "bundled"} & {name for name, module in sys.modules.items() if module}))
"""


def test_it_needs_nothing_of_craft(tmp_path):
    shutil.copytree(bundled.HERE / "dassl", tmp_path / "dassl", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-I", "-c", SCRIPT, str(tmp_path)]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    *log, misspelt, foreign = run.stdout.splitlines()
    assert "* accuracy: 100.0%" in log
    assert misspelt == "unknown trainer 'Linaer'; did you mean: Linear?" and foreign == "[]"
    assert (tmp_path / "run" / "linear" / "model.pth.tar-1").is_file()
    assert (tmp_path / "run" / "log.txt").read_text().splitlines() == run.stdout.splitlines()
