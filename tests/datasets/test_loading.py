"""Loading of training images: the same numbers for any number of workers, kept or not kept images, resumed or not."""

import multiprocessing
import random
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from dassl.config import get_cfg_default
from dassl.data.data_manager import build_data_loader
from dassl.data.datasets import Datum
from dassl.data.transforms import build_transform
from dassl.utils import set_random_seed
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from craft import datasets
from craft.common.errors import UserError
from craft.datasets import ReadableImages
from craft.datasets.loading import SeededOrder, keep_decoded, steady, within_cores
from tests.runs import interrupted_after, metrics, run

COUNT, PIXELS = 10, (24, 18)
#: of every kind of random source: torch's, Python's and NumPy's
DRAWING = ("random_translation", "random_flip", "colorjitter", "cutout", "gaussian_noise", "normalize")


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    folder, draw = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(COUNT):
        pixels = draw.integers(0, 256, (*PIXELS[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return [Datum(impath=str(folder / f"{number}.png"), label=number % 2) for number in range(COUNT)]


def configuration(transforms, workers=0):
    cfg = get_cfg_default()
    datasets.extend_cfg(cfg)
    cfg.INPUT.SIZE, cfg.INPUT.TRANSFORMS = (16, 16), transforms
    cfg.DATALOADER.NUM_WORKERS, cfg.USE_CUDA = workers, False
    return cfg


def loader_of(items, transforms=DRAWING, workers=0, keep=0, sampler="RandomSampler", is_train=True):
    cfg = configuration(transforms, workers)
    cfg = within_cores(cfg)
    loader = build_data_loader(
        cfg,
        sampler_type=sampler,
        data_source=items,
        batch_size=4,
        tfm=build_transform(cfg, is_train=is_train),
        is_train=is_train,
        dataset_wrapper=ReadableImages,
    )
    loader = steady(loader)
    keep_decoded([loader, None], keep)
    return loader


def epochs(loader, count=3, seed=5):
    set_random_seed(seed)
    return [[(batch["index"].tolist(), batch["img"]) for batch in loader] for _ in range(count)]


def same(first, second):
    return all(
        a[0] == b[0] and torch.equal(a[1], b[1]) for x, y in zip(first, second, strict=True) for a, b in zip(x, y)
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("transforms", [DRAWING, ("random_resized_crop", "random_flip", "normalize")])
def test_workers_and_kept_images_change_no_number(items, workers, transforms, monkeypatch):
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    alone = epochs(loader_of(items, transforms))
    assert [len(epoch) for epoch in alone] == [2, 2, 2]
    with_workers = loader_of(items, transforms, workers)
    assert with_workers.num_workers == workers
    assert same(alone, epochs(with_workers))
    assert same(alone, epochs(loader_of(items, transforms, workers, keep=1)))
    assert same(alone, epochs(loader_of(items, transforms, keep=1)))
    # And the numbers do depend on the epoch and on the seed.
    assert not same(alone[:1], alone[1:2])
    assert not same(alone, epochs(loader_of(items, transforms), seed=6))
    drawn = [dict(zip(order, images)) for epoch in alone for order, images in epoch]
    twice = [(a[i], b[i]) for a in drawn for b in drawn if a is not b for i in a if i in b]
    assert not any(torch.equal(*pair) for pair in twice)


def test_an_epoch_does_not_depend_on_the_epochs_that_this_process_has_seen(items, monkeypatch):
    """What resuming needs: with the generators' state of the second epoch, a new process gives the second epoch."""
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    loader = loader_of(items, workers=2)
    set_random_seed(5)
    list(loader)
    state = random.getstate(), np.random.get_state(), torch.get_rng_state()
    second = [(batch["index"].tolist(), batch["img"]) for batch in loader]
    fresh = loader_of(items, workers=2)
    random.setstate(state[0])
    np.random.set_state(state[1])
    torch.set_rng_state(state[2])
    assert same([second], [[(batch["index"].tolist(), batch["img"]) for batch in fresh]])


def test_workers_stay(items, monkeypatch):
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    loader, seen = loader_of(items, workers=2), []
    for _ in range(3):
        list(loader)
        seen.append({worker.pid for worker in loader._iterator._workers})
    assert len(seen[0]) == 2 and seen[0] == seen[1] == seen[2]


def test_an_epoch_that_was_left_early_does_not_disturb_the_next(items, monkeypatch):
    """Training on two domains leaves the longer loader in the middle; images fetched ahead belong to nobody."""
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    results = []
    for workers in (0, 2):
        loader = loader_of(items, workers=workers)
        set_random_seed(5)
        results.append([[b["index"].tolist() for b in islice(iter(loader), take)] for take in (1, 2, 1, 2)])
    assert results[0] == results[1]


def test_no_more_workers_than_cores(monkeypatch):
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 3)
    wanted = configuration((), workers=8)
    wanted.freeze()
    assert within_cores(wanted).DATALOADER.NUM_WORKERS == 3
    assert wanted.DATALOADER.NUM_WORKERS == 8  # what the run's record says
    assert within_cores(configuration((), workers=2)).DATALOADER.NUM_WORKERS == 2


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), before=st.integers(0, 2**32 - 1), index=st.integers(0, COUNT - 1))
def test_an_item_follows_from_its_seed_and_leaves_the_generators_alone(items, seed, before, index):
    cfg = configuration(DRAWING)
    images = ReadableImages(cfg, items, transform=build_transform(cfg, is_train=True), is_train=True)
    set_random_seed(before)
    first = images[index, seed]["img"]
    drawn = random.random(), np.random.rand(), torch.rand(()).item()
    set_random_seed(before)
    assert drawn == (random.random(), np.random.rand(), torch.rand(()).item())
    assert torch.equal(images[index, seed]["img"], first)


def test_an_error_leaves_the_generators_alone(items, tmp_path):
    cfg = configuration(DRAWING)
    (tmp_path / "bad.png").write_bytes(b"no image")
    images = ReadableImages(cfg, [Datum(impath=str(tmp_path / "bad.png"))], build_transform(cfg), is_train=True)
    set_random_seed(1)
    with pytest.raises(UserError, match=r"bad\.png"):
        images[0, 77]
    found = torch.rand(()).item()
    set_random_seed(1)
    assert found == torch.rand(()).item()


def test_seeds_of_one_epoch_differ():
    set_random_seed(1)
    order = list(SeededOrder(range(1000)))
    assert [index for index, _ in order] == list(range(1000))
    assert len({seed for _, seed in order}) > 990 and all(0 <= seed < 2**32 for _, seed in order)


def test_memory_holds_what_fits_and_no_more(items, capsys):
    """10 images of 24x18 pixels, 1,296 bytes each; with a resize in front, 16x16, 768 bytes."""
    cfg = configuration(("random_resized_crop",))
    for transforms, size in ((("random_resized_crop",), 1296), (("random_flip",), 768)):
        cfg.INPUT.TRANSFORMS = transforms
        transform = build_transform(cfg, is_train=True)
        for budget, count in ((0, 0), (size - 1, 0), (3 * size + 5, 3), (99 * size, COUNT)):
            images = ReadableImages(cfg, items, transform=transform, is_train=True)
            assert images.keep(budget) == count * size
            assert images.kept == count
            plain = ReadableImages(cfg, items, transform=transform, is_train=True)
            assert all(torch.equal(images[i, 3 * i]["img"], plain[i, 3 * i]["img"]) for i in range(COUNT))


def test_kept_images_are_not_read_again(items, tmp_path):
    cfg = configuration(())
    copies = []
    for item in items:
        path = tmp_path / Path(item.impath).name
        path.write_bytes(Path(item.impath).read_bytes())
        copies.append(Datum(impath=str(path)))
    images = ReadableImages(cfg, copies, transform=build_transform(cfg), is_train=True)
    images.keep(2**20)
    before = [images[i]["img"] for i in range(COUNT)]
    for item in copies:
        Path(item.impath).write_bytes(b"")
    assert all(torch.equal(images[i]["img"], before[i]) for i in range(COUNT))


@pytest.mark.parametrize("views", ["list", "none", "img0", "two"])
def test_every_form_of_an_item_is_dassls(items, views):
    """Lists of transforms, no transform, the untouched image beside, several views: as Dassl's own wrapper."""
    from dassl.data import DatasetWrapper

    cfg = configuration(("random_flip", "normalize"))
    transform = build_transform(cfg, is_train=True)
    if views == "list":
        transform = [transform, build_transform(cfg, is_train=False)]
    elif views == "none":
        transform = None
    cfg.DATALOADER.RETURN_IMG0, cfg.DATALOADER.K_TRANSFORMS = views == "img0", 2 if views == "two" else 1
    for keep in (0, 2**20):
        ours = ReadableImages(cfg, items, transform=transform, is_train=True)
        ours.keep(keep)
        theirs = DatasetWrapper(cfg, items, transform=transform, is_train=True)
        for index in range(3):
            set_random_seed(index)
            found = ours[index]
            set_random_seed(index)
            expected = theirs[index]
            assert found.keys() == expected.keys()
            for key, value in expected.items():
                if isinstance(value, list):
                    assert len(value) == 2 and all(map(torch.equal, value, found[key]))
                elif isinstance(value, Image.Image):
                    assert np.array_equal(np.asarray(value), np.asarray(found[key]))
                else:
                    assert torch.equal(torch.as_tensor(value), torch.as_tensor(found[key])) if key != "impath" else True


def test_a_bad_image_is_noticed_when_it_is_asked_for(items, tmp_path, capsys):
    (tmp_path / "bad.png").write_bytes(b"no image")
    mixed = [*items[:3], Datum(impath=str(tmp_path / "bad.png"), label=0), *items[3:]]
    cfg = configuration(())
    cfg.DATASET.BAD_IMAGES = "skip"
    images = ReadableImages(cfg, mixed, transform=build_transform(cfg, is_train=False), is_train=True)
    images.keep(2**20)
    assert images.kept == COUNT and "bad" not in capsys.readouterr().out
    assert images[3]["impath"] == mixed[5].impath  # the next of its class
    assert "Skipping a bad image" in capsys.readouterr().out


# -- runs -------------------------------------------------------------------------------------------------------------

FOUR = ["DATASET.NUM_SHOTS", "1", "OPTIM.MAX_EPOCH", "4", "DATALOADER.TRAIN_X.BATCH_SIZE", "4"]


def test_runs_with_workers_and_without(tmp_path, monkeypatch, capsys):
    """Alone, with two workers, without kept images, and cut off and resumed: one history, one result."""
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    assert run(tmp_path / "alone", "CoOpCraft", settings=FOUR, overrides=["DATALOADER.NUM_WORKERS", 0]) == 0
    assert "Decoded images in memory: 10 of 10" in capsys.readouterr().out
    workers = ["DATALOADER.NUM_WORKERS", 2]
    assert run(tmp_path / "two", "CoOpCraft", settings=FOUR, overrides=workers) == 0
    assert not multiprocessing.active_children(), "a run's workers end with it"
    assert run(tmp_path / "none", "CoOpCraft", settings=FOUR, overrides=["DATALOADER.IMAGE_CACHE_MB", 0]) == 0
    assert "in memory" not in (tmp_path / "none" / "log.txt").read_text()
    with interrupted_after(2):
        assert run(tmp_path / "cut", "CoOpCraft", settings=FOUR, overrides=workers) == 130
    assert not multiprocessing.active_children(), "and with an interrupted one"
    assert run(tmp_path / "cut", "CoOpCraft", settings=FOUR, overrides=workers) == 0
    expected = metrics(tmp_path / "alone")
    for name in ("two", "none", "cut"):
        assert metrics(tmp_path / name)["history"] == expected["history"], name
        assert metrics(tmp_path / name)["results"] == expected["results"], name


def test_two_domains_with_workers(tmp_path, monkeypatch):
    monkeypatch.setattr("craft.datasets.loading.available_cores", lambda: 2)
    shift = ["--dataset-config-file", "digits_shift"]
    uneven = ["DATALOADER.TRAIN_U.BATCH_SIZE", 7, "DATALOADER.TRAIN_U.SAME_AS_X", False, "TRAIN.COUNT_ITER", "train_x"]
    for name, workers in (("alone", 0), ("two", 2)):
        overrides = [*uneven, "DATALOADER.NUM_WORKERS", workers]
        assert run(tmp_path / name, "MaPLeCraftOOD", *shift, settings=FOUR, overrides=overrides) == 0
    alone, two = metrics(tmp_path / "alone"), metrics(tmp_path / "two")
    assert alone["history"] == two["history"] and alone["results"] == two["results"]


def test_validation_images_are_kept_where_they_are_read_every_epoch(tmp_path, capsys):
    """With prompts in the image tower and the best epoch chosen on them; elsewhere their features are kept."""
    best = ["TEST.FINAL_MODEL", "best_val", "DATALOADER.NUM_WORKERS", 0]
    lines = {}
    for name in ("MaPLe", "CoOp"):
        assert run(tmp_path / name, name, settings=FOUR, overrides=best) == 0
        out = capsys.readouterr().out
        lines[name] = next(line for line in out.splitlines() if line.startswith("Decoded images"))
    assert lines["CoOp"].startswith("Decoded images in memory: 10 of 10,")
    assert not lines["MaPLe"].startswith("Decoded images in memory: 10 of 10,")
