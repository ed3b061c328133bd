"""SimpleTrainer: a run with data, a model, checkpoints and tests; what is left to say is the training step."""

import datetime
import os.path as osp
import time

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from ..data import DataManager
from ..evaluation import build_evaluator
from ..modeling import build_backbone, build_head
from ..optim import build_lr_scheduler, build_optimizer
from ..utils import count_num_param, load_pretrained_weights, mkdir_if_missing
from .base import TrainerBase


class SimpleNet(nn.Module):
    """A backbone, an optional head and a linear classifier.

    Args:
        model_cfg: a node like ``cfg.MODEL``.
        num_classes: outputs of the classifier; 0 leaves it out.
    """

    def __init__(self, cfg, model_cfg, num_classes, **kwargs):
        super().__init__()
        backbone, head = model_cfg.BACKBONE, model_cfg.HEAD
        self.backbone = build_backbone(backbone.NAME, verbose=cfg.VERBOSE, pretrained=backbone.PRETRAINED, **kwargs)
        self._fdim = self.backbone.out_features
        self.head = None
        if head.NAME and head.HIDDEN_LAYERS:
            self.head = build_head(
                head.NAME,
                verbose=cfg.VERBOSE,
                in_features=self._fdim,
                hidden_layers=head.HIDDEN_LAYERS,
                activation=head.ACTIVATION,
                bn=head.BN,
                dropout=head.DROPOUT,
                **kwargs,
            )
            self._fdim = self.head.out_features
        self.classifier = nn.Linear(self._fdim, num_classes) if num_classes > 0 else None

    @property
    def fdim(self):
        """Width of the features that the classifier sees."""
        return self._fdim

    def forward(self, x, return_feature=False):
        """Images [B, 3, H, W] -> logits [B, C], with the features [B, D] too where asked for."""
        features = self.backbone(x)
        if self.head is not None:
            features = self.head(features)
        if self.classifier is None:
            return features
        logits = self.classifier(features)
        return (logits, features) if return_feature else logits


class SimpleTrainer(TrainerBase):
    """Builds data, model and evaluator from ``cfg``; resumes, saves and tests.

    Attributes that methods use: ``cfg``, ``device``, ``dm`` and its loaders, ``num_classes``, ``lab2cname``,
    ``epoch``, ``max_epoch``, ``output_dir``, ``evaluator``; during an epoch ``batch_idx`` and ``num_batches``.
    """

    def __init__(self, cfg):
        super().__init__()
        self.check_cfg(cfg)
        self.device = torch.device("cuda" if torch.cuda.is_available() and cfg.USE_CUDA else "cpu")
        self.start_epoch = self.epoch = 0
        self.max_epoch = cfg.OPTIM.MAX_EPOCH
        self.output_dir = cfg.OUTPUT_DIR
        self.cfg = cfg
        self.build_data_loader()
        self.build_model()
        self.evaluator = build_evaluator(cfg, lab2cname=self.lab2cname)
        self.best_result = -np.inf

    def check_cfg(self, cfg):
        """Override to refuse a configuration that the method cannot work with."""

    def build_data_loader(self):
        """Set the loaders and class names; an override must set the same attributes (``dm`` is optional)."""
        dm = DataManager(self.cfg)
        self.train_loader_x = dm.train_loader_x
        self.train_loader_u = dm.train_loader_u
        self.val_loader = dm.val_loader
        self.test_loader = dm.test_loader
        self.num_classes = dm.num_classes
        self.num_source_domains = dm.num_source_domains
        self.lab2cname = dm.lab2cname
        self.dm = dm

    def build_model(self):
        """Build and register a SimpleNet with its optimizer and schedule; prompt learners override this."""
        cfg = self.cfg
        print("Building model")
        self.model = SimpleNet(cfg, cfg.MODEL, self.num_classes)
        if cfg.MODEL.INIT_WEIGHTS:
            load_pretrained_weights(self.model, cfg.MODEL.INIT_WEIGHTS)
        self.model.to(self.device)
        print(f"# params: {count_num_param(self.model):,}")
        self.optim = build_optimizer(self.model, cfg.OPTIM)
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM)
        self.register_model("model", self.model, self.optim, self.sched)
        if self.device.type == "cuda" and torch.cuda.device_count() > 1:
            print(f"Detected {torch.cuda.device_count()} GPUs (use nn.DataParallel)")
            self.model = nn.DataParallel(self.model)

    def train(self):
        super().train(self.start_epoch, self.max_epoch)

    def before_train(self):
        self.start_epoch = self.resume_model_if_exist(self.cfg.RESUME or self.cfg.OUTPUT_DIR)
        writer_dir = osp.join(self.output_dir, "tensorboard")
        mkdir_if_missing(writer_dir)
        self.init_writer(writer_dir)
        self.time_start = time.time()

    def after_train(self):
        print("Finish training")
        if not self.cfg.TEST.NO_TEST:
            if self.cfg.TEST.FINAL_MODEL == "best_val":
                print("Deploy the model with the best val performance")
                self.load_model(self.output_dir)
            else:
                print("Deploy the last-epoch model")
            self.test()
        print(f"Elapsed: {datetime.timedelta(seconds=round(time.time() - self.time_start))}")
        self.close_writer()

    def after_epoch(self):
        done = self.epoch + 1
        if not self.cfg.TEST.NO_TEST and self.cfg.TEST.FINAL_MODEL == "best_val":
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name="model-best.pth.tar")
        frequency = self.cfg.TRAIN.CHECKPOINT_FREQ
        if done == self.max_epoch or (frequency > 0 and done % frequency == 0):
            self.save_model(self.epoch, self.output_dir)

    @torch.no_grad()
    def test(self, split=None):
        """Evaluate on "val" or "test" (default TEST.SPLIT; "val" without such a split means "test").

        Returns the evaluator's first number, the accuracy in percent.
        """
        self.set_model_mode("eval")
        self.evaluator.reset()
        split = "val" if (split or self.cfg.TEST.SPLIT) == "val" and self.val_loader is not None else "test"
        print(f"Evaluate on the *{split}* set")
        # disable=None: a bar on a terminal, silence in a file
        for batch in tqdm(self.val_loader if split == "val" else self.test_loader, disable=None):
            images, labels = self.parse_batch_test(batch)
            self.evaluator.process(self.model_inference(images), labels)
        results = self.evaluator.evaluate()
        for name, value in results.items():
            self.write_scalar(f"{split}/{name}", value, self.epoch)
        return next(iter(results.values()))

    def model_inference(self, input):
        """Images -> logits, in evaluation."""
        return self.model(input)

    def parse_batch_test(self, batch):
        """Images and labels of a batch, on the trainer's device."""
        return batch["img"].to(self.device), batch["label"].to(self.device)

    def get_current_lr(self, names=None):
        """Learning rate of the first parameter group of the first of ``names``."""
        return self._optims[self.get_model_names(names)[0]].param_groups[0]["lr"]
