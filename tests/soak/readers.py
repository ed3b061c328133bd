"""The readers that are fuzzed, each with samples of what it reads."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reader:
    """samples: whole files, which are changed. read: of a path and a folder that it may fill, and of nothing else."""

    name: str
    ending: str
    samples: list[bytes]
    read: Callable[[Path, Path], object]


def readers() -> list[Reader]:
    """All of them, with samples that they read without a complaint."""
    with tempfile.TemporaryDirectory() as name:
        return [*_texts(), *_records(), *_tensors(Path(name)), *_archives(), *_images()]


def _texts() -> list[Reader]:
    from craft.common.places import configs
    from craft.config.layers import merge, merge_options, read_yaml
    from craft.datasets.annotations import read_csv, read_lines
    from craft.datasets.classnames import class_names
    from craft.datasets.readers.image_folder import from_csv

    def config(path: Path, into: Path) -> None:
        from craft.trainers.settings import get_cfg

        merge(get_cfg(), read_yaml(path), str(path))

    def options(path: Path, into: Path) -> None:
        from craft.trainers.settings import get_cfg

        words = path.read_bytes().decode("utf-8", "surrogateescape").split(" ")
        merge_options(get_cfg(), words[: len(words) // 2 * 2])

    def names(path: Path, into: Path) -> None:
        class_names(["cat", "dog", "n01440764"], str(path), into)

    def table(path: Path, into: Path) -> None:
        list(read_csv(path, ("path", "class"), ("domain", "group", "split")))
        from_csv(path, into)

    yamls = [path.read_bytes() for path in sorted(configs().rglob("*.yaml"))]
    tables = [
        b'path,class,domain,group,split\na/1.jpg,cat,photo,0,train\n"b, 2.png",dog,art,1,test\n',
        'path;class\nä/1.jpg;Häuser\nb.png;"a ""b"""\n'.encode(),
        b"\xef\xbb\xbfpath\tclass\tsplit\nx.jpg\tcat\tval\n",
    ]
    listed = [b"cat\ta small cat\ndog\ta dog\n", b"cat,tabby\nn01440764,tench\n", "dog\tHündin\n".encode()]
    objects = [b'{"cat": "tabby", "dog": "a dog"}', b'{"n01440764": "Schleie \\u00e9"}']
    pairs = [
        b"OPTIM.LR 0.01 INPUT.SIZE (32,32) DATASET.SOURCE_DOMAINS ['a','b'] TRAINER.COOP.CSC True",
        b"TRAINER.CRAFT.STATIC_WEIGHT 1e-3 INPUT.TRANSFORMS ('normalize',) SEED 3 OUTPUT_DIR x",
    ]
    return [
        Reader("yaml configuration", ".yaml", yamls, config),
        Reader("KEY VALUE pairs", ".txt", pairs, options),
        Reader("CSV of images", ".csv", tables, table),
        Reader("list of lines", ".txt", listed, lambda path, into: list(read_lines(path))),
        Reader("class names, lines", ".txt", listed, names),
        Reader("class names, JSON", ".json", objects, names),
    ]


def _records() -> list[Reader]:
    from craft.datasets.split_file import read_split
    from craft.lab.results.collect import collect
    from craft.runs import record

    split = {part: [[f"a/{part}.jpg", 0, "a b"], [f"b/{part}.jpg", 1, "ä"]] for part in ("train", "val", "test")}
    splits = [json.dumps({**split, "made_by": {"seed": 1}}).encode(), json.dumps(split, indent=1).encode()]
    config = {"TRAINER": {"NAME": "CoOp"}, "DATASET": {"NAME": "Digits", "NUM_SHOTS": 1}, "SEED": 1, "OUTPUT_DIR": "x"}
    written = {
        "state": "done", "mode": "train", "epoch": 2, "epochs": 2, "error": None, "command": "train.py",
        "config": config,
        "identity": {"config": "ab", "code": "cd", "data": None, "classnames": None, "weights": {}, "model": None},
        "timing": {"started": "2026-01-01T00:00:00+00:00", "finished": None, "seconds": 1.5, "sessions": []},
        "split": {"train": 1, "test": 2, "digest": "x"}, "versions": {"python": "3.11"},
        "evaluated": {"epoch": 2, "by": "last"},
    }  # fmt: skip
    metrics = {
        "trainer": "CoOp",
        "dataset": "Digits",
        "seed": 1,
        "results": {"test": {"accuracy": 61.3}},
        "history": [],
    }

    def run_record(path: Path, into: Path) -> None:
        path.rename(into / "run.json")
        record.state_of(into)
        record.read(into)

    def run_in_tables(path: Path, into: Path) -> None:
        path.rename(into / "run.json")
        (into / "metrics.json").write_text(json.dumps(metrics))
        collect(into.parent)

    def metrics_in_tables(path: Path, into: Path) -> None:
        path.rename(into / "metrics.json")
        (into / "run.json").write_text(json.dumps(written))
        collect(into.parent)

    def log_in_tables(path: Path, into: Path) -> None:
        path.rename(into / "log.txt")
        collect(into.parent)

    records = [json.dumps(written, indent=2).encode()]
    log = b"** Config **\nDATASET:\n  NAME: Digits\nSEED: 1\nTRAINER:\n  NAME: CoOp\n\n"
    log += b"=> result\n* total: 719\n* accuracy: 61.3%\n"
    return [
        Reader("split file", ".json", splits, lambda path, into: read_split(path, "images")),
        Reader("run.json", ".json", records, run_record),
        Reader("run.json in tables", ".json", records, run_in_tables),
        Reader("metrics.json in tables", ".json", [json.dumps(metrics).encode()], metrics_in_tables),
        Reader("log in tables", ".txt", [log], log_in_tables),
    ]


def _tensors(folder: Path) -> list[Reader]:
    import torch
    from safetensors.torch import save

    from craft.clip import weights
    from craft.common import tensor_cache
    from craft.runs import checkpoints

    state = {
        "state_dict": {"ctx": torch.ones(2, 4)},
        "epoch": 1,
        "trainer": "CoOp",
        "classnames": ["a"],
        "val_result": None,
    }
    saved = []
    for legacy in (False, True):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=not legacy)
        saved.append(buffer.getvalue())
    safe = [save({"ctx": torch.ones(2, 4), "b": torch.zeros(3)}, {"a": "1"})]
    key = {"format": 1, "seed": 2}
    anchors = tensor_cache.store(
        "anchors", key, {"features": torch.ones(3, 4), "labels": torch.arange(3)}, folder=folder
    )

    def anchor_file(path: Path, into: Path) -> None:
        place = tensor_cache.entry("anchors", key, into)
        place.parent.mkdir(parents=True)
        path.rename(place)
        tensor_cache.load("anchors", key, into)

    return [
        Reader("checkpoint", "", saved, lambda path, into: checkpoints.read(path)),
        Reader("weights, torch.save", ".pt", saved, lambda path, into: weights._read(path)),
        Reader("weights, safetensors", ".safetensors", safe, lambda path, into: weights._read(path)),
        Reader("anchor file", "", [anchors.read_bytes()], anchor_file),
    ]


def _archives() -> list[Reader]:
    from craft.datasets.tools.archives import unpack

    samples = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as tar:
            for number in range(3):
                info = tarfile.TarInfo(f"a/{number}.txt")
                info.size = 300
                tar.addfile(info, io.BytesIO(bytes(range(100)) * 3))
            info = tarfile.TarInfo("a/link")
            info.type, info.linkname = tarfile.SYMTYPE, "1.txt"
            tar.addfile(info)
        samples.append(buffer.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as packed:
            for number in range(3):
                packed.writestr(f"a/{number}.txt", bytes(range(100)) * 3)
        samples.append(buffer.getvalue())
    return [Reader("archive", ".bin", samples, lambda path, into: unpack(path, into))]


def _images() -> list[Reader]:
    from dassl.utils import read_image
    from PIL import Image

    samples = []
    for number, (kind, mode) in enumerate(
        [("JPEG", "RGB"), ("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("GIF", "P"), ("BMP", "RGB"), ("WEBP", "RGB"),
         ("PPM", "RGB"), ("TIFF", "RGB"), ("TIFF", "F"), ("JPEG", "CMYK")]
    ):  # fmt: skip
        buffer = io.BytesIO()
        Image.new(mode, (9 + number, 7)).save(buffer, kind)
        samples.append(buffer.getvalue())
    endings = {"image named .jpg": ".jpg", "image named .png": ".png", "image named .tif": ".tif"}
    return [
        Reader(name, ending, samples, lambda path, into: read_image(str(path)).load())
        for name, ending in endings.items()
    ]
