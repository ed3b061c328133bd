"""What makes a run that run: settings and data that a number depends on, and none that it does not."""

import gc
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from craft.config import keys
from craft.datasets import Counts, Item, PromptDataset, Split, generated
from craft.runs import identity, record
from craft.trainers.settings import get_cfg
from tests.runs import interrupted_after, metrics, run
from tests.tiny_clip import write_tiny_clip

MINE = ("--dataset-config-file", "image_folder")
ONCE = ("DATASET.NUM_SHOTS", 2, "OPTIM.MAX_EPOCH", 1, "DATALOADER.NUM_WORKERS", 0)


def draw(path, seed, size=12):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    for seed in range(20):
        draw(tmp_path / "mine" / ("cat", "owl")[seed % 2] / f"{seed:02d}.png", seed)
    return tmp_path / "mine"


def go(place, root, *options, trainer="CoOp"):
    return run(place, trainer, *MINE, "--root", str(root), settings=ONCE, overrides=options)


# -- data -------------------------------------------------------------------------------------------------------------


def test_the_same_content_elsewhere_is_the_same_run(folder, tmp_path, capsys):
    assert go(tmp_path / "run", folder) == 0
    shutil.copytree(folder, tmp_path / "moved" / "here")
    assert go(tmp_path / "run", tmp_path / "moved", "DATASET.PATH", "here") == 0
    assert "Already done" in capsys.readouterr().out


def test_a_done_run_is_not_believed_for_other_data(folder, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("cat\ttabby\n")
    asked = ("DATASET.CLASSNAMES", names)
    assert go(tmp_path / "run", folder, *asked) == 0
    first = metrics(tmp_path / "run")
    capsys.readouterr()

    def refused():
        assert go(tmp_path / "run", folder, *asked) == 1
        said = capsys.readouterr().err
        assert "--force" in said and said.count("\n") == 1 and metrics(tmp_path / "run") == first
        return said

    names.write_text("cat\tlion\n")
    assert "other class names" in refused()
    names.write_text("cat\ttabby\n")
    image = next((folder / "owl").iterdir())
    whole = image.read_bytes()
    for other in (folder / "owl").iterdir():
        draw(other, 77, size=40)
    assert "image files were replaced" in refused()
    for seed in range(1, 20, 2):
        draw(folder / "owl" / f"{seed:02d}.png", seed)
    assert image.read_bytes() == whole and go(tmp_path / "run", folder, *asked) == 0
    for seed in range(30, 40):
        draw(folder / "owl" / f"{seed}.png", seed)
    assert "test " in refused()


def test_images_of_the_same_size_with_other_content_are_noticed(tmp_path, capsys):
    folder = tmp_path / "mine"

    def paint(shift):
        for seed in range(20):
            path = folder / ("cat", "owl")[seed % 2] / f"{seed:02d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed + shift).integers(0, 255, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path, format="BMP")  # of one size, whatever is in it

    paint(0)
    assert go(tmp_path / "run", folder) == 0
    paint(0)  # written anew, and the same
    assert go(tmp_path / "run", folder) == 0 and "Already done" in capsys.readouterr().out
    paint(100)
    assert go(tmp_path / "run", folder) == 1
    assert "image files were replaced (of the same sizes, but with other content)" in capsys.readouterr().err
    # A record from before says nothing of contents.
    found = record.read(tmp_path / "run")
    del found["split"]["samples"]
    record.write_sealed(tmp_path / "run" / record.RECORD, found)
    assert go(tmp_path / "run", folder) == 0


def test_of_many_images_some_are_looked_into(tmp_path):
    paths = []
    for number in range(200):
        paths.append(str(tmp_path / str(number)))
        (tmp_path / str(number)).write_bytes(bytes([number]))
    before = identity._sample(paths)
    assert len(before) == identity.SAMPLE == len(set(before))
    for path in paths[:100]:
        (tmp_path / path).write_bytes(b"x")
    assert sum(one != other for one, other in zip(before, identity._sample(paths))) == identity.SAMPLE / 2
    assert identity._sample([str(tmp_path / "gone")]) == [""]


def test_a_done_evaluation_is_only_held_against_what_it_tested(folder, tmp_path, capsys):
    assert go(tmp_path / "run", folder) == 0
    load = ("--eval-only", "--model-dir", str(tmp_path / "run"))

    def evaluate():
        capsys.readouterr()
        return run(tmp_path / "there", "CoOp", *MINE, "--root", str(folder), *load, settings=ONCE)

    assert evaluate() == 0 and evaluate() == 0
    assert "Already done" in capsys.readouterr().out
    draw(folder / "emu" / "a.png", 50), draw(folder / "emu" / "b.png", 51), draw(folder / "emu" / "c.png", 52)
    assert evaluate() == 1
    assert "classes 2 there, 3 now" in capsys.readouterr().err


def test_going_on_with_other_class_names_is_refused(folder, tmp_path, capsys):
    names = tmp_path / "names.txt"
    names.write_text("cat\ttabby\n")
    asked = ("DATASET.CLASSNAMES", names, "OPTIM.MAX_EPOCH", 2)
    with interrupted_after(1):
        assert go(tmp_path / "run", folder, *asked) == 130
    names.write_text("cat\tlion\n")
    assert go(tmp_path / "run", folder, *asked) == 1
    assert "other class names" in capsys.readouterr().err


def test_what_the_record_says_of_the_data(folder, tmp_path):
    assert go(tmp_path / "run", folder) == 0
    split = record.read(tmp_path / "run")["split"]
    assert (split["train"], split["val"], split["test"], split["classes"], split["subset"]) == (4, 4, 6, 2, None)
    assert metrics(tmp_path / "run")["split"] == split
    assert go(tmp_path / "other", folder, "SEED", 2) == 0
    other = record.read(tmp_path / "other")["split"]
    assert other["parts"]["test"] == split["parts"]["test"] and other["parts"]["train"] != split["parts"]["train"]
    assert other["classnames"] == split["classnames"]


def test_records_from_before_are_read(folder, tmp_path, capsys):
    assert go(tmp_path / "run", folder) == 0
    found = record.read(tmp_path / "run")
    found["split"] = {key: found["split"][key] for key in ("digest", "train", "unlabelled", "val", "test")}
    for key in ("evaluated", "backbone"):
        del found[key]
    for key in ("weights", "classnames"):
        del found["identity"][key]
    record.write_sealed(tmp_path / "run" / record.RECORD, found)
    assert go(tmp_path / "run", folder) == 0
    assert "Already done" in capsys.readouterr().out
    # What the record does not know by content is compared by name, as it was.
    names = tmp_path / "names.txt"
    names.write_text("cat\ttabby\n")
    assert go(tmp_path / "run", folder, "DATASET.CLASSNAMES", names) == 1
    assert "DATASET.CLASSNAMES" in capsys.readouterr().err
    draw(folder / "owl" / "another.png", 3), draw(folder / "owl" / "more.png", 4), draw(folder / "owl" / "x.png", 5)
    assert go(tmp_path / "run", folder) == 1


def test_weights_are_known_by_content(tmp_path, capsys):
    weights = write_tiny_clip(tmp_path / "a.safetensors")
    assert run(tmp_path / "run", "CoOp", "--backbone", str(weights)) == 0
    moved = shutil.copy(weights, tmp_path / "b.safetensors")
    assert run(tmp_path / "run", "CoOp", "--backbone", str(moved)) == 0
    assert "Already done" in capsys.readouterr().out
    write_tiny_clip(weights, seed=1)
    assert run(tmp_path / "run", "CoOp", "--backbone", str(weights)) == 1
    assert "the file of MODEL.BACKBONE.NAME has another content" in capsys.readouterr().err


# -- settings ---------------------------------------------------------------------------------------------------------

VOLATILE = {
    *("VERSION", "OUTPUT_DIR", "RESUME", "VERBOSE", "DATASET.ROOT", "DATASET.ALLOW_SUBSET", "DATASET.CACHE_DIR"),
    *("DATALOADER.NUM_WORKERS", "DATALOADER.IMAGE_CACHE_MB", "TRAIN.CHECKPOINT_FREQ", "TRAIN.PRINT_FREQ"),
    *("TRAIN.CHECKPOINT_STEPS", "TEST.CACHE_FEATURES", "TEST.PREDICTIONS"),
}


def test_no_other_key_is_left_out_of_the_identity():
    flat = dict(keys.leaves(get_cfg()))
    assert set(flat) - set(identity.settled(get_cfg())) == VOLATILE


def test_a_run_goes_on_with_other_workers_and_caches(tmp_path):
    long = ("DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 2)
    plain = ("DATALOADER.NUM_WORKERS", 0)
    assert run(tmp_path / "whole", "CoOp", settings=long, overrides=plain) == 0
    with interrupted_after(1):
        assert run(tmp_path / "cut", "CoOp", settings=long, overrides=plain) == 130
    other = ("DATALOADER.NUM_WORKERS", 1, "TEST.CACHE_FEATURES", "False", "DATALOADER.IMAGE_CACHE_MB", 0)
    assert run(tmp_path / "cut", "CoOp", settings=long, overrides=other) == 0
    gc.collect()  # ends the worker
    whole, cut = metrics(tmp_path / "whole"), metrics(tmp_path / "cut")
    assert whole["history"] == cut["history"]
    assert whole["results"]["test"]["accuracy"] == pytest.approx(cut["results"]["test"]["accuracy"], abs=0.3)


# -- going on elsewhere -----------------------------------------------------------------------------------------------


def test_going_on_in_another_folder_takes_the_same_settings(tmp_path, capsys):
    long = ("DATASET.NUM_SHOTS", 1, "OPTIM.MAX_EPOCH", 2, "DATALOADER.NUM_WORKERS", 0)
    assert run(tmp_path / "whole", "CoOp", settings=long) == 0
    with interrupted_after(1):
        assert run(tmp_path / "cut", "CoOp", settings=long) == 130
    resume = ("--resume", str(tmp_path / "cut"))
    for other, said in (
        (("OPTIM.LR", 0.5), "OPTIM.LR: 0.002 there, 0.5 now"),
        (("DATASET.NUM_SHOTS", 2), "DATASET.NUM_SHOTS: 1 there, 2 now"),
        (("SEED", 2), "SEED: 1 there, 2 now"),
        (("OPTIM.MAX_EPOCH", 3), "another schedule of the learning rate"),
    ):
        capsys.readouterr()
        assert run(tmp_path / "there", "CoOp", *resume, settings=long, overrides=other) == 1
        err = capsys.readouterr().err
        assert said in err and "without --resume" in err and not (tmp_path / "there").exists()
    assert run(tmp_path / "there", "CoOp", *resume, settings=long) == 0
    assert metrics(tmp_path / "there") == metrics(tmp_path / "whole")


def test_a_done_run_is_not_made_longer(tmp_path, capsys):
    assert run(tmp_path / "run", "CoOp") == 0
    assert run(tmp_path / "run", "CoOp", overrides=("OPTIM.MAX_EPOCH", 2)) == 1
    assert "another schedule of the learning rate" in capsys.readouterr().err
    (tmp_path / "run" / record.RECORD).unlink()
    resume = ("--resume", str(tmp_path / "run"))
    assert run(tmp_path / "there", "CoOp", *resume, overrides=("OPTIM.MAX_EPOCH", 2)) == 1
    assert f"no {record.RECORD}" in capsys.readouterr().err


def test_a_subset_is_recorded_as_one():
    class Known(PromptDataset):
        expected = Counts(2, 4, None, 3)

    node = SimpleNamespace(ROOT="", ALLOW_SUBSET=True)
    reader = Known.__new__(Known)
    reader.cfg, reader.name = SimpleNamespace(DATASET=node), "Known"
    images = [Item("a", 0, "a"), Item("b", 1, "b")]
    reader.check_counts(Split(images * 2, None, [*images, images[0]]))
    assert reader.subset == {}
    reader.check_counts(Split(images[:1], None, images))
    assert reader.subset == {"classes": [1, 2], "train": [1, 4], "test": [2, 3]}


def test_generated_images_are_known_by_their_recipe(tmp_path):
    """Another Pillow writes the same pixels in other bytes."""
    folders = [generated.generated_folder("toy", str(tmp_path), {"a": a}, lambda folder: None) for a in (1, 2)]
    recipes = {generated.recipe_of(folder) for folder in folders}
    assert len(recipes) == 2 and None not in recipes and generated.recipe_of(tmp_path) is None
