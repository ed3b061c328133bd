"""The trainer that every prompt structure shares, on Dassl's TrainerX.

Building (one frozen CLIP, the structure's learner, optimiser), and the training loop with its progress and its log.
Testing is in `evaluation`, what stays on disk in `craft.runs.checkpoints` and `craft.runs.states`. What is particular
to a structure lives in its `PromptLearner`; what is particular to Craft in `craft_trainer`.
"""

from __future__ import annotations

import functools
import sys
import time
from typing import Any

import torch
from dassl.data import DataManager
from dassl.engine import TrainerX
from dassl.optim import build_lr_scheduler, build_optimizer
from torch import Tensor
from tqdm import tqdm

from craft.clip import load_backbone
from craft.clip.products import onednn_is_faster
from craft.common.errors import UserError
from craft.common.switches import without
from craft.datasets import ReadableImages, template_for
from craft.datasets.images import images_of
from craft.datasets.loading import keep_decoded, steady, stop_workers, within_cores
from craft.runs import checkpoints, predictions, states
from craft.trainers import overview
from craft.trainers.engine.ending import Ending, ends_by_sigterm
from craft.trainers.engine.epoch import Epoch
from craft.trainers.engine.evaluation import Evaluation
from craft.trainers.engine.group_evaluator import check_selection, choose_evaluator
from craft.trainers.engine.precision import precision_on
from craft.trainers.engine.run_log import RunLog
from craft.trainers.structures import Structure

MODEL = "prompt_learner"  # the name under which Dassl knows the model, and its folder in the output


class PromptTrainer(TrainerX):
    """Trains one prompt structure; `structure` (set by `craft.trainers.engine.variants.enter`) says which."""

    structure: Structure
    best_result: float
    #: which epoch the last results without a split's name are of, and why: {"epoch": n, "by": "last" | "best_val" |
    #: "asked"}; None where nothing is learned or tested
    evaluated: dict[str, Any] | None = None
    optim: Any  # Dassl builds what OPTIM.NAME says; None where nothing is learned
    #: whether a step reads an unlabelled batch beside the labelled one
    uses_unlabelled = False
    #: where in an epoch a run goes on, `Epoch.position`; None: at its start
    within: dict[str, Any] | None = None

    # -- building -------------------------------------------------------------------------------------------------

    def __init__(self, cfg):
        self.log = RunLog(self.write_scalar, cfg.OPTIM.MAX_EPOCH)
        self.ending = Ending(lambda: None)  # whether somebody asked for the end; see `train`
        super().__init__(cfg)
        self.evaluator = choose_evaluator(cfg, self.dm.dataset, self.evaluator)
        self.evaluation = Evaluation(
            self.model,
            self.evaluator,
            {"val": self.val_loader, "test": self.test_loader},
            self.device,
            self.autocast,
            self.precision,
            # A skipped image has a stand-in: what was computed then is not the answer for later.
            keep_features=cfg.TEST.CACHE_FEATURES and cfg.DATASET.BAD_IMAGES == "error",
            dataset=cfg.DATASET.NAME,
            keep_predictions=cfg.TEST.PREDICTIONS,
        )

    def build_data_loader(self) -> None:
        dm = DataManager(within_cores(self.cfg), dataset_wrapper=ReadableImages)
        self.dm = dm
        overview.check_classes(dm.dataset, self.cfg.DATASET.NAME)
        self.train_loader_x = steady(dm.train_loader_x)
        self.train_loader_u = dm.train_loader_u and steady(dm.train_loader_u)
        self.val_loader, self.test_loader = dm.val_loader, dm.test_loader
        if self.val_loader and self.cfg.TEST.FINAL_MODEL == "best_val":  # read after every epoch
            self.val_loader = steady(self.val_loader)
        self.num_classes, self.num_source_domains, self.lab2cname = dm.num_classes, dm.num_source_domains, dm.lab2cname

    def build_model(self) -> None:
        cfg, classnames = self.cfg, self.dm.dataset.classnames
        name = cfg.MODEL.BACKBONE.NAME
        print(f"Loading CLIP (backbone: {name})" + (", for demonstration only" if name == "demo" else ""))
        self.backbone = load_backbone(name)
        print(f"Weights: {self.backbone.source}")
        size = self.backbone.resolution
        if tuple(cfg.INPUT.SIZE) != (size, size):
            raise UserError(
                f"INPUT.SIZE is {tuple(cfg.INPUT.SIZE)} but backbone {name} reads {size}x{size} images; "
                f'set INPUT.SIZE "({size}, {size})" or leave it out'
            )
        self.fingerprint = self.backbone.fingerprint
        self.prepare(self.backbone.to(self.device))
        self._set_precision()
        template = template_for(cfg, self.dm.dataset)
        node = cfg.TRAINER[self.structure.node]
        self.model = self.structure.load()(self.backbone, classnames, node, template).to(self.device)
        self.model.float()
        if cfg.TRAINER.COMPILE and cfg.TRAINER.TEXT_CHUNK:
            raise UserError(
                "TRAINER.COMPILE compiles whole sets of class texts: set TRAINER.TEXT_CHUNK to 0, or COMPILE to False"
            )
        if cfg.TRAINER.COMPILE and self.device.type == "cpu" and onednn_is_faster():
            print("TRAINER.COMPILE: compiled blocks multiply with MKL, which is slower than oneDNN on this CPU")
        self.model.text_chunk, self.model.compile_blocks = cfg.TRAINER.TEXT_CHUNK, cfg.TRAINER.COMPILE
        count = sum(p.numel() for p in self.model.parameters())
        print(f"{type(self).__name__}: {count:,} learnable parameters, {len(classnames)} classes")
        self.log.about["parameters"] = count
        read = self.reads_template()
        texts = overview.say_texts(cfg, self.dm.dataset, template, read, self.backbone.tokenize)
        self.log.about["texts"] = texts
        if cfg.DATASET.TEMPLATE and not read:
            print(f"DATASET.TEMPLATE is not read by {type(self).__name__}: the words around a class name are learned")
        optimised = self.structure.trainable
        if optimised and not count:
            raise UserError(f"{self.structure.name} has nothing to learn with these settings")
        if cfg.MODEL.INIT_WEIGHTS:
            checkpoints.load_weights(self.model, cfg.MODEL.INIT_WEIGHTS, self.fingerprint, name)
        self.optim = build_optimizer(self.model, cfg.OPTIM) if optimised else None
        self.sched = build_lr_scheduler(self.optim, cfg.OPTIM) if optimised else None
        if optimised:
            self.optim.register_step_post_hook(self._count_step)
        self.register_model(MODEL, self.model, self.optim, self.sched)

    def reads_template(self) -> bool:
        """Whether the data set's template changes anything."""
        return self.model.reads_template()

    def prepare(self, backbone) -> None:
        """Hook: what must be computed with the float32 backbone, before it is rounded and the learner is built."""

    def _set_precision(self) -> None:
        """See `precision_on`."""
        asked = self.cfg.TRAINER[self.structure.node].PREC
        self.precision, self.autocast = precision_on(self.device, asked)
        if self.precision != asked:
            print(f"PREC {asked} needs CUDA; on this {self.device.type.upper()} everything runs in float32")
        if self.precision == "fp16":
            self.backbone.half()
        self.log.about["precision"] = self.precision
        # Only float16 has so few exponent bits that gradients need scaling.
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "amp")

    # -- one step -------------------------------------------------------------------------------------------------

    def parse_batch_train(self, batch):
        """(images, labels) on the device."""
        return batch["img"].to(self.device, non_blocking=True), batch["label"].to(self.device, non_blocking=True)

    def batch_terms(self, batch) -> dict[str, Tensor]:
        """The loss terms of one batch."""
        images, labels = self.parse_batch_train(batch)
        return self.model.loss_terms(self.model(images), images, labels)

    def forward_backward(self, *batches) -> dict[str, Tensor]:
        """One optimiser step. Returns the detached terms and their sum ``loss``; nothing is copied to the host."""
        with torch.autocast(**self.autocast):
            terms = self.batch_terms(*batches)
            loss = functools.reduce(torch.add, terms.values())
        self.optim.zero_grad()
        self.scaler.scale(loss).backward()
        self._stepped = False
        self.scaler.step(self.optim)  # or not, where a gradient overflowed in float16
        self.scaler.update()
        if not self._stepped:
            self.log.skipped_step()
        return {"loss": loss.detach(), **{name: term.detach() for name, term in terms.items()}}

    def _count_step(self, *ignored) -> None:
        self._stepped = True

    # -- the loop -------------------------------------------------------------------------------------------------

    def train(self) -> None:
        """Train for ``OPTIM.MAX_EPOCH`` epochs and test; a structure without parameters is only tested."""
        if self.structure.trainable and getattr(self.dm.dataset, "test_only", False):
            raise UserError(
                f"{self.cfg.DATASET.NAME} has test images only: train on another data set and evaluate here with "
                "--eval-only --model-dir"
            )
        if self.structure.trainable:
            try:
                with ends_by_sigterm() as self.ending:
                    super().train()
            finally:
                for loader in (self.train_loader_x, self.train_loader_u, self.val_loader, self.test_loader):
                    stop_workers(loader)
        else:
            print(f"{self.structure.name} learns nothing; it is evaluated as it is")
            self.test()

    def before_train(self) -> None:
        check_selection(self.cfg, self.dm.dataset)
        self.start_epoch = 0
        if self.cfg.RESUME:
            self.start_epoch = states.restore(self, self.cfg.RESUME)
        if self.max_epoch - self.start_epoch > 1:  # images that are read once need not be kept
            self._keep_images()
        self.init_writer(f"{self.output_dir}/tensorboard")
        self.time_start = time.time()

    def _keep_images(self) -> None:
        """Decode the images of every epoch once, as far as DATALOADER.IMAGE_CACHE_MB goes."""
        megabytes = 0 if without("decoded_images") else self.cfg.DATALOADER.IMAGE_CACHE_MB
        loaders = [self.train_loader_x, self.train_loader_u if self.uses_unlabelled else None]
        if self.cfg.TEST.FINAL_MODEL == "best_val" and self.model.learns_vision:  # else their features are kept
            loaders.append(self.val_loader)
        images, size = keep_decoded(loaders, megabytes)
        total = sum(len(images_of(loader).data_source) for loader in loaders if loader is not None)
        if megabytes:
            print(f"Decoded images in memory: {images} of {total}, {size / 2**20:.0f} MiB of {megabytes}")

    def _begin_epoch(self) -> Epoch:
        """Labelled batches, or labelled and unlabelled ones where both are read (see TRAIN.COUNT_ITER), from where the
        run goes on."""
        loaders, lengths = [self.train_loader_x], {"train_x": len(self.train_loader_x)}
        if self.uses_unlabelled:
            loaders.append(self.train_loader_u)
            lengths["train_u"] = len(self.train_loader_u)
            lengths["smaller_one"] = min(lengths.values())
        self.num_batches = lengths[self.cfg.TRAIN.COUNT_ITER if self.uses_unlabelled else "train_x"]
        if not self.num_batches:
            raise UserError(
                f"{self.cfg.DATASET.NAME} gives no training batch: it has {len(self.dm.dataset.train_x)} training "
                f"images and the batch size is {self.cfg.DATALOADER.TRAIN_X.BATCH_SIZE}"
            )
        within, self.within = self.within, None
        return Epoch(loaders, self.num_batches, within, self.device)

    def run_epoch(self) -> None:
        self.set_model_mode("train")
        epoch = self._begin_epoch()
        before, every = epoch.done, self.cfg.TRAIN.CHECKPOINT_STEPS
        started = time.time()
        title = f"epoch {self.epoch + 1}/{self.max_epoch}"
        bar = tqdm(epoch, title, self.num_batches, initial=before, leave=False, disable=not sys.stderr.isatty())
        with self.ending.after_a_step(every > 0):
            for self.batch_idx, batch in enumerate(bar, before):
                terms = self.forward_backward(*batch)
                epoch.add(terms)
                done = epoch.done
                if done % self.cfg.TRAIN.PRINT_FREQ == 0 or done == self.num_batches:
                    seconds = (time.time() - started) / (done - before)
                    lr = self.get_current_lr()
                    self.log.step(terms, epoch.sums, self.epoch, done, self.num_batches, seconds, lr)
                due = every > 0 and (self.epoch * self.num_batches + done) % every == 0
                if done < self.num_batches and (due or self.ending.asked):
                    states.save_state(self, self.epoch, epoch.position())
                    self._end_if_asked(f"after step {done} of epoch {self.epoch + 1}")
        self.log.epoch(self.epoch, self.get_current_lr(), epoch.sums, self.num_batches)
        self.update_lr()
        self.model.end_epoch(self.epoch + 1, self.max_epoch)

    def _end_if_asked(self, when: str) -> None:
        if self.ending.asked:
            print(f"Ended by SIGTERM {when}; the same command goes on from there")
            self.ending.now()

    def before_epoch(self) -> None:
        self._end_if_asked(f"after epoch {self.epoch}")  # of the last step, whose state is kept by now
        super().before_epoch()

    def after_train(self) -> None:
        self._end_if_asked("after the last epoch")
        super().after_train()

    def after_epoch(self) -> None:
        cfg, epoch = self.cfg, self.epoch + 1
        states.check_state(self)  # before anything of the epoch is kept
        if not cfg.TEST.NO_TEST and cfg.TEST.FINAL_MODEL == "best_val":
            result = self.test(split="val")
            if result > self.best_result:
                self.best_result = result
                self.save_model(self.epoch, self.output_dir, val_result=result, model_name="model-best.pth.tar")
        frequency = cfg.TRAIN.CHECKPOINT_FREQ
        if epoch == self.max_epoch or (frequency > 0 and epoch % frequency == 0):
            self.save_model(self.epoch, self.output_dir)
        states.save_state(self, epoch)

    # -- testing --------------------------------------------------------------------------------------------------

    def model_inference(self, images: Tensor) -> Tensor:
        """(B, C) logits."""
        return self.evaluation.logits(images)

    def test(self, split: str | None = None) -> float:
        """Evaluate on ``val`` or ``test`` (default TEST.SPLIT; ``test`` where there is no ``val``).

        Returns the metric that selects models: TEST.METRIC of the evaluator's results.
        """
        self.set_model_mode("eval")
        if split is None and self.evaluated is None and self.structure.trainable:
            self.evaluated = {"epoch": self.max_epoch, "by": "last"}
        final, split = split is None, self.evaluation.split(split or self.cfg.TEST.SPLIT)
        print(f"Evaluate on the *{split}* set")
        results = self.evaluation.run(split, keep=final)
        self.log.evaluated(split, results, self.epoch)
        metric = self.cfg.TEST.METRIC
        if metric not in results:
            raise UserError(
                f"TEST.METRIC is {metric!r}, which this evaluator does not give; it gives " + ", ".join(results)
            )
        return results[metric]

    def write_metrics(self) -> None:
        """``metrics.json`` in the output folder: settings that name the run, results by split, the loss history; and
        what was said of every image, as TEST.PREDICTIONS asks."""
        cfg = self.cfg
        facts = {
            "trainer": cfg.TRAINER.NAME,
            "dataset": cfg.DATASET.NAME,
            "subsample": cfg.DATASET.SUBSAMPLE_CLASSES,
            "shots": cfg.DATASET.NUM_SHOTS,
            "seed": cfg.SEED,
            "backbone": {"name": cfg.MODEL.BACKBONE.NAME, "fingerprint": self.fingerprint},
            "classes": self.num_classes,
            "evaluated": self.evaluated,
        }
        if self.scaler.is_enabled():
            facts["skipped_steps"] = self.log.skipped
        kept = self.evaluation.kept
        for found in kept.values():
            predictions.write(self.output_dir, found)
        if kept:
            facts["measures"] = {
                split: {"top5": found.top(5), "mean_per_class": found.mean_per_class()} for split, found in kept.items()
            }
        self.log.write(f"{self.output_dir}/metrics.json", facts)

    # -- checkpoints ----------------------------------------------------------------------------------------------

    def save_model(self, epoch, directory, is_best=False, val_result=None, model_name="") -> None:
        checkpoints.save_model(self, epoch, directory, is_best, val_result, model_name)

    def load_model(self, directory, epoch=None) -> None:
        """Load ``<directory>/prompt_learner/model.pth.tar-<epoch>``, or ``model-best.pth.tar`` where no epoch is
        given; UserError where it is missing, damaged, or learned on another backbone."""
        found = checkpoints.load_model(self, directory, epoch)
        if directory and self.structure.trainable:
            by = "last" if epoch == checkpoints.last_epoch(directory) else "asked"
            self.evaluated = {"epoch": found, "by": by if epoch else "best_val"}
