"""The data sets from the command line.

    craft data list
    craft data check Caltech101 --root DATA          is everything there, and of the right size?
    craft data check all --root DATA --images        … and can every image be decoded?
    craft data download EuroSAT --root DATA          fetch what can be fetched by script
    craft data adopt KAGGLE --as EuroSAT --root DATA     a copy that lies otherwise: lay links as it is read here
    craft data show EuroSAT --root DATA --out sheet.png
    craft data show ImageFolder --root MY_IMAGES --out sheet.png
    craft data audit --root MY_IMAGES --dataset-config-file image_folder
    craft data verify Caltech101 --root DATA         does CLIP without learning give the published number?
    craft data fewshot EuroSAT --root DATA --shots 16 --seed 1 --to shots.json      the shots of such a run, as a file

`check` ends with status 0 only if nothing is missing. Trailing ``KEY VALUE`` pairs set configuration keys, e.g.
``DATASET.SOURCE_DOMAINS photo``. Names are taken in any case, as readers or as files of configs/datasets are called.
DATASETS.md says how each data set is prepared; docs/extending.md, how to write a reader of one's own, which
``--import my_reader.py`` makes known here.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Any, TypeGuard

from craft import datasets
from craft.common import imports
from craft.common.arguments import Parser, whole
from craft.common.errors import UserError, entry_point
from craft.common.text_table import text_table
from craft.config.layers import read_yaml
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import READERS, dataset_class, load_dassl, reader_name, stock_names, stock_yaml

# Each command imports what it needs: `list`, `--help` and a misspelt name answer before torch could be loaded.


def full_name(name: str) -> str:
    """DATASET.NAME of ``name``, in any case, which may also be a yaml of configs/datasets: ``DescribableTextures`` of
    ``dtd``.

    Raises UserError with the nearest names where there is no such data set.
    """
    node = node_of(name)
    return reader_name(node["NAME"]) if "NAME" in node else reader_name(name, stock_names())


def node_of(name: str) -> dict[str, Any]:
    """The DATASET node of the yaml called ``name``, in any case; empty for a reader's name."""
    if name in datasets.list_datasets():
        return {}
    yaml = stock_yaml(name)
    if yaml is None:
        return {}
    return read_yaml(yaml).get("DATASET", {})


def with_yaml(name: str, options: list[str]) -> list[str]:
    """``KEY VALUE`` pairs after those that the yaml called ``name`` stands for, e.g. PACS's DATASET.PATH."""
    own = [(f"DATASET.{key}", str(value)) for key, value in node_of(name).items() if key != "NAME"]
    return [word for pair in own for word in pair] + options


def declares_files(reader: type) -> TypeGuard[type[PromptDataset]]:
    return bool(getattr(reader, "files", ()))


def configuration(name: str, root: str, options: list[str], allow_subset: bool):
    """The configuration of a run with seed 1, as far as reading the data goes."""
    datasets.enter_into_dassl()
    from dassl.config import get_cfg_default

    cfg = get_cfg_default()
    datasets.extend_cfg(cfg)
    cfg.VERBOSE = False
    cfg.SEED = 1
    cfg.DATASET.NAME, cfg.DATASET.ROOT, cfg.DATASET.ALLOW_SUBSET = name, root, allow_subset
    if options:
        from craft.config import keys
        from craft.config.layers import merge_options

        defaults = cfg.clone()
        merge_options(cfg, options)
        keys.check(cfg, defaults)
    return cfg


def load(cfg):
    """The whole data set, read as a run reads it, without writing a cache or split."""
    from dassl.data.datasets import build_dataset

    from craft.datasets.caches import only_looking

    random.seed(cfg.SEED)
    name = cfg.DATASET.NAME
    with only_looking():
        try:
            return build_dataset(cfg)
        except (OSError, AssertionError, ValueError, KeyError) as error:
            if name in READERS:
                raise
            # Dassl's own readers complain in many ways, about missing folders and domains for the most part.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{name} cannot be read: {reason}; see how Dassl wants it prepared") from error


def command_list(options: argparse.Namespace) -> int:
    if options.dassl:
        load_dassl()
    rows = []
    for name in datasets.list_datasets():
        reader = dataset_class(name)
        counts = getattr(reader, "expected", None)
        fetched = [any(s.scripted for s in f.sources) for f in getattr(reader, "files", ()) if f.role == "required"]
        if getattr(reader, "generated", False):
            how = "made on this machine"
        elif not fetched:
            how = "your own" if name == "ImageFolder" else "see DATASETS.md"
        else:
            how = "download" if all(fetched) else "download in part" if any(fetched) else "by hand"
        numbers = ["-" if c is None else c for c in counts] if counts else ["-"] * 4
        names = getattr(reader, "dataset_dirs", ()) or (getattr(reader, "dataset_dir", ""),)
        rows.append([name, names[0] or "-", *numbers, how, getattr(reader, "template", "") or "a photo of a {}."])
    header = ["data set", "folder", "classes", "train", "val", "test", "comes by", "text template"]
    print(text_table(header, rows))
    return 0


def command_check(options: argparse.Namespace) -> int:
    if options.name == "all":
        names = [name for name in datasets.list_datasets() if declares_files(dataset_class(name))]
    else:
        names = [full_name(options.name)]
    readers = {name: dataset_class(name) for name in names}
    root = Path(options.root).expanduser()
    if options.root and not root.exists():
        raise UserError(f"the data root {root} does not exist; check --root")
    if not options.root and any(declares_files(reader) for reader in readers.values()):
        raise UserError("say where the data sets are: --root DIR")
    from craft.datasets.tools import check
    from craft.datasets.tools.check_layouts import proposals

    opts = with_yaml(options.name, options.opts)
    findings, proposed = [], []
    for name, reader in readers.items():
        cfg = configuration(name, options.root, opts, options.allow_subset)
        found = []
        if declares_files(reader):
            found = check.check_files(name, reader, root, cfg.DATASET.ALLOW_SUBSET, cfg.DATASET.CACHE_DIR)
            found = check.look_around(name, reader, root, found, cfg.DATASET.CACHE_DIR, options.name != "all")
        # With a file missing the reader could only repeat what the table says already.
        if not any(finding.detail or finding.state == check.MISSING for finding in found if not finding.good):
            reading, dataset = check.check_reading(name, lambda cfg=cfg: load(cfg))
            found = (check.excused(found) if dataset is not None else found) + reading
            if dataset is not None:
                found += check.check_classes(name, dataset, datasets.template_for(cfg, dataset))
            if options.images and dataset is not None:
                found += check.check_images(name, dataset, root)
        if not all(finding.good for finding in found) and declares_files(reader):
            proposed += proposals(name, reader, root.absolute(), check.folder_of(reader, root.absolute()))
        findings += found
    print(f"data root: {root.absolute()}")
    print(text_table(["data set", "file or folder", "state", "where to get it"], [list(f[:4]) for f in findings]))
    for finding in findings:
        if finding.detail:
            print(f"\n{finding.detail}")
    details = "\n".join(finding.detail for finding in findings)
    for what, command in proposed:
        if command not in details:
            print(f"\n{what}:\n    {command}")
    bad = [finding for finding in findings if not finding.good]
    print(f"\n{len(bad)} problem(s)" if bad else "\neverything is there")
    return 1 if bad else 0


def command_download(options: argparse.Namespace) -> int:
    readers = {name: dataset_class(name) for name in map(full_name, options.names)}
    from craft.datasets.tools import check, download

    status = 0
    for name, reader in readers.items():
        if getattr(reader, "generated", False):
            print(f"{name}: nothing to download, it is made on this machine")
            continue
        if not declares_files(reader):
            raise UserError(f"{name} does not say where its files come from; prepare it by hand")
        folder = check.folder_of(reader, Path(options.root).expanduser())
        outcome = download.download_dataset(reader.files_in(folder), folder, options.keep)
        for path in outcome.placed:
            print(f"{name}: {folder / path} is in place")
        for file in outcome.by_hand:
            archive = next((source.filename for source in file.sources if source.filename), "")
            where = f"; put {archive} into {folder / '.download'} and run this again" if archive else ""
            print(f"{name}: {folder / file.path} has to be fetched by hand from {file.origin}{where}")
        for failure in outcome.failures:
            print(f"{name}: {failure}")
        if outcome == ([], [], []):
            print(f"{name}: nothing to download, everything is in {folder}")
        else:
            print(f"{name}: `craft data check {name} --root {options.root}` says whether it is complete")
        if outcome.by_hand or outcome.failures:
            status = 1
    return status


def command_adopt(options: argparse.Namespace) -> int:
    name = full_name(options.data_set)
    reader = dataset_class(name)
    if not declares_files(reader):
        raise UserError(
            f"{name} does not say which files it has; only sets that `craft data download` knows are adopted"
        )
    from craft.datasets.tools import adopt_report

    return adopt_report.run(name, reader, options, lambda root, subset: configuration(name, root, [], subset))


def command_show(options: argparse.Namespace) -> int:
    name = full_name(options.name)
    from craft.datasets import class_texts
    from craft.datasets.tools.check import digests_of
    from craft.datasets.tools.show import contact_sheet
    from craft.datasets.tools.sizes import parts_of, sizes

    cfg = configuration(name, options.root, with_yaml(options.name, options.opts), allow_subset=True)
    dataset = load(cfg)
    parts = parts_of(dataset)
    for kind, rows in sizes(dataset).items():
        print(text_table([kind, *parts], rows), end="\n\n")
    for what, said in digests_of(dataset):
        print(f"digest of {what}: {said}")
    names = [dataset.lab2cname[label] for label in sorted(dataset.lab2cname)]
    template = datasets.template_for(cfg, dataset)
    print(text_table(["label", "text"], list(enumerate(class_texts.filled(template, names)))), end="\n\n")
    if getattr(dataset, "expected", None) is None:
        for line in class_texts.oddities(names):
            print(f"Warning: {line}")
    out = Path(options.out or f"{name}.png").expanduser()
    contact_sheet(dataset, f"{name}, “{template}”", out, options.per_class, options.classes)
    print(f"contact sheet: {out}")
    return 0


def command_fewshot(options: argparse.Namespace) -> int:
    name = full_name(options.name)
    from craft.datasets.tools.shots import write_shots

    asked = [] if options.shots is None else ["DATASET.NUM_SHOTS", str(options.shots)]
    pairs = [*with_yaml(options.name, options.opts), "SEED", str(options.seed), *asked]
    write_shots(
        name,
        lambda more: configuration(name, options.root, pairs + more, allow_subset=True),
        options.to,
        options.prefix,
    )
    return 0


def command_document(options: argparse.Namespace) -> int:
    from craft.datasets.tools.document import update

    return 0 if update(Path(options.file), options.check) else 1


def parser() -> argparse.ArgumentParser:
    main = Parser("craft data", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str, epilog: str = "") -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text, epilog=epilog)
        one.set_defaults(run=run)
        imports.add_option(one)  # for --help; `main` has taken them before
        return one

    keys = "Trailing KEY VALUE pairs set configuration keys, e.g. DATASET.SOURCE_DOMAINS photo"
    one = command("list", command_list, "the data sets that DATASET.NAME may take")
    one.add_argument("--dassl", action="store_true", help="name those of an installed upstream Dassl, too")
    text = "say which files are found, missing or of unexpected size; status 1 unless all is well"
    one = command("check", command_check, text, keys)
    one.add_argument("name", metavar="NAME", help="a data set, or all")
    one.add_argument("--root", default="", metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--images", action="store_true", help="decode every image and name those that cannot be")
    one.add_argument("--allow-subset", action="store_true", help="accept fewer images or classes than published")
    one = command("download", command_download, "fetch what is missing of the named data sets and unpack it in place")
    one.add_argument("names", nargs="+", metavar="NAME", help="data sets; nothing is fetched that is not named")
    one.add_argument("--root", required=True, metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--keep", action="store_true", help="keep the archives, in .download/ of the data set's folder")
    text = "lay a copy of a data set that lies otherwise (Kaggle's, torchvision's, a colleague's) as it is read here"
    one = command(
        "adopt", command_adopt, text, "Nothing in FOLDER is changed; links lead into it unless --copy is given."
    )
    one.add_argument("folder", metavar="FOLDER", help="where the data set lies, unpacked")
    one.add_argument("--as", dest="data_set", required=True, metavar="NAME", help="which data set it is")
    one.add_argument("--root", required=True, metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    one.add_argument("--dry-run", action="store_true", help="show the plan; write and fetch nothing")
    one.add_argument(
        "--no-fetch", dest="fetch", action="store_false", help="do not fetch a missing split or annotation"
    )
    text_subset = "lay sets that lack images, and take annotations other than the published ones"
    one.add_argument("--allow-subset", action="store_true", help=text_subset)
    text = "count the images by part, class, domain and group, and draw a contact sheet"
    one = command("show", command_show, text, keys)
    one.add_argument("name", metavar="NAME", help="a data set")
    one.add_argument("--root", default="", metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--out", default="", metavar="FILE.png", help="the sheet (default: NAME.png)")
    one.add_argument(
        "--per-class", type=whole(1), default=8, metavar="N", help="images in a row (default: 8; 10,000 on a sheet)"
    )
    one.add_argument("--classes", type=whole(1), default=40, metavar="N", help="classes shown at most (default: 40)")
    # Listed here, where people look for it; it makes runs, so the laboratory has it, and craft/__main__.py leads there.
    command("audit", _elsewhere, "doubled images, doubted labels, uneven classes")
    command("verify", _elsewhere, "hold CLIP without learning on a data set against the published number")
    text = "write the shots that a run draws as a list that others can read; DATASET.FEWSHOT_FILE trains on such a list"
    one = command("fewshot", command_fewshot, text, keys)
    one.add_argument("name", metavar="NAME", help="a data set")
    one.add_argument("--root", default="", metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--shots", type=whole(1), metavar="K", help="images a class")
    one.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the draw (default: 1)")
    one.add_argument("--to", required=True, metavar="FILE", help=".json, or .jsonl for FILE_train and FILE_val")
    one.add_argument("--prefix", default="", metavar="TEXT", help="put before every path, e.g. ./data (default: none)")
    one = command("document", command_document, "write the parts of DATASETS.md that say what the readers declare")
    one.add_argument("file", nargs="?", default="DATASETS.md", metavar="FILE", help="default: DATASETS.md")
    one.add_argument("--check", action="store_true", help="write nothing; status 1 if the file says anything else")
    return main


def _elsewhere(options: argparse.Namespace) -> int:
    raise UserError(f"this is the command `craft data {options.command}`; call it from there")


@entry_point
def main(arguments: list[str] | None = None) -> int:
    _, words = imports.take(sys.argv[1:] if arguments is None else arguments)  # readers of one's own
    interface = parser()
    # Not argparse.REMAINDER: after a positional name it would swallow the options as well.
    options, trailing = interface.parse_known_args(words)
    options.opts = trailing
    stray = [text for text in options.opts if text.startswith("--")]
    if stray or (options.opts and options.run not in (command_check, command_show, command_fewshot)):
        interface.error(f"unrecognized arguments: {' '.join(stray or options.opts)}")
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
