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

from craft.common import imports, streams
from craft.common.errors import UserError, entry_point, unknown
from craft.common.files import digest_file
from craft.common.places import configs
from craft.config.commandline import check_together, parser, return_keys
from craft.config.keys import check_keys
from craft.config.layers import find, read_yaml
from craft.trainers import structures

SCRIPT = "train.py"


@entry_point
def main(argv: list[str] | None = None) -> int:
    return call(argv)


def call(argv: list[str] | None = None) -> int:
    """What `main` does, for callers in Python: a UserError is raised, not printed."""
    options = parser(__doc__).parse_args(argv)
    imported = {f"import {name}": imports.load(name) for name in options.imports}
    if options.trainer.lower() == "help":
        print(structures.describe())
        return 0
    if not options.trainer:
        raise UserError("no trainer given; choose with --trainer one of:\n" + structures.describe())
    check_names(options)
    check_together(options)
    command = [SCRIPT, *(sys.argv[1:] if argv is None else argv)]
    with streams.lasting():
        return start(options, command, imported)


def check_names(options) -> None:
    """UserError for a trainer, key or yaml that certainly does not exist, before torch is loaded, which takes seconds.

    What Dassl registers, or somebody's code, is looked at when it is there.
    """
    from craft import bundled

    return_keys(options)
    structure = structures.structure_of(options.trainer) if options.trainer else None
    if options.trainer and structure is None and not options.imports and not bundled.may_be_upstream():
        raise unknown("trainer", options.trainer, structures.trainer_names())
    check_keys(options.opts)
    read_yaml(find(options.dataset_config_file or "digits", configs() / "datasets", "data set"))
    if options.config_file:
        read_yaml(find(options.config_file, configs() / "trainers" / (structure.name if structure else ""), "trainer"))


def start(options, command: list[str], imported: dict) -> int:
    """The run that a checked command line asks for, under its record. imported: what --import loaded, by name."""
    from craft import bundled
    from craft.runs import identity, record
    from craft.trainers.data_identity import data_identity
    from craft.trainers.settings import absent_values, get_cfg, setup_cfg

    cfg = setup_cfg(options)
    check_asked(cfg, options)
    if options.no_train:
        run(cfg, options, command)
        return 0
    mode, model = mode_and_model(cfg, options)
    versions = {"dassl": f"{bundled.version()} ({bundled.which()})"}
    versions |= {name: digest_file(module.__file__)[:12] for name, module in imported.items() if module.__file__}
    absent = absent_values(cfg)
    # Its own folder is looked at by the session; another's settings must be this run's before anything is replaced.
    elsewhere = mode == "train" and cfg.RESUME and Path(cfg.RESUME).resolve() != Path(cfg.OUTPUT_DIR).resolve()
    begun_with = record.begun_in(cfg.RESUME, cfg, get_cfg(), absent) if elsewhere else None
    with record.session(
        cfg.clone(), get_cfg(), command, mode, model, options.force, versions, absent, lambda: data_identity(cfg)
    ) as session:
        if session.done:
            same = session.record["identity"]["code"] == identity.code_digest()
            by = "" if same else ", by another version of the code"
            print(f"Already done{by}: {cfg.OUTPUT_DIR} (--force runs it again)")
            return 0
        if session.todo == "resume":  # what is here is further on than what it may have been begun from
            cfg.defrost()
            cfg.RESUME = cfg.OUTPUT_DIR
            cfg.freeze()
        elif begun_with:
            session.begun_with = begun_with
        try:
            run(cfg, options, command, session)
        except KeyboardInterrupt as stop:
            raise type(stop)(str(stop) or "run the same command again to go on") from stop
    return 0


def check_asked(cfg, options) -> None:
    """UserError for a run that would file the number of untrained prompts as that of a method, go on from nothing, or
    ignore what is asked for."""
    from craft.runs import record
    from craft.trainers.settings import check_effect

    check_effect(cfg)
    if cfg.RESUME and not any((Path(cfg.RESUME) / name).is_file() for name in (record.RECORD, *record.STATES)):
        raise UserError(
            f"--resume {cfg.RESUME}: no run has left anything there; check the folder, or leave --resume out"
        )
    structure = structures.structure_of(cfg.TRAINER.NAME)
    if structure is None or not structure.trainable or options.no_train:
        return
    zeroshot = "--trainer ZeroshotCLIP gives the number of CLIP without learning"
    if options.eval_only and not options.model_dir and not cfg.MODEL.INIT_WEIGHTS:
        raise UserError(
            f"--eval-only: {cfg.TRAINER.NAME} has no learned prompts to evaluate; give the folder of its training run "
            f"with --model-dir. {zeroshot}"
        )
    if not options.eval_only and cfg.OPTIM.MAX_EPOCH == 0:
        raise UserError(
            f"OPTIM.MAX_EPOCH is 0: {cfg.TRAINER.NAME} would not be trained; set it to 1 or more. {zeroshot}"
        )


def mode_and_model(cfg, options):
    """``("train", None)``, or ``("evaluate", the record of the checkpoint that is read)``: parts of the identity."""
    from craft.runs import identity

    if not options.eval_only:
        return "train", None
    return "evaluate", identity.model_record(options.model_dir, checkpoint_to_load(cfg, options)[0])


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
        epoch, by = checkpoint_to_load(cfg, options)
        if options.model_dir and by == "best_val":
            print(f"{options.model_dir} was trained with TEST.FINAL_MODEL best_val: evaluating its best epoch")
        for what, then, now in trained_otherwise(cfg, session):
            print(f"Note: these prompts were learned with {what} {then}; this run calls itself {now}")
        trainer.load_model(options.model_dir, epoch=epoch)
        trainer.test()
    elif not options.no_train:
        trainer.train()
    if hasattr(trainer, "write_metrics") and not options.no_train:
        trainer.write_metrics()
    if session:
        session.update(evaluated=evaluated(trainer, cfg, options), skipped_steps=skipped_steps(trainer))


def trained_otherwise(cfg, session) -> list[tuple[str, object, object]]:
    """(setting, of the training, of this evaluation) of what a table would take from the evaluation's settings."""
    trained = ((session.record["identity"]["model"] or {}).get("trained") or {}) if session else {}
    named = {"seed": cfg.SEED, "shots": cfg.DATASET.NUM_SHOTS}
    return [(what, trained[what], now) for what, now in named.items() if trained and trained[what] != now]


def evaluated(trainer, cfg, options) -> dict | None:
    """Which epoch the results are of, ``{"epoch": n, "by": "last", "best_val" or "asked"}``; None where there is none.

    by: asked is --load-epoch. A trainer that is not ours does not tell which epoch was its best.
    """
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    if isinstance(trainer, PromptTrainer):
        return trainer.evaluated
    if options.eval_only:
        epoch, by = checkpoint_to_load(cfg, options)
    else:
        by = "best_val" if cfg.TEST.FINAL_MODEL == "best_val" else "last"
        epoch = trainer.max_epoch if by == "last" else None
    return None if cfg.TEST.NO_TEST and not options.eval_only else {"epoch": epoch, "by": by}


def skipped_steps(trainer) -> int | None:
    """Steps that were left out because a gradient overflowed in float16; None where nothing is scaled, or told."""
    from craft.trainers.engine.prompt_trainer import PromptTrainer

    return trainer.log.skipped if isinstance(trainer, PromptTrainer) and trainer.scaler.is_enabled() else None


def take_note(session, trainer) -> None:
    """Tell the run's record what was built, and from now on every finished epoch. The trainer may be anybody's."""
    from craft.runs import identity
    from craft.trainers.engine.run_log import RunLog

    log = getattr(trainer, "log", None)
    about = log.about if isinstance(log, RunLog) else {}
    split = identity.split_record(trainer.dm.dataset, trainer.cfg.DATASET.ROOT) if hasattr(trainer, "dm") else {}
    epochs = trainer.max_epoch if about.get("parameters", 1) else 0
    fingerprint = getattr(trainer, "fingerprint", None)
    backbone = {"name": trainer.cfg.MODEL.BACKBONE.NAME, "fingerprint": fingerprint} if fingerprint else None
    if split:
        about["split"] = split
    session.note(split, trainer.device, epochs, about.get("anchors"), backbone, about.get("texts"))
    trainer.epoch_hooks = (*trainer.epoch_hooks, session.epoch_done)


def checkpoint_to_load(cfg, options) -> tuple[int | None, str]:
    """(epoch, ``last``, ``best_val`` or ``asked``) that --eval-only loads; the best on validation images has no number.

    Unless --load-epoch says otherwise, it is the one that the training run's own number is of. UserError where that run
    is not done: which epoch its number will be of is not known, and its last so far is none of a trained model.
    """
    if options.load_epoch or not options.model_dir:
        return options.load_epoch, "asked"
    return epoch_to_load(options.model_dir, None, cfg.TEST)


def epoch_to_load(folder, asked: int | None, test) -> tuple[int | None, str]:
    """The same for the training run in ``folder``; ``test``: ``cfg.TEST``, for a folder without a record."""
    from craft.runs import record
    from craft.runs.checkpoints import last_epoch

    if asked:
        return asked, "asked"
    trained = record.read(folder)
    if trained is not None and trained["state"] != "done":
        raise UserError(
            f"the training run in {folder} is not done ({record.state_of(folder)}): finish it "
            "with its own command, or choose one of its epochs with --load-epoch"
        )
    test = ((trained or {}).get("config") or {}).get("TEST") or test
    if test["FINAL_MODEL"] == "best_val" and not test["NO_TEST"]:
        return None, "best_val"
    return last_epoch(folder), "last"


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
