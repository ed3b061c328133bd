"""The keys of this project about data, added to Dassl's, and the answer to "which text template?"."""

from __future__ import annotations

from dassl.data.datasets import DATASET_REGISTRY

from craft.common.errors import UserError, unknown

DEFAULT_TEMPLATE = "a photo of a {}."


def extend_cfg(cfg) -> None:
    """Add our DATASET keys, and DATALOADER.IMAGE_CACHE_MB, with their defaults to a Dassl config node, in place.

    SUBSAMPLE_CLASSES   "all", "base" (first half of the classes, rounded up) or "new" (the rest)
    SHOTS_PER           "class" or "group": what NUM_SHOTS counts; "group" needs items that carry a group
    TEMPLATE            overrides the data set's text template; one {} stands for the class name
    PATH                ImageFolder: a folder or CSV below ROOT
    CLASSNAMES          ImageFolder: a file that says what its class folders are called in prompts
    ALLOW_SUBSET        True accepts counts of classes or images other than those of the published set
    BAD_IMAGES          "error", or "skip": go on past an image that cannot be decoded (see datasets/images.py)
    CACHE_DIR           where draws, made splits and directory listings are kept instead of the data set's folder
    UNLABELED           "train": unlabelled target images are none of the test images; "release": drawn
                        class-balanced from the test images, as Craft's release does (transductive)
    NUM_UNLABELED       how many of them ImageNetOOD sets apart; -1: as many as there are labelled images, but at
                        most half of the target
    IMAGE_CACHE_MB      MiB of decoded images kept in memory by a run of several epochs; 0: none
    """
    node = cfg.DATASET
    node.SUBSAMPLE_CLASSES = "all"
    node.SHOTS_PER = "class"
    node.TEMPLATE = ""
    node.PATH = ""
    node.CLASSNAMES = ""
    node.ALLOW_SUBSET = False
    node.BAD_IMAGES = "error"
    node.CACHE_DIR = ""
    node.UNLABELED = "train"
    node.NUM_UNLABELED = -1
    cfg.DATALOADER.IMAGE_CACHE_MB = 1024


def list_datasets() -> list[str]:
    """The names that DATASET.NAME may take, sorted."""
    return sorted(DATASET_REGISTRY.registered_names())


def template_for(cfg, dataset=None) -> str:
    """The text template of a run.

    DATASET.TEMPLATE where it is set, else the data set's own, else "a photo of a {}." (Dassl's own data sets have
    none). ``dataset`` is the loaded data set (or its class); without it the class registered as DATASET.NAME is asked.
    Raises UserError for a template without exactly one ``{}`` or an unknown DATASET.NAME.
    """
    template = cfg.DATASET.TEMPLATE
    if not template:
        if dataset is None:
            if cfg.DATASET.NAME not in list_datasets():
                raise unknown("data set", cfg.DATASET.NAME, list_datasets())
            dataset = DATASET_REGISTRY.get(cfg.DATASET.NAME)
        template = getattr(dataset, "template", "") or DEFAULT_TEMPLATE
    if template.count("{}") != 1 or template.replace("{}", "").count("{") + template.replace("{}", "").count("}"):
        raise UserError(f"the text template {template!r} must hold {{}} exactly once, where the class name goes")
    return template
