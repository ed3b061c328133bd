"""Leaving each domain out in turn: what a sweep runs, on a miniature of PACS from one command to one table."""

import json
import shlex

import numpy as np
import pytest
from PIL import Image

from craft.common.errors import UserError
from craft.datasets.labels import domains_label
from craft.lab.results import command as results
from craft.lab.results.collect import collect
from craft.lab.results.tables import build
from craft.lab.sweeps import command
from craft.lab.sweeps.catalogue import PROTOCOLS
from craft.lab.sweeps.executors import EXECUTORS, register_executor
from craft.lab.sweeps.plan import Sweep, plan
from tests.lab.sweeps.test_toy_executor import InThisProcess

DOMAINS = ("art_painting", "cartoon", "photo", "sketch")
CLASSES = ("dog", "elephant", "guitar")
PER_CLASS = 10


@pytest.fixture
def root(tmp_path):
    """A data root with PACS/DOMAIN/CLASS/IMAGE."""
    rng = np.random.default_rng(0)
    for domain in DOMAINS:
        for label, name in enumerate(CLASSES):
            folder = tmp_path / "data/PACS" / domain / name
            folder.mkdir(parents=True)
            for index in range(PER_CLASS):
                pixels = rng.integers(0, 60, (32, 32, 3)) + 60 * label
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"pic_{index:03d}.png")
    return tmp_path / "data"


@pytest.fixture
def in_this_process():
    register_executor("in-this-process", InThisProcess)
    yield ["--executor", "in-this-process"]
    del EXECUTORS["in-this-process"]


def targets(protocol, *datasets, **sweep):
    runs = plan(PROTOCOLS[protocol], Sweep(datasets=datasets, trainers=("CoOp",), seeds=(1,), **sweep))
    words = [shlex.split(run.command) for run in runs]
    return [line[line.index("DATASET.TARGET_DOMAINS") + 1] for line in words]


def test_a_data_set_stands_for_each_of_its_domains(root):
    assert targets("leave_one_out", "pacs:all", root=str(root)) == list(DOMAINS)
    assert targets("leave_one_out", "pacs", root=str(root)) == list(DOMAINS)
    assert targets("leave_one_out", "pacs:photo") == ["photo"]  # a name that is given needs no disk
    assert targets("ood", "digits_shift:all") == ["rendered", "handwritten"]
    assert targets("ood", "imagenet_ood:all") == ["v2", "sketch", "a", "r"]
    assert targets("leave_one_out", "image_folder:all", root=str(root / "PACS")) == list(DOMAINS)
    elsewhere = ("DATASET.PATH", "PACS")
    assert targets("leave_one_out", "image_folder:all", root=str(root), options=elsewhere) == list(DOMAINS)
    runs = plan(PROTOCOLS["leave_one_out"], Sweep(datasets=("pacs:all",), root=str(root)))
    assert len({run.folder for run in runs}) == len(runs) == 4 * 3 * len(PROTOCOLS["leave_one_out"].trainers)


def test_domains_of_split_folders_and_of_a_csv(root, tmp_path):
    for part in ("train", "test"):
        for domain in ("day", "night"):
            (tmp_path / "split" / part / domain / "cat").mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(tmp_path / "split" / part / domain / "cat" / "1.png")
    assert targets("leave_one_out", "image_folder:all", root=str(tmp_path / "split")) == ["day", "night"]
    rows = [
        f"{domain}/dog/pic_000.png,dog,{place}" for domain, place in zip(DOMAINS, ("in/doors", "out", "out", "out"))
    ]
    (root / "PACS/list.csv").write_text("\n".join(["path,class,domain", *rows]))
    sweep = Sweep(datasets=("image_folder:all",), root=str(root / "PACS"), options=("DATASET.PATH", "list.csv"))
    labels = {run.dataset for run in plan(PROTOCOLS["leave_one_out"], sweep)}
    assert labels == {"image_folder-in_doors", "image_folder-out"}  # a name of a folder, not of two


def test_what_cannot_be_left_out_is_said(root, tmp_path):
    for datasets, said in (
        (("dtd",), "dtd has no domains"),
        (("pacz",), "pacs"),
        (("vlcs:all",), "VLCS does not exist; check --root"),
    ):
        with pytest.raises(UserError, match=said):
            targets("leave_one_out", *datasets, root=str(root))
    (tmp_path / "one/VLCS/only/cat").mkdir(parents=True)
    with pytest.raises(UserError, match="one domain, only"):
        targets("leave_one_out", "vlcs", root=str(tmp_path / "one"))
    with pytest.raises(UserError, match="a source is one data set"):
        plan(PROTOCOLS["cross_dataset"], Sweep(source="pacs:all", root=str(root)))


def test_one_command_ends_in_one_table(root, tmp_path, in_this_process, capsys, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    words = ["run", "leave_one_out", "--datasets", "pacs:all", "--trainers", "CoOp", "CoOpCraft", "CoOpCraftOOD"]
    words += ["--root", str(root), "--seeds", "1", "--shots", "2", "--backbone", "demo", "--output", str(out)]
    words += [*in_this_process, "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]
    assert command.main(words) == 0
    said = capsys.readouterr().out
    assert "12 run, 0 done before, 0 failed" in said
    # Sources: the other three; shots of each class over all of them; the target's own training images, unlabelled.
    per_domain = len(CLASSES) * PER_CLASS
    accuracies = {}
    for domain in DOMAINS:
        folder = out / f"leave_one_out/pacs-{domain}/shots_2/CoOpCraftOOD/demo/seed1"
        split = json.loads((folder / "run.json").read_text())["split"]
        assert split["train"] == 2 * len(CLASSES) and split["test"] == 0.3 * per_domain
        text = (folder / "log.txt").read_text()
        others = ", ".join(other for other in DOMAINS if other != domain)
        assert f"source {others}; target {domain}; {per_domain // 2} unlabelled target images" in text
        for trainer in ("CoOp", "CoOpCraft", "CoOpCraftOOD"):
            done = json.loads((folder.parents[2] / trainer / "demo/seed1/metrics.json").read_text())
            accuracies[trainer, domain] = done["results"]["test"]["accuracy"]
    # Each choice of domains was drawn once: by the first trainer's run, and read by the two others'.
    assert (said.count("drawn now"), said.count("as drawn before")) == (4, 8)
    draws = sorted(path.name for path in (tmp_path / "cache").rglob("shot_2*.json"))
    assert draws == [f"shot_2-{domain}-seed_1.json" for domain in DOMAINS]

    assert results.main(["table", str(out), "--protocol", "leave_one_out"]) == 0
    assert capsys.readouterr().out.count("leave_one_out: ") == 1
    (grid,) = build(collect(out), "leave_one_out")
    assert [column.rpartition("-")[2] for column in grid.columns] == [*DOMAINS, "average"]
    assert grid.rows == ["CoOp", "CoOpCraft", "CoOpCraftOOD"]
    for trainer in grid.rows:
        shown = [grid.values[trainer, column][1] for column in grid.columns]
        each = [accuracies[trainer, domain] for domain in DOMAINS]
        assert shown == pytest.approx([*each, np.mean(each)], abs=0.006)
    # The same command again does nothing again.
    assert command.main(words) == 0 and "0 run, 12 done before" in capsys.readouterr().out


def test_labels_of_domains():
    class Node:
        SOURCE_DOMAINS, TARGET_DOMAINS = (), ()

    assert domains_label(Node) == ""
    Node.TARGET_DOMAINS = ("Real World",)
    assert domains_label(Node) == "Real World"
    Node.SOURCE_DOMAINS = ("b/c", "a")
    assert domains_label(Node) == "from_a+b_c-to_Real World"
