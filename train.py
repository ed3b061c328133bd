"""Train and evaluate prompts of CLIP, with and without Craft.

    python train.py --trainer CoOpCraft                      the embedded demonstration: no data, no download
    python train.py --trainer CoOpCraft --root DATA --dataset-config-file configs/datasets/caltech101.yaml \\
        --config-file configs/trainers/CoOp/vit_b16.yaml --seed 1 DATASET.NUM_SHOTS 16
    python train.py --trainer Help                           all trainers, a line each

An interrupted run goes on with --resume <its output folder>. CRAFT_TRACEBACK=1 shows tracebacks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from common.errors import UserError, entry_point


@entry_point
def main(argv: list[str] | None = None) -> int:
    import torch

    import configs
    import trainers

    options = configs.parser(__doc__).parse_args(argv)
    if options.trainer.lower() == "help":
        print(trainers.describe())
        return 0
    if not options.trainer:
        raise UserError("no trainer given; choose with --trainer one of:\n" + trainers.describe())
    cfg = configs.setup_cfg(options)

    from dassl.engine import build_trainer
    from dassl.utils import set_random_seed, setup_logger

    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    start_log(cfg, setup_logger)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print_settings(cfg, options)
    trainer = build_trainer(cfg)
    if options.eval_only:
        from trainers.checkpoints import last_epoch

        epoch = options.load_epoch or (options.model_dir and last_epoch(options.model_dir)) or None
        trainer.load_model(options.model_dir, epoch=epoch)
        trainer.test()
    elif not options.no_train:
        trainer.train()
    if hasattr(trainer, "write_metrics") and not options.no_train:
        trainer.write_metrics()
    return 0


def start_log(cfg, setup_logger) -> None:
    """Tee what is printed into ``<output>/log.txt``; UserError where that folder cannot be written."""
    try:
        Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
        setup_logger(cfg.OUTPUT_DIR)
    except OSError as error:
        raise UserError(
            f"cannot write to the output folder {cfg.OUTPUT_DIR}: {error.strerror}; choose another with --output-dir"
        ) from error


def print_settings(cfg, options) -> None:
    """The command and the resolved configuration, at the head of the log."""
    print("Command: " + " ".join(["train.py", *(sys.argv[1:] if sys.argv else [])]))
    print("** Config **")
    print(cfg)


if __name__ == "__main__":
    sys.exit(main())
