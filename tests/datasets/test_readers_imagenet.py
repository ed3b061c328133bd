"""ImageNet and its variants: labels that survive missing folders, namesakes, and 200-class sets; the shifted set made
of two of them; and images that cannot be decoded."""

import os
import shutil
from collections import Counter

import pytest
import torch
from dassl.data import DataManager

from craft.common.errors import UserError
from craft.datasets import ReadableImages
from tests.fixtures_data.trees import load, make_cfg, make_tree, private_copy, triples

SETS = ("ImageNet", "ImageNetV2", "ImageNetSketch", "ImageNetA", "ImageNetR")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return make_tree(tmp_path_factory.mktemp("imagenet") / "data", *SETS)


@pytest.fixture
def root(miniature, tmp_path):
    """A private copy without V2, which has a thousand folders."""
    return private_copy(miniature, tmp_path / "data", ignore=shutil.ignore_patterns("imagenetv2"))


def wnid(item):
    return item.impath.split("/")[-2]


# -- labels --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ImageNet", "ImageNetSketch", "ImageNetA", "ImageNetR"])
def test_labels_relate_to_the_thousand(miniature, name):
    """Each class knows its row of classnames.txt, also after half of them are taken and although names repeat."""
    rows = (miniature / "imagenet" / "classnames.txt").read_text().splitlines()
    for subsample in ("all", "new"):
        data = load(miniature, name, subsample=subsample)
        assert [f"{w} {c}" for w, c in zip(data.wnids, data.classnames)] == [rows[r] for r in data.imagenet_labels]
        assert all(wnid(item) == data.wnids[item.label] for item in (*data.train_x, *data.test))


def test_v2_labels_are_folder_numbers(miniature):
    data = load(miniature, "ImageNetV2")
    assert data.imagenet_labels == list(range(1000))
    assert all(int(wnid(item)) == item.label for item in data.test)


def test_variants_only_test(miniature):
    data = load(miniature, "ImageNetA", shots=4)
    assert data.test_only and data.train_x is data.test and data.val is None


def test_a_class_missing_in_val_shifts_no_label(root):
    folders = sorted((root / "imagenet" / "images" / "val").glob("n*"))
    gone = folders[3]
    names = root / "imagenet" / "classnames.txt"
    held = {folder.name for folder in folders}
    names.write_text("".join(r for r in names.read_text().splitlines(True) if r.split()[0] in held))
    wanted = {i.impath: i.label for i in load(root, "ImageNet").test if wnid(i) != gone.name}
    shutil.rmtree(gone)
    with pytest.raises(UserError, match=gone.name):
        load(root, "ImageNet", ALLOW_SUBSET=False)
    assert {i.impath: i.label for i in load(root, "ImageNet").test} == wanted


def test_class_folders_that_do_not_belong(root):
    train, val = root / "imagenet" / "images" / "train", root / "imagenet" / "images" / "val"
    (train / ".ipynb_checkpoints").mkdir()
    load(root, "ImageNet")
    spare = next(line.split()[0] for line in (root / "imagenet" / "classnames.txt").read_text().splitlines()
                 if not (train / line.split()[0]).exists())  # fmt: skip
    shutil.copytree(next(val.glob("n*")), val / spare)
    with pytest.raises(UserError, match=f"images/val has {spare}, which the training images lack"):
        load(root, "ImageNet")
    (val / spare).rename(val / "n99999999")
    with pytest.raises(UserError, match="n99999999"):
        load(root, "ImageNet")


def test_val_without_class_folders(root):
    val = root / "imagenet" / "images" / "val"
    for folder in val.glob("n*"):
        for image in folder.iterdir():
            image.rename(val / image.name)
        folder.rmdir()
    with pytest.raises(UserError, match="valprep"):
        load(root, "ImageNet")


def test_v2_takes_a_subset_where_it_is_allowed(miniature, tmp_path):
    folder = tmp_path / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
    folder.mkdir(parents=True)
    source = miniature / "imagenetv2"
    shutil.copy(source / "classnames.txt", tmp_path / "imagenetv2")
    for number in (7, 345, 12):
        (folder / str(number)).symlink_to(source / folder.name / str(number))
    data, whole = load(tmp_path, "ImageNetV2"), load(miniature, "ImageNetV2")
    assert data.imagenet_labels == [7, 12, 345] and data.wnids == [whole.wnids[row] for row in (7, 12, 345)]
    assert data.classnames == [whole.classnames[row] for row in (7, 12, 345)]
    assert {item.label for item in data.test} == {0, 1, 2}


def test_v2_is_read_by_wordnet_ids_too(miniature, tmp_path):
    """As mirrors sort it: the labels are the same."""
    folder = tmp_path / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
    folder.mkdir(parents=True)
    source = miniature / "imagenetv2"
    shutil.copy(source / "classnames.txt", tmp_path / "imagenetv2")
    wnids = [line.split()[0] for line in (source / "classnames.txt").read_text().splitlines()]
    for row, wnid in enumerate(wnids):
        (folder / wnid).symlink_to(source / folder.name / str(row))
    one, other = load(tmp_path, "ImageNetV2"), load(miniature, "ImageNetV2")
    assert (one.wnids, one.imagenet_labels) == (other.wnids, other.imagenet_labels)
    images = [sorted((os.path.basename(i.impath), i.label, i.classname) for i in d.test) for d in (one, other)]
    assert images[0] == images[1]
    (folder / "3").symlink_to(source / folder.name / "3")
    with pytest.raises(UserError, match="are one class"):
        load(tmp_path, "ImageNetV2")


def test_v2_needs_every_label(miniature, tmp_path):
    folder = tmp_path / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
    folder.mkdir(parents=True)
    source = miniature / "imagenetv2"
    shutil.copy(source / "classnames.txt", tmp_path / "imagenetv2")
    for number in range(1000):
        if number != 345:
            (folder / str(number)).symlink_to(source / folder.name / str(number))
    with pytest.raises(UserError, match="345"):
        load(tmp_path, "ImageNetV2", ALLOW_SUBSET=False)
    (folder / "tench").symlink_to(source / folder.name / "0")
    with pytest.raises(UserError, match="tench is not a label"):
        load(tmp_path, "ImageNetV2")


# -- ImageNetOOD -----------------------------------------------------------------------


def shifted(root, target, **settings):
    return load(root, "ImageNetOOD", **{"shots": 4, "TARGET_DOMAINS": (target,), **settings})


@pytest.mark.parametrize("target", ["v2", "sketch", "a", "r"])
@pytest.mark.parametrize("subsample", ["all", "base"])
def test_source_and_target_agree_on_classes(miniature, target, subsample):
    """A label means one WordNet id in train, unlabelled, val and test alike; source images are ImageNet's own draw."""
    data = shifted(miniature, target, subsample=subsample)
    v2 = [line.split()[0] for line in (miniature / "imagenet" / "classnames.txt").read_text().splitlines()]
    for item in (*data.train_x, *data.train_u, *data.val, *data.test):
        folder = wnid(item)
        assert data.wnids[item.label] == (v2[int(folder)] if folder.isdecimal() else folder)
    assert {i.label for i in data.train_x} == set(range(data.num_classes))
    assert {i.domain for i in data.train_x} == {0} and {i.domain for i in (*data.train_u, *data.test)} == {1}
    source = {item.impath for item in load(miniature, "ImageNet", shots=4).train_x}
    assert {item.impath for item in data.train_x} <= source
    assert not {i.impath for i in data.train_u} & {i.impath for i in data.test}
    full = shifted(miniature, target)
    assert len(full.train_u) == min(len(full.train_x), (len(full.train_u) + len(full.test)) // 2)


def test_unlabelled_images_depend_on_the_seed_alone(root):
    """Not on whether the source's draw came from its cache, and they exist for all shots."""
    first = triples(shifted(root, "r").train_u, root)
    assert triples(shifted(root, "r").train_u, root) == first
    assert triples(shifted(root, "r", seed=2).train_u, root) != first
    assert shifted(root, "r", shots=-1).train_u
    assert len(shifted(root, "r", NUM_UNLABELED=7).train_u) == 7


def test_release_draws_from_the_test_images(miniature, capsys):
    data = shifted(miniature, "a", UNLABELED="release")
    assert set(Counter(i.label for i in data.train_u).values()) == {4}
    assert {i.impath for i in data.train_u} <= {i.impath for i in data.test}
    assert "transductive" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"TARGET_DOMAINS": ()}, "one of v2, sketch, a, r"),
        ({"TARGET_DOMAINS": ("scetch",)}, "did you mean: sketch"),
        ({"TARGET_DOMAINS": ("imagenet",), "SOURCE_DOMAINS": ("imagenet",)}, "both source and target"),
        ({"SOURCE_DOMAINS": ("r",)}, "always imagenet"),
        ({"NUM_UNLABELED": 10**6}, "leave some to test on"),
        ({"UNLABELED": "all"}, "train or release"),
    ],
)
def test_impossible_shifts(miniature, settings, said):
    with pytest.raises(UserError, match=said):
        shifted(miniature, "a", **settings)


# -- images that cannot be decoded -----------------------------------------------------


def loaders(root, policy):
    cfg = make_cfg(root, "ImageNet", shots=4, BAD_IMAGES=policy)
    cfg.INPUT.SIZE, cfg.INPUT.TRANSFORMS = (32, 32), ("normalize",)
    cfg.DATALOADER.NUM_WORKERS = 0
    return DataManager(cfg, dataset_wrapper=ReadableImages)


@pytest.mark.parametrize("damage", [b"", b"no image at all", None])
def test_bad_images(root, damage, capsys):
    data = load(root, "ImageNet", shots=4)
    for item in (data.train_x[5], data.test[7]):
        with open(item.impath, "rb") as stream:
            content = stream.read()
        os.unlink(item.impath)
        with open(item.impath, "wb") as stream:
            stream.write(content[: len(content) // 2] if damage is None else damage)
    strict = loaders(root, "error")
    with pytest.raises(UserError, match=f"{data.train_x[5].impath}.*BAD_IMAGES"):
        strict.train_loader_x.dataset[5]
    with pytest.raises(UserError, match=data.test[7].impath):
        list(strict.test_loader)

    capsys.readouterr()
    lenient = loaders(root, "skip")
    train = lenient.train_loader_x.dataset
    for _ in range(2):
        stand_in = train[5]
        assert stand_in["label"] == data.train_x[5].label and stand_in["impath"] != data.train_x[5].impath
        assert torch.equal(stand_in["img"], train[stand_in["index"]]["img"])
    batches = list(lenient.test_loader)
    assert sum(len(batch["label"]) for batch in batches) == len(data.test)
    grey = lenient.test_loader.dataset[7]
    assert grey["label"] == data.test[7].label and grey["img"].flatten(1).std(1).max() < 1e-6
    assert capsys.readouterr().out.count("Skipping a bad image") == 2


def test_bad_images_setting(root):
    with pytest.raises(UserError, match="error or skip"):
        loaders(root, "ignore")
