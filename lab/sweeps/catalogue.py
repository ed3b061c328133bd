"""The protocols of the paper, as data: which phases a sweep has, what each trains or evaluates, and where it lands.

Every run's folder is ``<output>/<phase folder>/<data set>/shots_<K>/<trainer>/<config>/seed<N>``, which for
base-to-new is the layout that CoOp's scripts made common.
"""

from __future__ import annotations

from dataclasses import dataclass

Options = tuple[tuple[str, str], ...]

BENCHMARKS = (
    "imagenet",
    "caltech101",
    "oxford_pets",
    "stanford_cars",
    "oxford_flowers",
    "food101",
    "fgvc_aircraft",
    "sun397",
    "dtd",
    "eurosat",
    "ucf101",
)
HOSTS = ("CoOp", "MaPLe", "PromptSRC")
WITH_CRAFT = tuple(name + suffix for name in HOSTS for suffix in ("", "Craft"))
#: made on this machine, and of the demonstration backbone's size
EMBEDDED = ("digits", "digits_shift", "digits_groups")


@dataclass(frozen=True)
class Phase:
    """One kind of run of a protocol.

    folder: below the output folder. needs: the folder of the phase whose learned prompts it evaluates; empty: it trains
    (and tests). source: it runs on the sweep's source data set instead of on each of its data sets. suffix: of the
    trainer, in place of the one asked for (ablation). options: configuration keys.
    """

    folder: str
    options: Options = ()
    needs: str = ""
    source: bool = False
    suffix: str | None = None


@dataclass(frozen=True)
class Protocol:
    """config: name of the trainers' yaml. hosts_only: --trainers names prompt structures, the phases their variants."""

    name: str
    summary: str
    config: str
    phases: tuple[Phase, ...]
    datasets: tuple[str, ...]
    trainers: tuple[str, ...]
    shots: tuple[int, ...] = (16,)
    hosts_only: bool = False


STATIC, STOCHASTIC = "TRAINER.CRAFT.STATIC_WEIGHT", "TRAINER.CRAFT.STOCHASTIC_WEIGHT"
#: one model trained on the source serves cross-dataset and domain generalisation alike
ON_SOURCE = Phase("cross_dataset/train", source=True)

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "base2new",
            "train on the first half of the classes, test on them and on the others; harmonic mean",
            "base2new",
            (
                Phase("base2new/train_base", (("DATASET.SUBSAMPLE_CLASSES", "base"),)),
                Phase("base2new/test_new", (("DATASET.SUBSAMPLE_CLASSES", "new"),), needs="base2new/train_base"),
            ),
            BENCHMARKS,
            ("ZeroshotCLIP", *WITH_CRAFT),
        ),
        Protocol(
            "few_shot",
            "all classes from 1, 2, 4, 8 and 16 images each",
            "few_shot",
            (Phase("few_shot"),),
            BENCHMARKS,
            WITH_CRAFT,
            shots=(1, 2, 4, 8, 16),
        ),
        Protocol(
            "cross_dataset",
            "train on ImageNet (--source), test on ten other data sets",
            "cross_dataset",
            (ON_SOURCE, Phase("cross_dataset/test", needs=ON_SOURCE.folder)),
            BENCHMARKS[1:],
            WITH_CRAFT,
        ),
        Protocol(
            "domain_generalization",
            "train on ImageNet (--source), test on its variants V2, Sketch, A and R",
            "cross_dataset",
            (ON_SOURCE, Phase("domain_generalization/test", needs=ON_SOURCE.folder)),
            ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r"),
            WITH_CRAFT,
        ),
        Protocol(
            "ood",
            "labelled source, unlabelled images of the target domain, test on the target",
            "cross_dataset",
            (Phase("ood"),),
            ("imagenet_ood:v2", "imagenet_ood:sketch", "imagenet_ood:a", "imagenet_ood:r"),
            tuple(name + suffix for name in HOSTS for suffix in ("", "Craft", "CraftOOD")),
        ),
        Protocol(
            "group_robustness",
            "train with a spurious attribute, test every group; worst-group accuracy",
            "few_shot",
            (Phase("group_robustness"),),
            ("waterbirds", "celeba"),
            ("ZeroshotCLIP", *WITH_CRAFT),
        ),
        Protocol(
            "ablation",
            "each of Craft's terms by itself and together, as differences to the host (--trainers names hosts)",
            "cross_dataset",
            (
                Phase("ablation/host", suffix=""),
                Phase("ablation/static", ((STOCHASTIC, "0"),), suffix="Craft"),
                Phase("ablation/stochastic", ((STATIC, "0"),), suffix="Craft"),
                Phase("ablation/both", suffix="Craft"),
                Phase("ablation/mmd", ((STATIC, "0"), (STOCHASTIC, "0")), suffix="CraftOOD"),
                Phase("ablation/all", suffix="CraftOOD"),
            ),
            ("digits_shift",),
            ("CoOp", "MaPLe"),
            hosts_only=True,
        ),
    )
}


def published_schedule(protocol: str, host: str, dataset: str, shots: int) -> Options:
    """Options where a published schedule depends on data set or shots and one yaml cannot say it."""
    if host != "CoOp":
        return ()
    if protocol == "base2new" and dataset == "imagenet":
        return (("OPTIM.MAX_EPOCH", "50"),)
    if protocol == "few_shot" and (shots == 1 or dataset == "imagenet"):
        return (("OPTIM.MAX_EPOCH", "50"),)
    if protocol == "few_shot" and shots in (2, 4):
        return (("OPTIM.MAX_EPOCH", "100"),)
    return ()
