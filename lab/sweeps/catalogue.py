"""The protocols of the paper, declared, and how one from elsewhere joins them."""

from __future__ import annotations

from craft.common.errors import UserError, unknown
from craft.lab.sweeps.protocol import Metric, Options, Phase, Protocol, Table
from craft.terms import TERMS, Term, weight_key

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
WITH_OOD = tuple(name + suffix for name in HOSTS for suffix in ("", "Craft", "CraftOOD"))
#: made on this machine, and of the demonstration backbone's size
EMBEDDED = ("digits", "digits_shift", "digits_groups")

# -- phases -----------------------------------------------------------------------------------------------------------

TRAIN_BASE = Phase("base2new/train_base", (("DATASET.SUBSAMPLE_CLASSES", "base"),), label="base")
#: one model trained on the source serves cross-dataset and domain generalisation alike
ON_SOURCE = Phase("cross_dataset/train", source=True)


def ablation() -> tuple[Phase, ...]:
    """The host; each term that reads a labelled batch, alone; all of these; each term that compares two samples, alone;
    all. Of the terms that are registered when it is called."""
    batch = [term for term in TERMS.values() if not term.compares]
    compared = [term for term in TERMS.values() if term.compares]
    return (
        Phase("ablation/host", suffix="", label="host"),
        *(_with("Craft", term.name, f"+ {term.label}", [term]) for term in batch),
        _with("Craft", "both", "+ " + ("both" if len(batch) == 2 else ", ".join(t.label for t in batch)), batch),
        *(_with("CraftOOD", term.name, f"+ {term.label}", [term]) for term in compared),
        _with("CraftOOD", "all", "+ all", list(TERMS.values())),
    )


def _with(suffix: str, name: str, label: str, terms: list[Term]) -> Phase:
    """The phase of these terms: the weights of all others are zero, whether the trainer would have them or not."""
    off = tuple((weight_key(term), "0") for term in TERMS.values() if term not in terms)
    return Phase(f"ablation/{name}", off, suffix=suffix, label=label, pictured=len(terms) > 1)


# -- schedules --------------------------------------------------------------------------------------------------------


def _base2new_schedule(host: str, dataset: str, shots: int) -> Options:
    return (("OPTIM.MAX_EPOCH", "50"),) if (host, dataset) == ("CoOp", "imagenet") else ()


def _few_shot_schedule(host: str, dataset: str, shots: int) -> Options:
    if host != "CoOp":
        return ()
    if shots == 1 or dataset == "imagenet":
        return (("OPTIM.MAX_EPOCH", "50"),)
    return (("OPTIM.MAX_EPOCH", "100"),) if shots in (2, 4) else ()


# -- the protocols ----------------------------------------------------------------------------------------------------

PROTOCOLS: dict[str, Protocol] = {}  # in the order of lists and tables
#: runs that belong to no protocol: no sweep, but a table
SINGLE_RUNS = Protocol("runs", "single runs", "", (Phase("runs"),), (), ())


def register_protocol(protocol: Protocol) -> Protocol:
    """Make a protocol known to sweeps, tables and figures. UserError where its parts do not fit, or a name is taken."""

    def refused(why: str) -> UserError:
        return UserError(f"protocol {protocol.name!r}: {why}")

    if protocol.name in (*PROTOCOLS, SINGLE_RUNS.name) and PROTOCOLS.get(protocol.name) != protocol:
        raise refused("the name is taken; choose another")
    phases = protocol.phases
    if not any(not phase.source for phase in phases):
        raise refused("no phase runs on the data sets of a sweep; declare one that is not source=True")
    taken = {phase.folder: phase for other in PROTOCOLS.values() if other is not protocol for phase in other.phases}
    for number, phase in enumerate(phases):
        if taken.get(phase.folder, phase) != phase or phase.folder in [other.folder for other in phases[:number]]:
            raise refused(f"the folder {phase.folder} is that of another phase; choose another")
        if phase.needs is not None and phase.needs not in phases[:number]:
            raise refused(f"{phase.folder} needs {phase.needs.folder}, which must stand before it among its phases")
        if "phases" in (protocol.table.columns, protocol.table.rows) and not (phase.source or phase.label):
            raise refused(f"its table shows phases, and {phase.folder} has no label")
    PROTOCOLS[protocol.name] = protocol
    return protocol


def protocol_named(name: str) -> Protocol:
    """The protocol called ``name``; UserError with the nearest names."""
    if name not in PROTOCOLS:
        raise unknown("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def protocol_of(folder: str) -> Protocol | None:
    """The first protocol one of whose phases has its runs below ``folder``; None for a single run's."""
    return next((protocol for protocol in PROTOCOLS.values() if protocol.phase(folder)), None)


for _protocol in (
    Protocol(
        "base2new",
        "train on the first half of the classes, test on them and on the others; harmonic mean",
        "base2new",
        (
            TRAIN_BASE,
            Phase("base2new/test_new", (("DATASET.SUBSAMPLE_CLASSES", "new"),), needs=TRAIN_BASE, label="new"),
        ),
        BENCHMARKS,
        ("ZeroshotCLIP", *WITH_CRAFT),
        schedule=_base2new_schedule,
        table=Table(
            per=("shots", "dataset"),
            columns="phases",
            harmonic=("H", "base", "new"),
            average=True,
            published="base2new",
            claims="beside",
        ),
    ),
    Protocol(
        "few_shot",
        "all classes from 1, 2, 4, 8 and 16 images each",
        "few_shot",
        (Phase("few_shot"),),
        BENCHMARKS,
        WITH_CRAFT,
        shots=(1, 2, 4, 8, 16),
        schedule=_few_shot_schedule,
        table=Table(per=("dataset",), columns="shots", average=True, published="few_shot"),
    ),
    Protocol(
        "cross_dataset",
        "train on ImageNet (--source), test on ten other data sets",
        "cross_dataset",
        (ON_SOURCE, Phase("cross_dataset/test", needs=ON_SOURCE)),
        BENCHMARKS[1:],
        WITH_CRAFT,
        table=Table(per=("shots",), columns="datasets", average=True, published="cross_dataset", claims="each"),
    ),
    Protocol(
        "domain_generalization",
        "train on ImageNet (--source), test on its variants V2, Sketch, A and R",
        "cross_dataset",
        (ON_SOURCE, Phase("domain_generalization/test", needs=ON_SOURCE)),
        ("imagenetv2", "imagenet_sketch", "imagenet_a", "imagenet_r"),
        WITH_CRAFT,
        table=Table(per=("shots",), columns="datasets", average=True, published="domain_generalisation", claims="each"),
    ),
    Protocol(
        "ood",
        "labelled source, unlabelled images of the target domain, test on the target",
        "cross_dataset",
        (Phase("ood"),),
        ("imagenet_ood:v2", "imagenet_ood:sketch", "imagenet_ood:a", "imagenet_ood:r"),
        WITH_OOD,
        table=Table(per=("shots",), columns="datasets", average=True, published="ood", claims="each"),
    ),
    Protocol(
        "leave_one_out",
        "train on all domains of a data set but one, test on that one; each in turn",
        "cross_dataset",
        (Phase("leave_one_out"),),
        ("pacs", "vlcs", "office_home", "terra_incognita", "domain_net"),
        ("ZeroshotCLIP", *WITH_OOD),
        each_domain=True,
        table=Table(
            per=("shots", "family"),
            columns="datasets",
            average=True,
            notes=(
                "a column is the target domain, all others are the sources; shots are of a class over all sources; "
                "tested on the target's test part, where published numbers may be of all its images",
            ),
        ),
    ),
    Protocol(
        "group_robustness",
        "train with a spurious attribute, test every group; worst-group accuracy",
        "few_shot",
        (Phase("group_robustness"),),
        ("waterbirds", "celeba"),
        ("ZeroshotCLIP", *WITH_CRAFT),
        table=Table(
            metrics=(
                Metric("accuracy_train_weighted", "average", published="average"),
                Metric("worst_group_accuracy", "worst group", published="worst_group_accuracy"),
                Metric("gap", less=True),
                Metric("accuracy", "plain accuracy"),
            ),
            main="worst_group_accuracy",
            published="group_robustness",
            claims="each",
            notes=("average: groups weighted by their share of training images; gap = average − worst",),
        ),
    ),
    Protocol(
        "ablation",
        "each of Craft's terms by itself and together, as differences to the host (--trainers names hosts)",
        "cross_dataset",
        ablation,
        ("digits_shift",),
        ("CoOp", "MaPLe"),
        hosts_only=True,
        table=Table(per=("dataset", "shots", "host"), rows="phases"),
    ),
):
    register_protocol(_protocol)
