"""The embedded data sets: what they hold, that no seed changes them, and that their folders can be trusted."""

import multiprocessing
import os
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from craft import datasets
from craft.common.errors import UserError
from craft.datasets.readers.digits import NAMES, TEMPLATE, digits_folder
from tests.fixtures_data.trees import load

GENERATED = ("Digits", "DigitsShift", "DigitsGroups")


def paths(items):
    return [item.impath for item in items]


def digit_indexes(items):
    """Which of scikit-learn's digits the items are: their file names say so."""
    return {int(os.path.splitext(os.path.basename(item.impath))[0]) for item in items}


@pytest.fixture(scope="module")
def digits():
    return load("", "Digits")


def test_every_digit_is_in_one_part_under_its_own_label(digits):
    raw = load_digits()
    parts = [digits.train_x, digits.val, digits.test]
    assert [len(part) for part in parts] == [719, 359, 719]
    seen = [digit_indexes(part) for part in parts]
    assert set.union(*seen) == set(range(1797)) and sum(map(len, seen)) == 1797
    for item in (item for part in parts for item in part):
        assert item.label == raw.target[min(digit_indexes([item]))]
        assert item.classname == NAMES[item.label]


def test_the_parts_are_stratified(digits):
    share = Counter(item.label for item in digits.test)
    for label, count in Counter(load_digits().target.tolist()).items():
        assert abs(share[label] - 0.4 * count) <= 1.5


def test_an_image_is_the_digit_enlarged(digits):
    item = digits.test[100]
    with Image.open(item.impath) as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")
        small = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), dtype=float)
    original = load_digits().images[min(digit_indexes([item]))] * 255 / 16
    assert np.corrcoef(small.ravel(), original.ravel())[0, 1] > 0.97
    assert small[0, 0] < 64 < small.max()  # a light stroke on black


def test_parts_do_not_depend_on_the_seed_and_shots_do():
    one, two = load("", "Digits", seed=1), load("", "Digits", seed=2)
    assert paths(one.test) == paths(two.test) and paths(one.train_x) == paths(two.train_x)
    few, again, other = (load("", "Digits", seed=seed, shots=4) for seed in (1, 1, 2))
    assert paths(few.train_x) == paths(again.train_x) != paths(other.train_x)
    assert set(Counter(item.label for item in few.train_x).values()) == {4}
    assert set(paths(few.train_x)) <= set(paths(one.train_x))


def test_sixteen_shots_validate_on_four():
    few = load("", "Digits", shots=16)
    assert (len(few.train_x), len(few.val), len(few.test)) == (160, 40, 719)


def test_base_and_new_classes_divide_the_digits():
    base, new = (load("", "Digits", shots=2, subsample=half) for half in ("base", "new"))
    assert base.classnames == list(NAMES[:5]) and new.classnames == list(NAMES[5:])
    assert {item.label for item in new.test} == set(range(5))
    assert len(base.test) + len(new.test) == 719


def test_the_wording_is_that_of_the_demonstration_backbone():
    from craft import demo

    assert tuple(NAMES) == tuple(demo.DIGIT_NAMES) and TEMPLATE == demo.DIGIT_TEMPLATE


# -- the shift ---------------------------------------------------------------------


def test_shift_goes_from_rendered_to_handwritten(digits):
    shift = load("", "DigitsShift")
    assert {item.domain for item in shift.train_x + shift.val} == {0}
    assert {item.domain for item in shift.train_u + shift.test} == {1}
    assert min(Counter(item.label for item in shift.train_x).values()) >= 16
    assert digit_indexes(shift.test) == digit_indexes(digits.test)
    assert digit_indexes(shift.train_u) == digit_indexes(digits.train_x)
    assert not set(paths(shift.train_u)) & set(paths(shift.test))


def test_shift_can_be_turned_round():
    back = load("", "DigitsShift", SOURCE_DOMAINS=("handwritten",), TARGET_DOMAINS=("rendered",))
    assert {item.domain for item in back.train_x} == {1} and {item.domain for item in back.test} == {0}


def test_shift_as_the_release_draws_it_is_transductive_and_says_so(capsys):
    shift = load("", "DigitsShift", shots=4, UNLABELED="release")
    assert set(paths(shift.train_u)) <= set(paths(shift.test))
    assert set(Counter(item.label for item in shift.train_u).values()) == {4}
    assert "transductive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "target", "complaint"),
    [
        (("rendered",), ("rendered",), "'rendered' is both source and target"),
        (("rendred",), (), "unknown domain of DigitsShift 'rendred'; did you mean: rendered"),
        (("rendered", "handwritten"), (), "no domain is left for DATASET.TARGET_DOMAINS"),
    ],
)
def test_domains_that_make_no_sense_are_refused(source, target, complaint):
    with pytest.raises(UserError, match=complaint):
        load("", "DigitsShift", SOURCE_DOMAINS=source, TARGET_DOMAINS=target)


# -- the groups --------------------------------------------------------------------


def test_groups_follow_class_and_ground():
    data = load("", "DigitsGroups")
    raw = load_digits().target
    for item in data.train_x + data.val + data.test:
        assert (3, 8)[item.label] == raw[min(digit_indexes([item]))]
        with Image.open(item.impath) as image:
            # A corner may hold ink; the darkest pixel is ground.
            red, _, blue = min(image.getdata(), key=sum)
        assert item.attribute == int(red > blue)  # yellow is 1
        assert item.group == 2 * item.label + item.attribute


def test_ground_goes_with_class_as_often_as_on_waterbirds():
    data, birds = load("", "DigitsGroups"), datasets.readers.waterbirds.Waterbirds.expected_groups
    for part, items in (("train", data.train_x), ("val", data.val), ("test", data.test)):
        sizes = Counter(item.group for item in items)
        for label in (0, 1):
            mine, theirs = ([of[2 * label + ground] for ground in (0, 1)] for of in (sizes, birds[part]))
            assert mine[0] / sum(mine) == pytest.approx(theirs[0] / sum(theirs), abs=0.01), (part, label)
    for part in (data.val, data.test):  # every digit on both grounds, so that nothing else tells them apart
        grounds = Counter((min(digit_indexes([item])), item.attribute) for item in part)
        assert set(grounds.values()) == {1} and len(grounds) == 2 * len(digit_indexes(part))


def test_no_part_shares_a_digit_with_another_set(digits):
    groups = load("", "DigitsGroups")
    assert digit_indexes(groups.test) <= digit_indexes(digits.test)
    assert digit_indexes(groups.train_x) <= digit_indexes(digits.train_x)
    assert len(digit_indexes(groups.train_x)) == len(groups.train_x)


# -- the folder --------------------------------------------------------------------


@pytest.mark.parametrize("name", GENERATED)
def test_images_are_the_same_wherever_they_are_made(name, tmp_path, monkeypatch):
    def content(dataset):
        base = dataset.dataset_dir
        return {os.path.relpath(p, base): open(p, "rb").read() for p in paths(dataset.test + dataset.train_x)}

    here = content(load("", name))
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))
    assert content(load("", name)) == here


def test_a_root_with_a_digits_folder_is_used(tmp_path):
    (tmp_path / "digits").mkdir()
    assert load(tmp_path, "Digits").test[0].impath.startswith(str(tmp_path / "digits"))


def test_a_root_without_one_is_left_alone(tmp_path):
    load(tmp_path, "Digits")
    assert not list(tmp_path.iterdir())


def test_a_damaged_folder_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))
    folder = digits_folder()
    one, two = sorted(folder.rglob("*.png"))[:2]
    whole = one.read_bytes(), two.read_bytes()
    one.unlink()
    two.write_bytes(whole[1][:20])
    assert digits_folder() == folder
    assert (one.read_bytes(), two.read_bytes()) == whole
    flipped = bytearray(whole[0])
    flipped[-20] ^= 4  # as a disk may: the size stays
    one.write_bytes(flipped)
    assert digits_folder() == folder and one.read_bytes() == whole[0]


@pytest.mark.parametrize("damage", ["manifest", "image"])
def test_a_damaged_folder_with_something_of_ones_own_is_kept_aside(tmp_path, monkeypatch, capsys, damage):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))
    folder = digits_folder()
    (folder / "train" / "zero" / "mine.png").write_bytes(b"mine")
    (folder / "manifest.json").write_text("{}") if damage == "manifest" else next(folder.rglob("0*.png")).unlink()
    assert digits_folder() == folder and len(list(folder.rglob("*.png"))) == 1797
    (kept,) = tmp_path.rglob("mine.png")
    assert kept.read_bytes() == b"mine" and "which was not written here" in capsys.readouterr().out


def test_an_interrupted_writing_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))

    def interrupted(folder):
        (folder / "train").mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(datasets.readers.digits, "write_digits", interrupted)
        with pytest.raises(KeyboardInterrupt):
            digits_folder()
    assert not [path for path in (tmp_path / "digits").iterdir() if path.is_dir()]
    assert len(list(digits_folder().rglob("*.png"))) == 1797


def _load_in_a_process(barrier, results):
    barrier.wait()
    data = load("", "Digits")
    results.put((len(data.test), all(os.path.getsize(path) for path in paths(data.train_x + data.test))))


def test_concurrent_processes_share_one_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_load_in_a_process, args=(barrier, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    assert [results.get(timeout=60) for _ in workers] == [(719, True)] * 3
    for worker in workers:
        worker.join()
    assert len([path for path in (tmp_path / "digits").iterdir() if path.is_dir()]) == 1


def test_nowhere_to_write_is_said(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("CRAFT_CACHE", str(blocked))
    with pytest.raises(UserError, match="set CRAFT_CACHE to another folder"):
        digits_folder()
