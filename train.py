"""Train and evaluate prompts of CLIP, with and without Craft.

    python train.py --trainer CoOpCraft                      the embedded demonstration: no data, no download
    python train.py --trainer CoOpCraft --root DATA --dataset-config-file configs/datasets/caltech101.yaml \\
        --config-file configs/trainers/CoOp/vit_b16.yaml --seed 1 DATASET.NUM_SHOTS 16
    python train.py --trainer Help                           all trainers, a line each

The same command again goes on where it was interrupted, and does nothing for a run that is done (see --force).
CRAFT_TRACEBACK=1 shows tracebacks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common.errors import UserError, entry_point


@entry_point
def main(argv: list[str] | None = None) -> int:
    import configs
    import trainers
    from protocols import record

    options = configs.parser(__doc__).parse_args(argv)
    if options.trainer.lower() == "help":
        print(trainers.describe())
        return 0
    if not options.trainer:
        raise UserError("no trainer given; choose with --trainer one of:\n" + trainers.describe())
    cfg = configuration(options)
    command = ["train.py", *(sys.argv[1:] if argv is None else argv)]
    if options.no_train:
        run(cfg, options, command)
        return 0
    mode, model = mode_and_model(cfg, options)
    with record.session(cfg.clone(), configs.get_cfg(), command, mode, model, options.force) as session:
        if session.done:
            print(f"Already done: {cfg.OUTPUT_DIR} (--force runs it again)")
            return 0
        if session.todo == "resume" and not cfg.RESUME:
            cfg.defrost()
            cfg.RESUME = cfg.OUTPUT_DIR
            cfg.freeze()
        run(cfg, options, command, session)
    return 0


def configuration(options):
    """The frozen configuration of a run."""
    import configs

    cfg = configs.setup_cfg(options)
    if options.eval_only:  # no loss is computed, so no anchors either: the data may have no training images at all
        cfg.defrost()
        cfg.TRAINER.CRAFT.STATIC_WEIGHT = 0.0
        cfg.freeze()
    return cfg


def mode_and_model(cfg, options):
    """``("train", None)``, or ``("evaluate", the record of the checkpoint that is read)``: parts of the identity."""
    from protocols import identity

    if not options.eval_only:
        return "train", None
    return "evaluate", identity.model_record(options.model_dir, epoch_to_load(cfg, options))


def run(cfg, options, command: list[str], session=None) -> None:
    """Build the trainer and train or evaluate; ``session`` keeps the run's record."""
    import torch
    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed, setup_logger

    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    start_log(cfg, setup_logger)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print("Command: " + " ".join(command))
    print("** Config **")
    print(cfg)
    trainer = build_trainer(cfg)
    if session:
        session.watch(trainer)
    if options.eval_only:
        trainer.load_model(options.model_dir, epoch=epoch_to_load(cfg, options))
        trainer.test()
    elif not options.no_train:
        trainer.train()
    if hasattr(trainer, "write_metrics") and not options.no_train:
        trainer.write_metrics()


def epoch_to_load(cfg, options) -> int | None:
    """The epoch that --eval-only loads: --load-epoch, else the last; None for the best on the validation images."""
    from trainers.checkpoints import last_epoch

    if options.load_epoch or not options.model_dir:
        return options.load_epoch
    return None if cfg.TEST.FINAL_MODEL == "best_val" else last_epoch(options.model_dir)


def start_log(cfg, setup_logger) -> None:
    """Tee what is printed into ``<output>/log.txt``; UserError where that folder cannot be written."""
    try:
        Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
        setup_logger(cfg.OUTPUT_DIR)
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {cfg.OUTPUT_DIR}: {error.strerror}; choose another with --output-dir"
        ) from error


if __name__ == "__main__":
    sys.exit(main())
