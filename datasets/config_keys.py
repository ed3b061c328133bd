"""The keys of this project about data, added to Dassl's, with their defaults and what they mean."""

from __future__ import annotations


def extend_cfg(cfg) -> None:
    """Add our DATASET keys, and DATALOADER.IMAGE_CACHE_MB, with their defaults to a Dassl config node, in place.

    SUBSAMPLE_CLASSES   "all", "base" (first half of the classes, rounded up) or "new" (the rest)
    SHOTS_PER           "class" or "group": what NUM_SHOTS counts; "group" needs items that carry a group
    SHOTS_FRACTION      with NUM_SHOTS -1: this share of every class (or group) instead of a number; 0: none
    SHOTS_PRIOR         "balanced": NUM_SHOTS of every class; "natural": as many in all, in proportion to the images
                        that a class has
    SHOTS_VAL           validation images of a draw: "min4" (as many as training shots, at most 4 a class: CoOp's),
                        "as_train", "all" or "none"
    FEWSHOT_FILE        a .json or .jsonl list of shots to train on instead of a draw (see datasets/shot_lists.py);
                        {shots} and {seed} in it stand for NUM_SHOTS and SEED
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
    node.SHOTS_FRACTION = 0.0
    node.SHOTS_PRIOR = "balanced"
    node.SHOTS_VAL = "min4"
    node.FEWSHOT_FILE = ""
    node.TEMPLATE = ""
    node.PATH = ""
    node.CLASSNAMES = ""
    node.ALLOW_SUBSET = False
    node.BAD_IMAGES = "error"
    node.CACHE_DIR = ""
    node.UNLABELED = "train"
    node.NUM_UNLABELED = -1
    cfg.DATALOADER.IMAGE_CACHE_MB = 1024
