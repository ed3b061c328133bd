"""Static image anchors: what they are, that the cache finds them again, and that it never believes a stale one."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from sklearn.cluster import KMeans

from craft.anchors import static as anchors
from craft.clip import load_backbone
from craft.common import tensor_cache
from craft.common.errors import UserError
from craft.trainers.precompute import main as anchors_main
from craft.trainers.settings import get_cfg
from tests.runs import QUICK, metrics, run


@pytest.fixture(scope="module")
def backbone():
    return load_backbone("demo")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def data(tmp_path):
    """Two classes of the same name, four images each."""
    items = []
    rng = np.random.default_rng(0)
    for number in range(8):
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (40, 36, 3), dtype=np.uint8)).save(path)
        items.append(SimpleNamespace(impath=str(path), label=number % 2, classname="crane", domain=0))
    return SimpleNamespace(train_x=items, num_classes=2, lab2cname={0: "crane", 1: "crane"})


def config(per_class=1):
    cfg = get_cfg()
    cfg.INPUT.SIZE = (32, 32)
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.TRAINER.CRAFT.ANCHORS_PER_CLASS = per_class
    return cfg


def compute(backbone, data, **kwargs):
    return anchors.static_anchors(config(**kwargs), data, backbone)


def features(backbone, data):
    """Normalised frozen features by CLIP's own code and a transform written out here."""
    out = []
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    for item in data.train_x:
        image = Image.open(item.impath).convert("RGB")
        scale = 32 / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.BICUBIC)
        left, top = round((image.width - 32) / 2), round((image.height - 32) / 2)
        pixels = torch.tensor(np.array(image)[top : top + 32, left : left + 32]).permute(2, 0, 1) / 255
        feature = backbone.module.encode_image(((pixels - mean) / std)[None])[0]
        out.append(feature / feature.norm())
    return torch.stack(out)


def test_one_anchor_a_class_is_the_class_mean(backbone, data):
    found = compute(backbone, data)
    own = features(backbone, data)
    expected = torch.stack([own[[0, 2, 4, 6]].mean(0), own[[1, 3, 5, 7]].mean(0)])
    assert found.labels.tolist() == [0, 1] and not found.cached
    torch.testing.assert_close(found.features, expected, atol=1e-4, rtol=0)


def test_more_anchors_are_kmeans_centres(backbone, data):
    found = compute(backbone, data, per_class=2)
    assert found.labels.tolist() == [0, 0, 1, 1]
    own = features(backbone, data)[::2]
    best = KMeans(2, n_init=50, random_state=5).fit(own.numpy())
    distances = torch.cdist(own, found.features[:2]).min(dim=1).values.square().sum().item()
    assert distances == pytest.approx(best.inertia_, rel=1e-3)
    assert compute(backbone, data, per_class=9).labels.tolist() == [0] * 4 + [1] * 4  # as many as there are images


def test_found_again_by_key_and_never_stale(backbone, data, monkeypatch):
    first = compute(backbone, data)
    monkeypatch.setattr(anchors, "frozen_features", lambda *_, **__: pytest.fail("computed although cached"))
    again = compute(backbone, data)
    assert again.cached and again.key == first.key and torch.equal(again.features, first.features)
    monkeypatch.undo()
    monkeypatch.setenv("CRAFT_CACHE", str(tensor_cache.cache_dir()))

    # the same path, another picture
    Image.new("RGB", (40, 36), "red").save(data.train_x[0].impath)
    changed = compute(backbone, data)
    assert not changed.cached and changed.key != first.key
    keys = {first.key, changed.key, compute(backbone, data, per_class=2).key}
    # another order, another label, another transform, seed or backbone
    data.train_x.reverse()
    keys.add(compute(backbone, data).key)
    data.train_x[0].label = 0
    keys.add(compute(backbone, data).key)
    transform = "t"
    cfg = config()
    keys.add(json.dumps(anchors.anchor_key(cfg, data, "f", transform)))
    keys.add(json.dumps(anchors.anchor_key(cfg, data, "g", transform)))
    keys.add(json.dumps(anchors.anchor_key(cfg, data, "f", "u")))
    cfg.SEED = 7
    keys.add(json.dumps(anchors.anchor_key(cfg, data, "f", transform)))
    monkeypatch.setattr(anchors, "READING", anchors.READING + 1)  # pictures are read in another way
    keys.add(json.dumps(anchors.anchor_key(cfg, data, "f", transform)))
    assert len(keys) == 10


def test_a_moved_data_root_keeps_its_anchors(backbone, data, tmp_path):
    first = compute(backbone, data)
    moved = tmp_path / "moved"
    moved.mkdir()
    for item in data.train_x:
        target = moved / item.impath.rpartition("/")[2]
        shutil.copyfile(item.impath, target)
        item.impath = str(target)
    assert compute(backbone, data).key == first.key


@pytest.mark.parametrize("damage", ["truncated", "another question"])
def test_a_damaged_entry_is_made_again(backbone, data, damage, tmp_path, caplog):
    first = compute(backbone, data)
    (path,) = (tmp_path / "cache" / "anchors").iterdir()
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:100])
    else:
        key = {"other": 1}
        other = tensor_cache.store("anchors", key, {"features": torch.zeros(2, 4), "labels": torch.zeros(2)})
        other.replace(path)
    again = compute(backbone, data)
    assert not again.cached and torch.equal(again.features, first.features)
    assert path.name in caplog.text
    assert compute(backbone, data).cached


def test_metadata_is_readable(backbone, data, tmp_path):
    compute(backbone, data)
    (path,) = (tmp_path / "cache" / "anchors").iterdir()
    with safe_open(path, framework="pt") as stream:
        about = json.loads(stream.metadata()["about"])
        key = json.loads(stream.metadata()["key"])
    assert about["images"] == 8 and about["classes"] == {"0": "crane", "1": "crane"} and "k-means" in about["what"]
    assert key["backbone"] == backbone.fingerprint and key["per_class"] == 1


def test_bad_images_and_empty_classes_are_named(backbone, data):
    data.num_classes = 3
    with pytest.raises(UserError, match="no training image for class 2"):
        compute(backbone, data)
    data.num_classes = 2
    Path(data.train_x[3].impath).write_bytes(b"not a picture")
    with pytest.raises(UserError, match=r"3\.png"):
        compute(backbone, data)
    data.train_x[3].impath += ".gone"
    with pytest.raises(UserError, match=r"3\.png\.gone"):
        compute(backbone, data)
    assert tensor_cache.load("anchors", {}) is None


def test_command_makes_what_the_trainer_finds(tmp_path, capsys):
    options = [*QUICK, "DATASET.SUBSAMPLE_CLASSES", "base", "TRAINER.CRAFT.ANCHORS_PER_CLASS", "2"]
    options[1] = "3"
    assert anchors_main(["--seed", "3", *options]) == 0
    out = capsys.readouterr().out
    assert "made: 10 anchors" in out
    assert anchors_main(["--seed", "3", *options]) == 0
    assert "found: 10 anchors" in capsys.readouterr().out
    assert run(tmp_path / "run", "KgCoOpCraft", "--seed", "3", settings=options) == 0
    assert "10 from the cache" in capsys.readouterr().out
    assert metrics(tmp_path / "run")["anchors"] in out
    # another seed is another draw of images
    assert run(tmp_path / "other", "KgCoOpCraft", "--seed", "4", settings=options) == 0
    assert "from the cache" not in capsys.readouterr().out


def test_finding_and_computing_anchors_give_the_same_run(tmp_path):
    """Reading images for anchors must not move the run's random numbers."""
    for folder in ("computed", "found"):
        assert run(tmp_path / folder, "CoOpCraft") == 0
    assert metrics(tmp_path / "computed")["history"] == metrics(tmp_path / "found")["history"]


def test_an_unwritable_cache_costs_time_not_the_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    assert run(tmp_path / "warm", "ZeroshotCLIP") == 0  # the digits' images are there
    original = tensor_cache.cache_dir
    monkeypatch.setattr(
        tensor_cache, "cache_dir", lambda *p: tmp_path / "file" / "x" if p[:1] == ("anchors",) else original(*p)
    )
    assert run(tmp_path / "run", "CoOpCraft") == 0
    assert "not cached: cannot write to" in capsys.readouterr().out
