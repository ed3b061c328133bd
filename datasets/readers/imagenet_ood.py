"""ImageNetOOD: labelled ImageNet as the source, one of its variants, unlabelled, as the target."""

from __future__ import annotations

import random
from pathlib import Path

from craft.common.errors import UserError, unknown
from craft.datasets.base_new import take_classes
from craft.datasets.few_shot import draw
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.readers.imagenet import ImageNet
from craft.datasets.readers.imagenet_a import ImageNetA
from craft.datasets.readers.imagenet_family import ImageNetFamily
from craft.datasets.readers.imagenet_r import ImageNetR
from craft.datasets.readers.imagenet_sketch import ImageNetSketch
from craft.datasets.readers.imagenetv2 import ImageNetV2
from craft.datasets.registry import register_reader
from craft.datasets.splits import Item, Split

SOURCE = "imagenet"
TARGETS: dict[str, type[ImageNetFamily]] = {"v2": ImageNetV2, "sketch": ImageNetSketch, "a": ImageNetA, "r": ImageNetR}


@register_reader
class ImageNetOOD(PromptDataset):
    """Domain shift from ImageNet to V2, Sketch, A or R, chosen by DATASET.TARGET_DOMAINS: v2, sketch, a or r.

    train_x     ImageNet's few-shot images, those that a run on ImageNet with this seed draws (domain 0)
    train_u     target images whose labels nobody may look at (domain 1)
    val         ImageNet's validation images
    test        target images

    Classes are those that source and target share, in ImageNet's order, matched by WordNet id: 200 for A and R. The
    number of unlabelled images is DATASET.NUM_UNLABELED, or as many as there are labelled ones, but at most half of the
    target. With DATASET.UNLABELED ``train`` they are drawn without looking at labels and are not tested on; with
    ``release`` they are NUM_SHOTS images a class of the test images, as Craft's release has it (transductive).
    """

    domains = [SOURCE, *TARGETS]
    wnids: list[str]

    @classmethod
    def locate(cls, cfg) -> Path:
        return ImageNet.locate(cfg).parent

    @classmethod
    def target_domains(cls, cfg) -> list[str]:
        return list(TARGETS)

    def read(self) -> Split:
        target_name = self.choose_target()
        cfg = self.cfg.clone()
        cfg.defrost()
        cfg.DATASET.SUBSAMPLE_CLASSES = "all"
        source, target = ImageNet(cfg), TARGETS[target_name](cfg)
        labelled, shifted = source.load(), target.load()
        self.source_told = source.told
        self.wnids = [wnid for wnid in source.wnids if wnid in set(target.wnids)]
        if not self.wnids:
            raise UserError(f"{self.name}: imagenet and {target_name} have no class in common; check their folders")
        labels = {wnid: label for label, wnid in enumerate(self.wnids)}
        name_of = {source.wnids[item.label]: item.classname for item in labelled.train}

        def matched(reader: ImageNetFamily, items: list[Item], domain: int) -> list[Item]:
            below = reader.folder.relative_to(self.folder).as_posix()
            chosen = []
            for item in items:
                wnid = reader.wnids[item.label]
                if wnid in labels:
                    chosen.append(Item(f"{below}/{item.path}", labels[wnid], name_of[wnid], domain))
            return chosen

        train = matched(source, labelled.train, 0)
        unlabelled, test = self.draw_unlabelled(matched(target, shifted.test, 1), len(train))
        print(
            f"{self.name}: source imagenet, target {target_name}, {len(self.wnids)} classes in common, "
            f"{len(unlabelled)} unlabelled and {len(test)} test images of the target"
        )
        val = None if labelled.val is None else matched(source, labelled.val, 0)
        return Split(train, val, test, unlabelled, listed=True, origin=f"imagenet and {target_name}")

    def choose_target(self) -> str:
        """The target domain's name; UserError for anything but one known target and imagenet as the source."""
        source, target = list(self.cfg.DATASET.SOURCE_DOMAINS), list(self.cfg.DATASET.TARGET_DOMAINS)
        if any(domain in target for domain in source):
            raise UserError(f"{self.name}: {target[0]!r} is both source and target; choose another target")
        if source not in ([], [SOURCE]):
            raise UserError(f"{self.name}: DATASET.SOURCE_DOMAINS is {source}; the source is always {SOURCE}")
        if len(target) != 1:
            raise UserError(f"{self.name}: DATASET.TARGET_DOMAINS is {target}; it must be one of {', '.join(TARGETS)}")
        if target[0] not in TARGETS:
            raise unknown(f"target domain of {self.name}", target[0], TARGETS)
        return target[0]

    def draw_unlabelled(self, target: list[Item], labelled: int) -> tuple[list[Item], list[Item]]:
        """(unlabelled, test) images of the target.

        The draw has a stream of its own, so that it depends on the seed alone and not on what the source's cache
        spared the other stream.
        """
        node, seed = self.cfg.DATASET, self.cfg.SEED
        rng = random.Random(f"unlabelled target images, seed {seed}") if seed >= 0 else random
        if node.UNLABELED == "release":
            shots = node.NUM_SHOTS
            unlabelled = draw(target, shots, rng, lambda item: item.label) if shots >= 1 else list(target)
            print(f"{self.name}: unlabelled images drawn per class from the test images (transductive, as the release)")
            return unlabelled, target
        if node.UNLABELED != "train":
            raise UserError(f"DATASET.UNLABELED is {node.UNLABELED!r}; it can be train or release")
        count = node.NUM_UNLABELED if node.NUM_UNLABELED >= 0 else min(labelled, len(target) // 2)
        if not 1 <= count < len(target):
            raise UserError(
                f"{self.name}: {count} unlabelled images cannot be taken from {len(target)} target images and leave "
                "some to test on; set DATASET.NUM_UNLABELED"
            )
        chosen = set(rng.sample(range(len(target)), count))
        print(f"{self.name}: unlabelled images drawn without regard to labels, and not tested on")
        return [target[i] for i in sorted(chosen)], [item for i, item in enumerate(target) if i not in chosen]

    def finish(self, split: Split) -> Split:
        """The shots are drawn already, by the source's reader."""
        self.told |= {name: self.source_told[name] for name in ("standing", "draw", "few_shot")}
        half = take_classes(split, self.cfg.DATASET.SUBSAMPLE_CLASSES)
        middle = (len(self.wnids) + 1) // 2
        wnids = {"all": self.wnids, "base": self.wnids[:middle], "new": self.wnids[middle:]}
        self.wnids = wnids[self.cfg.DATASET.SUBSAMPLE_CLASSES]
        return half
