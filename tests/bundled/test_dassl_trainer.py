"""A trainer and a data set written as extensions of Dassl write them, run end to end on tiny images."""

import os
import os.path as osp
import shutil

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.engine import TRAINER_REGISTRY, TrainerX, TrainerXU, build_trainer
from dassl.metrics import compute_accuracy
from dassl.optim import build_lr_scheduler, build_optimizer
from dassl.utils import listdir_nohidden, load_checkpoint, mkdir_if_missing, save_checkpoint, set_random_seed
from PIL import Image
from torch import nn
from torch.nn import functional as F

from craft.common.errors import UserError

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}


# ---------------------------------------------------------------- an extension, as users write them


@DATASET_REGISTRY.register(force=True)
class TinyColours(DatasetBase):
    """Folders of noisy colours: <root>/colours/<domain>/<class>/<number>.png."""

    dataset_dir = "colours"
    domains = ["bright", "dark"]

    def __init__(self, cfg):
        root = osp.abspath(osp.expanduser(cfg.DATASET.ROOT))
        self.dataset_dir = osp.join(root, self.dataset_dir)
        mkdir_if_missing(osp.join(self.dataset_dir, "split_fewshot"))
        train_u = None
        if cfg.DATASET.TARGET_DOMAINS:
            self.check_input_domains(cfg.DATASET.SOURCE_DOMAINS, cfg.DATASET.TARGET_DOMAINS)
            train_u = self.read("dark")
        train = self.generate_fewshot_dataset(self.read("bright"), num_shots=cfg.DATASET.NUM_SHOTS)
        super().__init__(train_x=train, train_u=train_u, val=self.read("bright")[::4], test=self.read("bright"))

    def read(self, domain):
        items = []
        for label, name in enumerate(sorted(listdir_nohidden(osp.join(self.dataset_dir, domain)))):
            for file in listdir_nohidden(osp.join(self.dataset_dir, domain, name), sort=True):
                path = osp.join(self.dataset_dir, domain, name, file)
                items.append(Datum(impath=path, label=label, domain=self.domains.index(domain), classname=name))
        return items


class TinyPromptLearner(nn.Module):
    def __init__(self, classnames, width=16):
        super().__init__()
        self.ctx = nn.Parameter(torch.zeros(len(classnames), width))
        embedding = torch.stack([torch.full((width,), len(name) / 100) for name in classnames])
        self.register_buffer("token_prefix", embedding)  # depends on the classes: not to be loaded

    def forward(self):
        return self.token_prefix + self.ctx


class TinyCLIP(nn.Module):
    def __init__(self, classnames):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("projection", torch.randn(3, 16, generator=generator))
        self.prompt_learner = TinyPromptLearner(classnames)
        self.frozen = nn.Linear(2, 2)

    def forward(self, image):
        features = F.normalize((image.mean(dim=(2, 3)) - 0.4) @ self.projection, dim=-1)
        return 20 * features @ F.normalize(self.prompt_learner(), dim=-1).t()


class TinyMethod:
    def check_cfg(self, cfg):
        assert cfg.OPTIM.NAME == "sgd"

    def build_model(self):
        cfg = self.cfg
        self.model = TinyCLIP(self.dm.dataset.classnames)
        for name, param in self.model.named_parameters():
            if "prompt_learner" not in name:
                param.requires_grad_(False)
        self.model.to(self.device)
        self.optim = build_optimizer(self.model.prompt_learner, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("prompt_learner", self.model.prompt_learner, self.optim, self.sched)
        self.rates = []

    def step(self, output, label, extra=0.0):
        loss = F.cross_entropy(output, label) + extra
        self.model_backward_and_update(loss)
        summary = {"loss": loss.item(), "acc": compute_accuracy(output, label)[0].item()}
        if self.batch_idx == 0:
            self.rates.append(self.get_current_lr())
        if (self.batch_idx + 1) == self.num_batches:
            self.update_lr()
        return summary

    def load_model(self, directory, epoch=None):
        file = "model-best.pth.tar" if epoch is None else f"model.pth.tar-{epoch}"
        for name in self.get_model_names():
            checkpoint = load_checkpoint(osp.join(directory, name, file))
            state_dict = checkpoint["state_dict"]
            del state_dict["token_prefix"]
            self._models[name].load_state_dict(state_dict, strict=False)


@TRAINER_REGISTRY.register(force=True)
class TinyCoOp(TinyMethod, TrainerX):
    def parse_batch_train(self, batch):
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def forward_backward(self, batch):
        image, label = self.parse_batch_train(batch)
        return self.step(self.model(image), label)


@TRAINER_REGISTRY.register(force=True)
class TinyCoOpOOD(TinyMethod, TrainerXU):
    def forward_backward(self, batch_x, batch_u):
        self.seen = [*getattr(self, "seen", []), (len(batch_x["label"]), set(batch_u["domain"].tolist()))]
        image, label, image_u = self.parse_batch_train(batch_x, batch_u)
        gap = (self.model(image).mean(dim=0) - self.model(image_u).mean(dim=0)).square().sum()
        return self.step(self.model(image), label, 1e-4 * gap)


@TRAINER_REGISTRY.register(force=True)
class TinyPlain(TrainerX):
    """The default model of SimpleTrainer."""

    def forward_backward(self, batch):
        image, label, _ = self.parse_batch_train(batch)
        loss = F.cross_entropy(self.model(image), label)
        self.model_backward_and_update(loss)
        return {"loss": loss.item()}


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for domain, scale in (("bright", 1.0), ("dark", 0.5)):
        for name, colour in COLOURS.items():
            folder = root / "colours" / domain / name
            folder.mkdir(parents=True)
            for i in range(8 if domain == "bright" else 5):
                noisy = np.array(colour) * scale + generator.normal(0, 20, (10, 10, 3))
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return root


@pytest.fixture
def cfg(root, tmp_path):
    cfg = get_cfg_default()
    cfg.merge_from_list(
        [
            "DATASET.NAME",
            "TinyColours",
            "TRAINER.NAME",
            "TinyCoOp",
            "DATASET.NUM_SHOTS",
            "4",
            "DATALOADER.NUM_WORKERS",
            "0",
            "DATALOADER.TRAIN_X.BATCH_SIZE",
            "4",
            "OPTIM.NAME",
            "sgd",
            "OPTIM.LR",
            "0.05",
            "OPTIM.LR_SCHEDULER",
            "cosine",
            "OPTIM.MAX_EPOCH",
            "4",
            "OPTIM.WARMUP_EPOCH",
            "1",
            "OPTIM.WARMUP_TYPE",
            "constant",
            "TRAIN.PRINT_FREQ",
            "2",
            "USE_CUDA",
            "False",
        ]
    )
    cfg.DATASET.ROOT, cfg.OUTPUT_DIR = str(root), str(tmp_path / "out")
    cfg.INPUT.SIZE = (8, 8)
    return cfg


def run(cfg, seed=1):
    set_random_seed(seed)
    trainer = build_trainer(cfg)
    trainer.train()
    return trainer


def weights(trainer):
    return trainer.model.prompt_learner.ctx.detach().clone()


def test_training_learns_and_writes_what_coop_users_expect(cfg, capsys):
    set_random_seed(1)
    trainer = build_trainer(cfg)
    before = trainer.test()
    trainer.train()
    after = trainer.test()
    assert after > max(before, 90.0)
    out = capsys.readouterr().out
    assert "epoch [2/4] batch [4/4] time " in out and " lr 5.0000e-02 eta " in out
    assert "Evaluate on the *test* set" in out and f"* accuracy: {after:.1f}%" in out and "Elapsed: " in out
    folder = osp.join(cfg.OUTPUT_DIR, "prompt_learner")
    assert sorted(os.listdir(folder)) == ["checkpoint", "model.pth.tar-4"]
    assert os.listdir(osp.join(cfg.OUTPUT_DIR, "tensorboard"))
    assert trainer.rates == pytest.approx(
        [1e-5, 0.05, 0.05 * (1 + np.cos(np.pi / 4)) / 2, 0.05 * (1 + np.cos(np.pi / 2)) / 2]
    )


def test_same_seed_same_weights(cfg, tmp_path):
    first = weights(run(cfg))
    cfg.OUTPUT_DIR = str(tmp_path / "again")
    assert torch.equal(first, weights(run(cfg)))
    cfg.OUTPUT_DIR = str(tmp_path / "other")
    assert not torch.equal(first, weights(run(cfg, seed=2)))


@pytest.mark.parametrize("through", ["RESUME", "OUTPUT_DIR"])
def test_resuming_goes_on_with_the_same_run(cfg, tmp_path, through):
    """Weights, momentum and learning rate: with a fixed order of images the end is bit for bit the same."""
    cfg.DATALOADER.TRAIN_X.SAMPLER = "SequentialSampler"
    cfg.TRAIN.CHECKPOINT_FREQ = 2
    whole = run(cfg)
    kept = tmp_path / "kept" / "prompt_learner"
    kept.mkdir(parents=True)
    shutil.copy(osp.join(cfg.OUTPUT_DIR, "prompt_learner", "model.pth.tar-2"), kept)
    (kept / "checkpoint").write_text("model.pth.tar-2\n")

    cfg.OUTPUT_DIR = str(tmp_path / "second")
    cfg.merge_from_list([through, str(tmp_path / "kept")])
    resumed = run(cfg, seed=5)
    assert resumed.start_epoch == 2 and resumed.rates == whole.rates[2:]
    assert torch.equal(weights(resumed), weights(whole))


def test_best_model_on_val_is_kept_and_deployed(cfg, capsys):
    cfg.TEST.FINAL_MODEL = "best_val"
    run(cfg)
    assert "model-best.pth.tar" in os.listdir(osp.join(cfg.OUTPUT_DIR, "prompt_learner"))
    out = capsys.readouterr().out
    assert out.count("Evaluate on the *val* set") == 4 and out.count("Evaluate on the *test* set") == 1


def test_saved_prompts_load_into_a_new_trainer(cfg, tmp_path):
    trained = run(cfg)
    other = cfg.clone()
    other.OUTPUT_DIR = str(tmp_path / "new")
    fresh = build_trainer(other)
    assert not torch.equal(weights(fresh), weights(trained))
    fresh.load_model(cfg.OUTPUT_DIR, epoch=4)
    assert torch.equal(weights(fresh), weights(trained)) and fresh.test() == trained.test()
    with pytest.raises(FileNotFoundError, match=r"model\.pth\.tar-9"):
        fresh.load_model(cfg.OUTPUT_DIR, epoch=9)


@pytest.mark.parametrize("count, batches", [("train_x", 4), ("train_u", 2), ("smaller_one", 2)])
def test_labelled_and_unlabelled_data_run_together(cfg, count, batches):
    """16 labelled images in batches of 4, 20 unlabelled in batches of 10."""
    cfg.TRAINER.NAME = "TinyCoOpOOD"
    cfg.merge_from_list(["DATASET.SOURCE_DOMAINS", ["bright"], "DATASET.TARGET_DOMAINS", ["dark"]])
    cfg.merge_from_list(["DATALOADER.TRAIN_U.SAME_AS_X", False, "DATALOADER.TRAIN_U.BATCH_SIZE", 10])
    cfg.TRAIN.COUNT_ITER = count
    trainer = run(cfg)
    assert trainer.num_batches == batches
    assert trainer.seen == [(4, {1})] * (4 * batches)
    assert trainer.test() > 90.0 or batches == 2


def test_default_model_trains_with_a_resnet(cfg):
    cfg.merge_from_list(["TRAINER.NAME", "TinyPlain", "MODEL.BACKBONE.NAME", "resnet18", "OPTIM.MAX_EPOCH", "1"])
    cfg.merge_from_list(["MODEL.BACKBONE.PRETRAINED", False, "MODEL.HEAD.NAME", "mlp"])
    cfg.merge_from_list(["MODEL.HEAD.HIDDEN_LAYERS", [6], "INPUT.SIZE", (32, 32)])
    trainer = run(cfg)
    logits, features = trainer.model(torch.zeros(2, 3, 32, 32), return_feature=True)
    assert logits.shape == (2, 4) and features.shape == (2, 6) and trainer.model.fdim == 6
    assert os.listdir(osp.join(cfg.OUTPUT_DIR, "model"))


def test_a_run_killed_before_its_first_checkpoint_starts_from_scratch(cfg):
    os.makedirs(osp.join(cfg.OUTPUT_DIR, "prompt_learner"))
    assert run(cfg).start_epoch == 0


def test_default_load_model_reads_any_epoch_and_names_a_misfit(cfg, tmp_path, capsys):
    cfg.merge_from_list(["TRAINER.NAME", "TinyPlain", "MODEL.BACKBONE.NAME", "resnet18", "OPTIM.MAX_EPOCH", "1"])
    cfg.merge_from_list(["MODEL.BACKBONE.PRETRAINED", False, "INPUT.SIZE", (32, 32), "TEST.NO_TEST", True])
    trained = run(cfg)
    trained.load_model(cfg.OUTPUT_DIR, epoch=1)
    assert "model.pth.tar-1 to model (epoch=1" in capsys.readouterr().out
    trained.model.classifier = nn.Linear(512, 7)
    with pytest.raises(UserError, match=r"model\.pth\.tar-1.*classifier"):
        trained.load_model(cfg.OUTPUT_DIR, epoch=1)


def test_models_of_different_epochs_are_not_mixed(cfg):
    trainer = build_trainer(cfg)
    trainer.register_model("second", nn.Linear(2, 2))
    for epoch, folder in ((1, "prompt_learner"), (3, "second")):
        state = {"state_dict": trainer._models[folder].state_dict(), "epoch": epoch}
        save_checkpoint(state, osp.join(cfg.OUTPUT_DIR, folder))
    with pytest.raises(UserError, match="different epochs"):
        trainer.resume_model_if_exist(cfg.OUTPUT_DIR)


def test_a_loss_that_is_not_finite_stops_the_run(cfg):
    trainer = build_trainer(cfg)
    with pytest.raises(FloatingPointError):
        trainer.model_backward_and_update(torch.tensor(float("nan"), requires_grad=True))


def test_misspelt_trainer_gets_the_nearest_name(cfg):
    cfg.TRAINER.NAME = "tinycoop"
    with pytest.raises(KeyError, match="TinyCoOp"):
        build_trainer(cfg)


def test_damaged_checkpoint_stops_a_resumed_run(cfg):
    run(cfg)
    path = osp.join(cfg.OUTPUT_DIR, "prompt_learner", "model.pth.tar-4")
    with open(path, "r+b") as stream:
        stream.truncate(200)
    with pytest.raises(UserError, match=r"model\.pth\.tar-4"):
        run(cfg)
