"""From a protocol and what a sweep asks for to the list of its runs, each an exact `craft train` command."""

from __future__ import annotations

import functools
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from craft.common.errors import UserError, unknown
from craft.common.places import command, configs
from craft.config.layers import find, read_yaml
from craft.datasets import list_datasets
from craft.datasets.labels import as_folder
from craft.datasets.targets import target_domains
from craft.lab.sweeps.catalogue import EMBEDDED
from craft.lab.sweeps.protocol import Phase, Protocol
from craft.trainers.structures import Structure, known_structure, trainer_names

ALL = "all"  # as a target: each domain of the data set in turn


@dataclass(frozen=True)
class Sweep:
    """What the command line asks for; empty means the protocol's own. datasets: names of configs/datasets,
    ``name:target`` for one target domain, or ``name:all`` for each of them in turn. config: name of a trainer's yaml.
    source: the data set of source phases. options: trailing KEY VALUE pairs. imports: what each run imports."""

    trainers: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1, 2, 3)
    shots: tuple[int, ...] = ()
    phases: tuple[str, ...] = ()
    root: str = ""
    output: str = "output"
    config: str = ""
    backbone: str = ""
    source: str = ""
    options: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run. folder: its output. arguments: of `craft train`. needs: folder of the run that must be done before."""

    phase: str
    dataset: str
    shots: int
    trainer: str
    config: str
    seed: int
    folder: Path
    arguments: tuple[str, ...] = field(repr=False)
    needs: Path | None = None
    #: the run in ``needs``, as this plan would have it
    trained: Run | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        return f"{self.phase}/{self.dataset}/shots_{self.shots}/{self.trainer}/{self.config}/seed{self.seed}"

    @property
    def command(self) -> str:
        return shlex.join([*command("train"), *self.arguments])


def config_name(protocol: Protocol, sweep: Sweep, dataset: str) -> str:
    """The trainers' yaml: --config, else ``demo`` for the demonstration backbone, else the protocol's."""
    if sweep.config:
        return Path(sweep.config).stem
    demo = sweep.backbone == "demo" or (not sweep.backbone and dataset in EMBEDDED)
    return "demo" if demo else protocol.config


def plan(protocol: Protocol, sweep: Sweep) -> list[Run]:
    """All runs in an order in which each comes after the one it needs, seed by seed.

    UserError for what could not run: names of phases, trainers, data sets and configurations that do not exist, and
    two data sets that their folders could not tell apart.
    """
    names = [phase.name for phase in protocol.phases]
    for name in sweep.phases:
        if name not in names:
            raise unknown(f"phase of {protocol.name}", name, names)
    phases = [phase for phase in protocol.phases if not sweep.phases or phase.name in sweep.phases]
    trainers = sweep.trainers or protocol.trainers
    if protocol.hosts_only:
        trainers = tuple(dict.fromkeys(known_structure(name).name for name in trainers))
    datasets = targets(protocol, sweep)
    sources = (sweep.source or protocol.source,) if any(phase.source for phase in phases) else ()
    _check_labels((*sources, *datasets))
    runs: dict[Path, Run] = {}
    for seed in sweep.seeds:
        for shots in sweep.shots or protocol.shots:
            for phase in phases:
                for dataset in (sweep.source or protocol.source,) if phase.source else datasets:
                    for trainer in trainers:
                        run = _run(protocol, sweep, phase, dataset, shots, trainer, seed)
                        runs[run.folder] = run
    # A training is followed by its evaluations, so that the first results are whole rows of the table.
    order: dict[Path | None, int] = {folder: number for number, folder in enumerate(runs)}
    return sorted(runs.values(), key=lambda run: (run.seed, order.get(run.needs, order[run.folder]), order[run.folder]))


def targets(protocol: Protocol, sweep: Sweep) -> tuple[str, ...]:
    """The data sets of a sweep, each that stands for all its target domains replaced by ``name:target`` for each."""
    found: list[str] = []
    for dataset in sweep.datasets or protocol.datasets:
        name, _, target = dataset.partition(":")
        if target == ALL or (protocol.each_domain and not target):
            _check_dataset(name)
            file = Path(name) if Path(name).is_file() else configs() / "datasets" / f"{name}.yaml"
            found += [f"{name}:{domain}" for domain in target_domains(file, sweep.root, sweep.options)]
        else:
            found.append(dataset)
    return tuple(dict.fromkeys(found))


def _run(protocol: Protocol, sweep: Sweep, phase: Phase, dataset: str, shots: int, trainer: str, seed: int) -> Run:
    structure = known_structure(trainer)
    host = structure.name
    if phase.suffix is not None:
        trainer = _variant(structure, phase.suffix)
    name, _, target = dataset.partition(":")
    _check_dataset(name)
    if target == ALL:
        raise UserError(f"{dataset}: a source is one data set; name one target domain of it")
    stem, label = Path(name).stem, _label(dataset)
    source = sweep.source or protocol.source
    # Prompts that were learned on the source keep its configuration wherever they are tested.
    config = config_name(protocol, sweep, Path(source.partition(":")[0]).stem if phase.on_source else stem)
    if sweep.config or config != "demo":  # without a demo.yaml the demonstration backbone has the trainer's defaults
        _check_config(sweep.config or config, host)

    def folder_of(where: str, data: str) -> Path:
        return Path(sweep.output, where, data, f"shots_{shots}", trainer, config, f"seed{seed}")

    folder = folder_of(phase.folder, label)
    arguments = [word for name in sweep.imports for word in ("--import", name)]
    arguments += ["--root", sweep.root] if sweep.root else []
    arguments += ["--seed", str(seed), "--trainer", trainer, "--dataset-config-file", name]
    if sweep.config or config != "demo":
        arguments += ["--config-file", sweep.config or config]
    if sweep.backbone or config == "demo":
        arguments += ["--backbone", sweep.backbone or "demo"]
    arguments += ["--output-dir", str(folder)]
    needs, trained = None, None
    trains = structure.trainable
    if phase.needs is not None:
        arguments += ["--eval-only"]
        if trains:
            needs = folder_of(phase.needs.folder, _label(source) if phase.needs.source else label)
            of = source if phase.needs.source else dataset
            trained = _run(protocol, sweep, phase.needs, of, shots, trainer, seed)
            arguments += ["--model-dir", str(needs)]
    options = [("DATASET.NUM_SHOTS", str(shots)), *phase.options]
    if target:
        options.append(("DATASET.TARGET_DOMAINS", target))
    if _is_stock(protocol.config, sweep.config or config, host):
        options += protocol.schedule(host, stem, shots)
    arguments += [word for pair in options for word in pair] + list(sweep.options)
    return Run(phase.folder, label, shots, trainer, config, seed, folder, tuple(arguments), needs, trained)


def _label(dataset: str) -> str:
    """``imagenet_ood-r`` of ``imagenet_ood:r``: a data set in the folders of its runs."""
    name, _, target = dataset.partition(":")
    return f"{Path(name).stem}-{as_folder(target)}" if target else Path(name).stem


# -- what could not run -----------------------------------------------------------------------------------------------


def _variant(structure: Structure, suffix: str) -> str:
    name = structure.name + suffix
    if suffix not in structure.suffixes:
        raise UserError(f"there is no trainer {name}: {structure.name} learns nothing; take it out of --trainers")
    if name not in trainer_names():
        raise unknown("trainer", name, trainer_names())
    return name


def _check_dataset(name: str) -> None:
    _known_dataset(name, Path(name).is_file())


@functools.lru_cache(maxsize=256)
def _known_dataset(name: str, is_file: bool) -> None:
    known = stock_datasets()
    if name not in known and not is_file:
        raise unknown("data set", name, sorted(known))
    registered = (read_yaml(Path(name) if is_file else known[name]).get("DATASET") or {}).get("NAME")
    if registered and registered not in list_datasets():
        raise unknown(f"data set in {name}", str(registered), list_datasets())


@functools.cache
def stock_datasets() -> dict[str, Path]:
    """The yaml files of this project's data sets, by the names that sweeps know them by."""
    return {path.stem: path for path in (configs() / "datasets").glob("*.yaml")}


def _check_labels(datasets: tuple[str, ...]) -> None:
    """Folders and tables know a data set by its yaml's name: no two may share it, nor one's own a published one's."""
    known: dict[str, str] = {}
    for dataset in dict.fromkeys(datasets):
        name, label = dataset.partition(":")[0], _label(dataset)
        file = Path(name).resolve() if Path(name).is_file() else stock_datasets().get(name)
        stock = stock_datasets().get(Path(name).stem)
        if file is not None and stock is not None and file != stock.resolve():
            raise UserError(
                f"{name} has the name of this project's {stock.name}, and its runs would stand under that name; "
                "rename your file"
            )
        identity = f"{file or name}:{dataset.partition(':')[2]}"
        if known.setdefault(label, identity) != identity:
            raise UserError(
                f"{dataset} and {known[label].rstrip(':')} would both have their runs in folders called {label}; "
                "rename one of the files"
            )


@functools.cache
def _check_config(config: str, host: str) -> None:
    """UserError where the trainer has no such configuration."""
    find(config, configs() / "trainers" / host, "trainer")


@functools.cache
def _is_stock(config: str, asked: str, host: str) -> bool:
    """Whether the configuration that was asked for, by name or path, is this project's own called ``config``."""
    folder = configs() / "trainers" / host
    own = folder / f"{config}.yaml"
    return own.is_file() and find(asked, folder, "trainer").resolve() == own.resolve()


def split_words(words: list[str] | None) -> tuple[str, ...]:
    """``("a", "b", "c")`` of ``["a b", "c"]`` or ``["a,b", "c"]``: bash passes lists either way."""
    return tuple(part for word in words or () for part in word.replace(",", " ").split())


def numbers(words: list[str] | None, what: str) -> tuple[int, ...]:
    """Whole numbers of a command line; ``1-3`` is a range. UserError names ``what``."""
    found: list[int] = []
    for word in split_words(words):
        first, dash, last = word.partition("-")
        try:
            found += range(int(first), int(last) + 1) if dash and first else [int(word)]
        except ValueError:
            raise UserError(f"{what}: {word!r} is not a number or a range such as 1-3") from None
    return tuple(dict.fromkeys(found))
