"""Train and evaluate prompts of CLIP, with and without Craft.

    craft train --trainer CoOpCraft                      the embedded demonstration: no data, no download
    craft train --trainer CoOpCraft --root DATA --dataset-config-file caltech101 --config-file few_shot --seed 1
    craft train --trainer Help                           all trainers, a line each

In a clone `python train.py` is the same command. The same command again goes on where it was interrupted, and does
nothing for a run that is done (see --force). CRAFT_TRACEBACK=1 shows tracebacks.
"""

from __future__ import annotations

import sys
from pathlib import Path

from craft.common import imports
from craft.common.errors import UserError, entry_point
from craft.common.files import digest_file
from craft.config.commandline import parser
from craft.trainers import structures

SCRIPT = "train.py"


@entry_point
def main(argv: list[str] | None = None) -> int:
    options = parser(__doc__).parse_args(argv)
    imported = {f"import {name}": imports.load(name) for name in options.imports}
    if options.trainer.lower() == "help":
        print(structures.describe())
        return 0
    if not options.trainer:
        raise UserError("no trainer given; choose with --trainer one of:\n" + structures.describe())
    from craft import bundled
    from craft.runs import record
    from craft.trainers.settings import absent_values, get_cfg, setup_cfg

    cfg = setup_cfg(options)
    command = [SCRIPT, *(sys.argv[1:] if argv is None else argv)]
    if options.no_train:
        run(cfg, options, command)
        return 0
    mode, model = mode_and_model(cfg, options)
    versions = {"dassl": f"{bundled.version()} ({bundled.which()})"}
    versions |= {name: digest_file(module.__file__)[:12] for name, module in imported.items() if module.__file__}
    absent = absent_values(cfg)
    with record.session(cfg.clone(), get_cfg(), command, mode, model, options.force, versions, absent) as session:
        if session.done:
            print(f"Already done: {cfg.OUTPUT_DIR} (--force runs it again)")
            return 0
        if session.todo == "resume" and not cfg.RESUME:
            cfg.defrost()
            cfg.RESUME = cfg.OUTPUT_DIR
            cfg.freeze()
        run(cfg, options, command, session)
    return 0


def mode_and_model(cfg, options):
    """``("train", None)``, or ``("evaluate", the record of the checkpoint that is read)``: parts of the identity."""
    from craft.runs import identity

    if not options.eval_only:
        return "train", None
    return "evaluate", identity.model_record(options.model_dir, epoch_to_load(cfg, options))


def run(cfg, options, command: list[str], session=None) -> None:
    """Build the trainer and train or evaluate; ``session`` keeps the run's record."""
    import torch
    from dassl.utils import set_random_seed, setup_logger

    from craft.trainers import overview
    from craft.trainers.engine.variants import build

    if cfg.SEED >= 0:
        set_random_seed(cfg.SEED)
    start_log(cfg, setup_logger)
    if torch.cuda.is_available() and cfg.USE_CUDA:
        torch.backends.cudnn.benchmark = True
    print("Command: " + " ".join(command))
    overview.say_before(cfg, options.eval_only)
    trainer = build(cfg, evaluate=options.eval_only)
    if hasattr(trainer, "dm"):
        overview.say_counts(trainer.dm.dataset)
    if session:
        take_note(session, trainer)
    if options.eval_only:
        trainer.load_model(options.model_dir, epoch=epoch_to_load(cfg, options))
        trainer.test()
    elif not options.no_train:
        trainer.train()
    if hasattr(trainer, "write_metrics") and not options.no_train:
        trainer.write_metrics()


def take_note(session, trainer) -> None:
    """Tell the run's record what was built, and from now on every finished epoch. The trainer may be anybody's."""
    from craft.runs import identity
    from craft.trainers.engine.run_log import RunLog

    log = getattr(trainer, "log", None)
    about = log.about if isinstance(log, RunLog) else {}
    split = identity.split_record(trainer.dm.dataset, trainer.cfg.DATASET.ROOT) if hasattr(trainer, "dm") else {}
    epochs = trainer.max_epoch if about.get("parameters", 1) else 0
    session.note(split, trainer.device, epochs, about.get("anchors"))
    trainer.epoch_hooks = (*trainer.epoch_hooks, session.epoch_done)


def epoch_to_load(cfg, options) -> int | None:
    """The epoch that --eval-only loads: --load-epoch, else the last; None for the best on the validation images."""
    from craft.runs.checkpoints import last_epoch

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
