"""What a run said of every image: kept, measured, and the surest mistakes listed and drawn."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, top_k_accuracy_score

from craft.__main__ import main as craft
from craft.common.errors import UserError
from craft.lab.results.mistakes import mistakes
from craft.runs import predictions
from craft.runs.predictions import Predictions
from tests.runs import metrics, run


def invented(tmp_path, n=40, classes=7):
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(n, classes, generator=generator)
    labels = torch.randint(0, classes - 1, (n,), generator=generator)  # the last class has no image
    for i in range(n):
        Image.new("RGB", (20 + i, 40), (i * 5, 100, 100)).save(tmp_path / f"{i}.png")
    return Predictions(logits, labels, [f"{i}.png" for i in range(n)], str(tmp_path), [f"class {i}" for i in range(7)])


def test_measures_are_scikit_learns(tmp_path):
    found = invented(tmp_path)
    labels, logits = found.labels.numpy(), found.logits.numpy()
    for k in (1, 5):
        assert found.top(k) == pytest.approx(100 * top_k_accuracy_score(labels, logits, k=k, labels=range(7)))
    with pytest.warns(UserWarning, match="y_pred contains classes not in y_true"):
        assert found.mean_per_class() == pytest.approx(100 * balanced_accuracy_score(labels, logits.argmax(1)))


def test_written_and_read(tmp_path):
    found = invented(tmp_path)
    path = predictions.write(tmp_path, found)
    again = predictions.read(tmp_path)
    assert torch.equal(again.logits, found.logits) and torch.equal(again.labels, found.labels)
    assert (again.images, again.root, again.classnames) == (found.images, found.root, found.classnames)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match="is damaged"):
        predictions.read(tmp_path)
    with pytest.raises(UserError, match=r"TEST\.PREDICTIONS"):
        predictions.read(tmp_path, "val")


def test_the_surest_come_first(tmp_path):
    found = invented(tmp_path)
    listed = mistakes(found)
    e = np.exp(found.logits.double().numpy())
    p, labels = e / e.sum(1, keepdims=True), found.labels.numpy()
    wrong = [i for i in range(40) if p[i].argmax() != labels[i]]
    assert [one.image for one in listed] == [f"{i}.png" for i in sorted(wrong, key=lambda i: -p[i].max())]
    for one in listed:
        i = int(one.image.removesuffix(".png"))
        assert one.p_said == pytest.approx(p[i].max(), abs=1e-6)
        assert one.p_truth == pytest.approx(p[i, labels[i]], abs=1e-6) and one.truth == f"class {labels[i]}"


def test_a_run_leaves_them_and_the_command_shows_them(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(folder, "CoOpCraft") == 0
    said = capsys.readouterr().out
    assert "* top-5:" in said and "* mean per class:" in said
    found, kept = predictions.read(folder), metrics(folder)
    assert found.top(1) == pytest.approx(kept["results"]["test"]["accuracy"])
    assert kept["measures"]["test"]["top5"] == pytest.approx(found.top(5))
    names = [name.split("/")[-2] for name in found.images]  # the embedded digits lie in folders of their class
    assert names == [found.classnames[label] for label in found.labels]
    assert craft(["results", "mistakes", str(folder), "--worst", "7", "--to", str(tmp_path / "sheet.png")]) == 0
    text = capsys.readouterr().out
    assert Counter(text.split())["taken"] == 1 and f"{len(mistakes(found))} of 719" in text
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 6 * 160 and len(np.unique(np.asarray(sheet))) > 50


def test_none_and_gone_images(tmp_path, capsys):
    folder = tmp_path / "run"
    assert run(folder, "CoOp", overrides=["TEST.PREDICTIONS", "none"]) == 0
    assert not list(folder.glob("predictions*")) and "measures" not in json.loads((folder / "metrics.json").read_text())
    assert craft(["results", "mistakes", str(folder)]) == 1
    assert "TEST.PREDICTIONS" in capsys.readouterr().err
    found = invented(tmp_path)
    predictions.write(tmp_path, found)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    assert craft(["results", "mistakes", str(tmp_path), "--to", str(tmp_path / "sheet.png")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_test_that_only_selects_an_epoch_leaves_none(tmp_path):
    """The run's number is of its best epoch; what was said of validation images last would be of another."""
    folder = tmp_path / "run"
    assert run(folder, "CoOp", overrides=["TEST.FINAL_MODEL", "best_val", "OPTIM.MAX_EPOCH", "2"]) == 0
    assert [path.name for path in folder.glob("predictions*")] == ["predictions_test.safetensors"]
    assert list(metrics(folder)["measures"]) == ["test"]


def test_only_small_sets_by_default():
    assert predictions.wanted("small", 50_000, 80) and not predictions.wanted("small", 50_000, 1000)
    assert predictions.wanted("all", 50_000, 1000) and not predictions.wanted("none", 1, 1)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    """And nothing half-written."""
    import os

    found = invented(tmp_path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        predictions.write(tmp_path / "run", found)
    assert not list((tmp_path / "run").glob("*.safetensors"))
