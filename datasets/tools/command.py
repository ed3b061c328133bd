"""The data sets from the command line.

    craft data list
    craft data check Caltech101 --root DATA          is everything there, and of the right size?
    craft data check all --root DATA --images        … and can every image be decoded?
    craft data download EuroSAT --root DATA          fetch what can be fetched by script
    craft data show EuroSAT --root DATA --out sheet.png
    craft data show ImageFolder --root MY_IMAGES --out sheet.png
    craft data audit --root MY_IMAGES --dataset-config-file image_folder
    craft data verify Caltech101 --root DATA         does CLIP without learning give the published number?

`check` ends with status 0 only if nothing is missing. Trailing ``KEY VALUE`` pairs set configuration keys, e.g.
``DATASET.SOURCE_DOMAINS photo``. DATASETS.md says how each data set is prepared.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeGuard

from craft import datasets
from craft.common.errors import UserError, entry_point
from craft.common.places import configs
from craft.common.text_table import text_table
from craft.datasets.prompt_dataset import PromptDataset
from craft.datasets.registry import READERS, dataset_class, load_dassl

# Each command imports what it needs: `list`, `--help` and a misspelt name answer before torch could be loaded.


def full_name(name: str) -> str:
    """DATASET.NAME of ``name``, which may also be a yaml of configs/datasets: ``Caltech101`` of ``caltech101``.

    Raises UserError with the nearest names where there is no such data set.
    """
    name = node_of(name).get("NAME", name)
    dataset_class(name)
    return name


def node_of(name: str) -> dict[str, Any]:
    """The DATASET node of the yaml called ``name``; empty for a reader's name."""
    yaml = {path.stem: path for path in (configs() / "datasets").glob("*.yaml")}
    if name in READERS or name not in yaml:
        return {}
    from craft.config.layers import read_yaml

    return read_yaml(yaml[name]).get("DATASET", {})


def with_yaml(name: str, options: list[str]) -> list[str]:
    """``KEY VALUE`` pairs after those that the yaml called ``name`` stands for, e.g. PACS's DATASET.PATH."""
    own = [(f"DATASET.{key}", str(value)) for key, value in node_of(name).items() if key != "NAME"]
    return [word for pair in own for word in pair] + options


def declares_files(reader: type) -> TypeGuard[type[PromptDataset]]:
    return bool(getattr(reader, "files", ()))


def load(name: str, root: str, options: list[str], allow_subset: bool):
    """The whole data set, read as a run with seed 1 would read it, without writing a cache or split into ``root``."""
    datasets.enter_into_dassl()
    from dassl.config import get_cfg_default
    from dassl.data.datasets import build_dataset

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
    random.seed(cfg.SEED)
    with tempfile.TemporaryDirectory(prefix="craft-datasets-") as scratch:
        if not cfg.DATASET.CACHE_DIR:
            cfg.DATASET.CACHE_DIR = scratch
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

    opts = with_yaml(options.name, options.opts)
    findings = []
    for name, reader in readers.items():
        found = check.check_files(name, reader, root, options.allow_subset) if declares_files(reader) else []
        # With a file missing the reader could only repeat what the table says already.
        if all(finding.good or finding.state != check.MISSING for finding in found):
            reading, dataset = check.check_reading(
                name, lambda name=name: load(name, options.root, opts, options.allow_subset)
            )
            found += reading
            if options.images and dataset is not None:
                found += check.check_images(name, dataset, root)
        findings += found
    print(f"data root: {root.absolute()}")
    print(text_table(["data set", "file or folder", "state", "where to get it"], [list(f[:4]) for f in findings]))
    for finding in findings:
        if finding.detail:
            print(f"\n{finding.detail}")
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


def command_show(options: argparse.Namespace) -> int:
    name = full_name(options.name)
    from craft.datasets.tools.show import contact_sheet
    from craft.datasets.tools.sizes import parts_of, sizes

    dataset = load(name, options.root, with_yaml(options.name, options.opts), allow_subset=True)
    parts = parts_of(dataset)
    for kind, rows in sizes(dataset).items():
        print(text_table([kind, *parts], rows), end="\n\n")
    out = Path(options.out or f"{name}.png").expanduser()
    title = name
    if hasattr(dataset, "cfg"):  # Dassl's own data sets have neither config nor template
        title += f", “{datasets.template_for(dataset.cfg, dataset)}”"
    contact_sheet(dataset, title, out, options.per_class, options.classes)
    print(f"contact sheet: {out}")
    return 0


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="craft data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, text: str, epilog: str = "") -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text, epilog=epilog, allow_abbrev=False)
        one.set_defaults(run=run)
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
    text = "count the images by part, class, domain and group, and draw a contact sheet"
    one = command("show", command_show, text, keys)
    one.add_argument("name", metavar="NAME", help="a data set")
    one.add_argument("--root", default="", metavar="DIR", help="folder that holds the data sets' folders")
    one.add_argument("--out", default="", metavar="FILE.png", help="the sheet (default: NAME.png)")
    one.add_argument("--per-class", type=positive, default=8, metavar="N", help="images in a row (default: 8)")
    one.add_argument("--classes", type=positive, default=40, metavar="N", help="classes shown at most (default: 40)")
    # Listed here, where people look for it; it makes runs, so the laboratory has it, and craft/__main__.py leads there.
    command("audit", _elsewhere, "doubled images, doubted labels, uneven classes")
    command("verify", _elsewhere, "hold CLIP without learning on a data set against the published number")
    return main


def _elsewhere(options: argparse.Namespace) -> int:
    raise UserError(f"this is the command `craft data {options.command}`; call it from there")


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return number


@entry_point
def main(arguments: list[str] | None = None) -> int:
    interface = parser()
    # Not argparse.REMAINDER: after a positional name it would swallow the options as well.
    options, trailing = interface.parse_known_args(arguments)
    options.opts = trailing
    stray = [text for text in options.opts if text.startswith("--")]
    if stray or (options.opts and options.run not in (command_check, command_show)):
        interface.error(f"unrecognized arguments: {' '.join(stray or options.opts)}")
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
