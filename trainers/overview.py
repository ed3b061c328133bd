"""What a run says of itself before it begins: what it uses, and the part of its configuration that concerns it. The
whole configuration goes to ``config.yaml`` in its output folder, from which the run can be repeated."""

from __future__ import annotations

from pathlib import Path

from yacs.config import CfgNode

from craft.common.files import write_text
from craft.datasets.labels import domains_label
from craft.trainers.structures import host_name, structure_of

CONFIG = "config.yaml"


def say_before(cfg: CfgNode, evaluate: bool) -> None:
    """Print what the run uses and the keys that concern it; write all of them to ``<output>/config.yaml``."""
    node, label = cfg.DATASET, domains_label(cfg.DATASET)
    data = node.NAME + (f" {node.PATH}" if node.PATH else "") + (f", domain {label}" if label else "")
    classes = "" if node.SUBSAMPLE_CLASSES == "all" else f", {node.SUBSAMPLE_CLASSES} classes"
    shots = f"{node.NUM_SHOTS} a {node.SHOTS_PER}" if node.NUM_SHOTS > 0 else "all training images"
    if node.FEWSHOT_FILE:
        shots = f"those that {node.FEWSHOT_FILE} lists"
    elif node.SHOTS_FRACTION:
        shots = f"{100 * node.SHOTS_FRACTION:g} % of every {node.SHOTS_PER}"
    elif node.SHOTS_PRIOR == "natural":
        shots += " on average, in their natural proportion"
    for what, said in (
        ("Trainer", cfg.TRAINER.NAME + (", evaluation only" if evaluate else "")),
        ("Data set", data + classes + (f", in {node.ROOT}" if node.ROOT else "")),
        ("Backbone", cfg.MODEL.BACKBONE.NAME),
        ("Shots", shots),
        ("Seed", cfg.SEED),
        ("Output", cfg.OUTPUT_DIR),
    ):
        print(f"{what + ':':<10} {said}")
    write_text(Path(cfg.OUTPUT_DIR) / CONFIG, cfg.dump())
    print(f"All keys are in {Path(cfg.OUTPUT_DIR) / CONFIG}; here those that concern this trainer")
    print("** Config **")
    print(what_concerns(cfg))


def what_concerns(cfg: CfgNode) -> CfgNode:
    """``cfg`` without the nodes of other trainers, which are most of it; whole for a trainer of somebody else's."""
    structure = structure_of(cfg.TRAINER.NAME)
    if structure is None:
        return cfg
    own = {structure.node} | ({"CRAFT"} if host_name(cfg.TRAINER.NAME) != cfg.TRAINER.NAME else set())
    shown = cfg.clone()
    shown.defrost()
    for key, value in cfg.TRAINER.items():
        if isinstance(value, CfgNode) and key not in own:
            del shown.TRAINER[key]
    return shown


def say_counts(dataset) -> None:
    """A line with the sizes of the parts of a data set, which may be anybody's, and one with a reader's digests."""
    parts = (("train_x", "training"), ("train_u", "unlabelled"), ("val", "validation"), ("test", "test"))
    sizes = [f"{len(items)} {what}" for name, what in parts if (items := getattr(dataset, name, None))]
    print(f"Images: {', '.join(sizes)}, of {getattr(dataset, 'num_classes', '?')} classes")
    told = getattr(dataset, "told", None)
    if told:
        shots = f", shots {told['few_shot']['train']}" if told["few_shot"] else ""
        print(f"Digests: split {told['split']}, class names {told['classnames']}{shots} ({told['draw']})")
