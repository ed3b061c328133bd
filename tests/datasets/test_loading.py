"""Loading of training images: the same numbers for any number of workers, kept or not kept images, resumed or not."""

import multiprocessing
import random
from itertools import islice
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from types import SimpleNamespace

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
from craft.datasets.kept import KeptImages
from craft.datasets.loading import SeededOrder, keep_decoded, steady, stop_workers, within_cores
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


def loader_of(items, transforms=DRAWING, workers=0, keep=0, sampler="RandomSampler", is_train=True, method=None):
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
    loader.multiprocessing_context = method
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


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_processes_that_are_not_forked_share_the_kept_images(items, method):
    """The pixels are neither in what is sent to a process nor read again by it, and the numbers are those of fork."""
    alone = epochs(loader_of(items), count=2)
    shared = loader_of(items, workers=1, keep=1, method=method)
    sent = len(ForkingPickler.dumps(shared.dataset))
    assert shared.dataset.kept == COUNT
    empty = loader_of(items, workers=1, method=method)
    pixels = COUNT * PIXELS[0] * PIXELS[1] * 3
    assert sent < len(ForkingPickler.dumps(empty.dataset)) + 3000 < pixels
    hidden = [Path(item.impath) for item in items]
    try:
        for path in hidden:
            path.rename(path.with_suffix(".away"))
        assert same(alone, epochs(shared, count=2))
    finally:
        stop_workers(shared)
        for path in hidden:
            path.with_suffix(".away").rename(path)


def test_images_that_shared_memory_cannot_hold_are_read_as_before(items, monkeypatch, capsys):
    monkeypatch.setattr("craft.datasets.kept.SHARED_MEMORY", "/room")
    monkeypatch.setattr("craft.datasets.kept.PIECE", 7 * 768)
    rooms = iter([10**6, 100])
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=next(rooms)))
    cfg = configuration(())
    images = ReadableImages(cfg, items, transform=build_transform(cfg), is_train=False)
    assert images.keep(2**20, shared=True) == 7 * 768 and images.kept == 7
    assert "Shared memory is full" in capsys.readouterr().out
    plain = ReadableImages(cfg, items, transform=build_transform(cfg), is_train=False)
    assert all(torch.equal(images[i]["img"], plain[i]["img"]) for i in range(COUNT))


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_kept_images_are_what_was_added(data):
    """Whatever their sizes and order, in pieces of any size, at once and after being sent."""
    size = st.tuples(st.integers(1, 9), st.integers(1, 9))
    added = data.draw(st.dictionaries(st.integers(0, 100), size, max_size=12))
    draw = np.random.default_rng(0)
    kept = KeptImages(shared=data.draw(st.booleans()))
    arrays = {index: draw.integers(0, 256, (*shape, 3), dtype=np.uint8) for index, shape in added.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("craft.datasets.kept.PIECE", data.draw(st.integers(1, 1000)))
        assert all(kept.add(index, array) for index, array in arrays.items()) and kept.flush()
    assert len(kept) == len(arrays) and kept.bytes == sum(array.nbytes for array in arrays.values())
    for index in range(101):
        found = kept.get(index)
        assert (found is None) == (index not in arrays)
        assert found is None or np.array_equal(found, arrays[index])


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
