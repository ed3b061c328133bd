"""Data sets, few-shot draws, samplers, transforms and loaders."""

import pickle
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data import DataManager, DatasetWrapper
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase, Datum
from dassl.data.samplers import build_sampler
from dassl.data.transforms import build_transform
from dassl.utils import set_random_seed
from PIL import Image

from craft.common.errors import UserError

CLASSES = ["circle", "square", "star"]


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """20 noise images of 12x10 pixels: label i mod 3, domain 0 for the first ten."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    made = []
    for i in range(20):
        path = folder / f"{i:02d}.png"
        Image.fromarray(generator.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(path)
        made.append(Datum(impath=str(path), label=i % 3, domain=i // 10, classname=CLASSES[i % 3]))
    return made


@pytest.fixture(scope="module", autouse=True)
def tiny_dataset(items):
    class TinyNoise(DatasetBase):
        def __init__(self, cfg):
            train = self.generate_fewshot_dataset(items, num_shots=cfg.DATASET.NUM_SHOTS)
            super().__init__(train_x=train, train_u=items[::2], val=items[:7], test=items)

    DATASET_REGISTRY.register(TinyNoise, force=True)


@pytest.fixture
def cfg():
    cfg = get_cfg_default()
    cfg.DATASET.NAME = "TinyNoise"
    cfg.INPUT.SIZE = (8, 8)
    cfg.INPUT.TRANSFORMS = ("random_resized_crop", "random_flip", "normalize")
    cfg.DATALOADER.NUM_WORKERS = 0
    cfg.DATALOADER.TRAIN_X.BATCH_SIZE = 4
    cfg.DATALOADER.TEST.BATCH_SIZE = 8
    cfg.USE_CUDA = False
    return cfg


# ---------------------------------------------------------------- data sets


@pytest.mark.parametrize("shots", [1, 4, 7])
def test_fewshot_draw_follows_dassls_rule(items, shots):
    """The rule, stated again: classes in the order of their first image; of each, `random.sample` of the class's
    images in file order, or all of them where there are not enough; one stream for all sources in turn."""
    shuffled = items[5:] + items[:5]
    random.seed(11)
    expected = []
    for source in (shuffled, items):
        drawn = []
        for label in dict.fromkeys(item.label for item in source):
            members = [item for item in source if item.label == label]
            drawn += random.sample(members, shots) if shots <= len(members) else members
        expected.append([item.impath for item in drawn])

    random.seed(11)
    got = DatasetBase(train_x=items).generate_fewshot_dataset(shuffled, items, num_shots=shots)
    assert [[item.impath for item in source] for source in got] == expected


def test_fewshot_with_repetition_and_without_shots(items):
    dataset = DatasetBase(train_x=items)
    random.seed(2)
    drawn = dataset.generate_fewshot_dataset(items, num_shots=9, repeat=True)
    random.seed(2)
    members = dataset.split_dataset_by_label(items)
    assert drawn == [item for label in (0, 1, 2) for item in random.choices(members[label], k=9)]
    assert dataset.generate_fewshot_dataset(items, num_shots=-1) is items


def test_dataset_knows_its_classes_and_domains(items):
    dataset = DatasetBase(train_x=items[1:], test=items)
    assert dataset.num_classes == 3
    assert dataset.lab2cname == dict(enumerate(CLASSES)) and dataset.classnames == CLASSES
    assert [len(group) for group in dataset.split_dataset_by_domain(items).values()] == [10, 10]
    assert list(dataset.split_dataset_by_label(items[1:])) == [1, 2, 0]


def test_datums_of_upstream_can_be_unpickled(items):
    """CoOp's readers cache few-shot draws as pickles; a file written with upstream holds these attributes."""
    old = Datum.__new__(Datum)
    vars(old).update(_impath="/elsewhere/1.jpg", _label=3, _domain=1, _classname="cat")
    copy = pickle.loads(pickle.dumps(old))
    assert (copy.impath, copy.label, copy.domain, copy.classname) == ("/elsewhere/1.jpg", 3, 1, "cat")
    assert vars(items[0]).keys() == vars(old).keys()


def test_unknown_domain_is_refused(items):
    dataset = DatasetBase(train_x=items)
    dataset.domains = ["photo", "sketch"]
    with pytest.raises(ValueError, match="cartoon"):
        dataset.check_input_domains(["photo"], ["cartoon"])


def test_missing_image_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png"):
        Datum(impath=str(tmp_path / "gone.png"))


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_image_is_one_line_with_its_name(cfg, tmp_path, items, workers):
    path = tmp_path / "half.png"
    path.write_bytes(Path(items[0].impath).read_bytes()[:100])
    cfg.DATALOADER.NUM_WORKERS = workers
    loader = build_data_loader(cfg, data_source=[Datum(impath=str(path))], tfm=build_transform(cfg, is_train=False))
    with pytest.raises(UserError) as caught:
        next(iter(loader))
    assert "half.png" in str(caught.value) and "\n" not in str(caught.value)


# ---------------------------------------------------------------- samplers

# Recorded from Dassl 0.6.3 with seed 3 on 14 items of label i mod 3 and domain i mod 2.
RECORDED = {
    "RandomSampler": [5, 13, 0, 12, 3, 1, 6, 7, 9, 2, 4, 11, 10, 8],
    "SequentialSampler": list(range(14)),
    "RandomDomainSampler": [12, 8, 7, 11, 2, 0, 5, 1, 13, 9, 10, 6],
    "SeqDomainSampler": [8, 2, 3, 11, 10, 12, 9, 5, 0, 6, 13, 7],
    "RandomClassSampler": [4, 7, 11, 5, 2, 8, 10, 13],
}


@pytest.mark.parametrize("name", RECORDED)
def test_samplers_give_dassls_order(name):
    source = [SimpleNamespace(label=i % 3, domain=i % 2) for i in range(14)]
    set_random_seed(3)
    sampler = build_sampler(name, data_source=source, batch_size=4, n_domain=2, n_ins=2)
    order = [int(i) for i in sampler]
    assert order == RECORDED[name]
    batches = [order[i : i + 4] for i in range(0, len(order) - 3, 4)]
    if "Domain" in name:
        assert all(sum(i % 2 for i in batch) == 2 for batch in batches) and len(set(order)) == len(order)
    if "Class" in name:
        assert all(len({i % 3 for i in batch}) == 2 for batch in batches)


def test_class_sampler_repeats_images_of_small_classes():
    source = [SimpleNamespace(label=label, domain=0) for label in (0, 0, 0, 1, 1, 1, 1, 2)]
    set_random_seed(3)
    order = [int(i) for i in build_sampler("RandomClassSampler", data_source=source, batch_size=4, n_ins=2)]
    assert order == [5, 6, 0, 2, 3, 4, 7, 7]


def test_unknown_sampler_is_an_error(items):
    with pytest.raises(ValueError, match="RandomSamplr"):
        build_sampler("RandomSamplr", data_source=items)


# ---------------------------------------------------------------- transforms


def test_test_transform_resizes_crops_and_normalises(cfg):
    cfg.INPUT.TRANSFORMS = ("normalize",)
    cfg.INPUT.PIXEL_MEAN, cfg.INPUT.PIXEL_STD = [0.5, 0.25, 0.0], [0.5, 0.5, 2.0]
    out = build_transform(cfg, is_train=False)(Image.new("RGB", (30, 20), (255, 0, 51)))
    assert out.shape == (3, 8, 8)
    expected = torch.tensor([1.0, -0.5, 0.1]).view(3, 1, 1).expand(3, 8, 8)
    torch.testing.assert_close(out, expected)


def test_training_transform_ignores_the_aspect_ratio_unless_it_crops(cfg):
    """Left half black, right half white, 40x10: a plain resize keeps both halves, a centre crop would too, but only
    the resize keeps the black and white corners of the marker column."""
    image = Image.new("RGB", (40, 10))
    image.paste((255, 255, 255), (36, 0, 40, 10))
    cfg.INPUT.TRANSFORMS, cfg.INPUT.INTERPOLATION = (), "nearest"
    squeezed = build_transform(cfg, is_train=True)(image)
    cropped = build_transform(cfg, is_train=False)(image)
    assert squeezed.shape == cropped.shape == (3, 8, 8)
    assert squeezed[:, :, -1].min() == 1.0 and cropped.max() == 0.0


@pytest.mark.parametrize(
    "choice",
    [
        "random_flip",
        "random_resized_crop",
        "random_crop",
        "random_translation",
        "cutout",
        "imagenet_policy",
        "cifar10_policy",
        "svhn_policy",
        "randaugment",
        "randaugment_fixmatch",
        "randaugment2",
        "gaussian_noise",
        "colorjitter",
        "randomgrayscale",
        "gaussian_blur",
        "instance_norm",
        "normalize",
        "center_crop",
    ],
)
def test_every_transform_gives_a_tensor_of_the_right_size(cfg, items, choice):
    cfg.INPUT.GB_K = 3
    set_random_seed(0)
    transform = build_transform(cfg, is_train=True, choices=[choice])
    # A big enough image for random_crop; forty draws reach every branch of the random policies.
    image = Image.open(items[0].impath).convert("RGB").resize((16, 16))
    for _ in range(40):
        out = transform(image)
        assert out.shape == (3, 8, 8) and out.dtype == torch.float32 and torch.isfinite(out).all()


def test_cutout_blackens_a_square(cfg):
    cfg.INPUT.CUTOUT_LEN = 4
    set_random_seed(0)
    transform = build_transform(cfg, is_train=True, choices=["cutout"])
    black = [int((transform(Image.new("RGB", (8, 8), "white"))[0] == 0).sum()) for _ in range(50)]
    assert max(black) == 16 and min(black) >= 4  # whole inside, a corner at the border


def test_no_transform_gives_none(cfg):
    cfg.INPUT.NO_TRANSFORM = True
    assert build_transform(cfg, is_train=True) is None


# ---------------------------------------------------------------- loaders


def test_item_keys_and_views(cfg, items):
    cfg.DATALOADER.K_TRANSFORMS, cfg.DATALOADER.RETURN_IMG0 = 3, True
    transforms = [build_transform(cfg, is_train=True), build_transform(cfg, is_train=False)]
    item = DatasetWrapper(cfg, items, transform=transforms, is_train=True)[4]
    assert set(item) == {"img", "img2", "img0", "label", "domain", "impath", "index"}
    assert (item["label"], item["domain"], item["impath"], item["index"]) == (1, 0, items[4].impath, 4)
    assert len(item["img"]) == len(item["img2"]) == 3
    assert torch.equal(item["img2"][0], item["img2"][1]) and not torch.equal(item["img"][0], item["img"][1])
    assert item["img0"].shape == (3, 8, 8)
    # Testing never augments, so it has one view.
    assert DatasetWrapper(cfg, items, transform=transforms[1], is_train=False)[4]["img"].shape == (3, 8, 8)


def batches(cfg, seed):
    set_random_seed(seed)
    manager = DataManager(cfg)
    return [(b["impath"], b["img"]) for loader in (manager.train_loader_x, manager.train_loader_u) for b in loader]


@pytest.mark.parametrize("workers", [0, 2])
def test_same_seed_same_batches(cfg, workers):
    cfg.DATALOADER.NUM_WORKERS = workers
    cfg.DATASET.NUM_SHOTS = 4
    first, again, other = batches(cfg, 1), batches(cfg, 1), batches(cfg, 2)
    assert [paths for paths, _ in first] == [paths for paths, _ in again]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(first, again))
    assert [paths for paths, _ in first] != [paths for paths, _ in other]


def test_loaders_cover_their_splits(cfg, capsys):
    cfg.DATALOADER.TRAIN_U.SAME_AS_X = False
    cfg.DATALOADER.TRAIN_U.BATCH_SIZE = 5
    manager = DataManager(cfg)
    assert manager.num_classes == 3 and manager.lab2cname == dict(enumerate(CLASSES))
    sizes = {name: [len(b["label"]) for b in getattr(manager, name)] for name in ("train_loader_x", "test_loader")}
    assert sizes == {"train_loader_x": [4] * 5, "test_loader": [8, 8, 4]}
    assert [len(b["label"]) for b in manager.train_loader_u] == [5, 5]
    assert [len(b["label"]) for b in manager.val_loader] == [7]
    printed = capsys.readouterr().out
    assert "TinyNoise" in printed and "# train_u" in printed


def test_training_loader_smaller_than_a_batch_still_gives_it(cfg):
    cfg.DATASET.NUM_SHOTS, cfg.DATALOADER.TRAIN_X.BATCH_SIZE = 1, 32
    assert [len(b["label"]) for b in DataManager(cfg).train_loader_x] == [3]


def test_misspelt_dataset_gets_the_nearest_name(cfg):
    cfg.DATASET.NAME = "TinyNiose"
    with pytest.raises(KeyError, match="TinyNoise"):
        DataManager(cfg)
