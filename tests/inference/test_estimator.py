"""PromptClassifier: scikit-learn's conventions, on folders, lists of paths and arrays of features."""

import shutil

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score

from craft import PromptClassifier
from craft.__main__ import main as craft
from craft.common.errors import UserError

QUICK = {"OPTIM.MAX_EPOCH": 2, "DATALOADER.NUM_WORKERS": 0}
NAMES = ("two", "seven", "zero")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of three classes of handwritten digits, eight images each, and the same as lists."""
    from dassl.data.datasets import build_dataset

    from craft import datasets
    from craft.trainers.settings import get_cfg

    datasets.enter_into_dassl()
    folder = tmp_path_factory.mktemp("images")
    for item in build_dataset(get_cfg()).test:
        place = folder / item.classname
        if item.classname in NAMES and len(list(place.glob("*"))) < 8:
            place.mkdir(exist_ok=True)
            shutil.copy(item.impath, place)
    paths = sorted(folder.rglob("*.png"))
    assert len(paths) == 24
    return folder, paths, [path.parent.name for path in paths]


@pytest.fixture(scope="module")
def fitted(images):
    return PromptClassifier("CoOpCraft", shots=4, backbone="demo", settings=QUICK).fit(images[0])


def test_learns_a_folder_and_names_its_classes(fitted, images):
    folder, paths, names = images
    assert list(fitted.classes_) == sorted(NAMES)
    probabilities = fitted.predict_proba(paths)
    assert probabilities.shape == (24, 3) and np.allclose(probabilities.sum(1), 1, atol=1e-5)
    predicted = fitted.predict(paths)
    assert list(predicted) == [fitted.classes_[i] for i in probabilities.argmax(1)]
    assert fitted.score(paths, names) == fitted.score(folder) == accuracy_score(names, predicted) > 0.5
    assert np.array_equal(fitted.predict(folder), predicted)


def test_a_list_of_paths_is_the_same_as_their_folder(fitted, images):
    _, paths, names = images
    again = PromptClassifier("CoOpCraft", shots=4, backbone="demo", settings=QUICK).fit(paths, names)
    assert np.array_equal(again.predict_proba(paths), fitted.predict_proba(paths))


def test_every_image_may_be_learned_from(images):
    """Nothing is held out for a test that nobody asked for."""
    import json

    model = PromptClassifier("CoOp", shots=-1, backbone="demo", settings=QUICK).fit(images[0])
    assert json.loads((model.run_ / "run.json").read_text())["split"]["train"] == 24


def test_scikit_learns_conventions(fitted, images):
    assert fitted.get_params()["shots"] == 4
    fresh = clone(fitted).set_params(shots=2)
    assert fresh.shots == 2 and not hasattr(fresh, "classes_")
    for ask in (fresh.predict, fresh.predict_proba, fresh.decision_function):
        with pytest.raises(NotFittedError):
            ask(images[1])
    with pytest.raises(NotFittedError):
        fresh.save("nowhere")


def test_saved_loaded_and_read_by_the_command(fitted, images, tmp_path, capsys):
    _, paths, _ = images
    fitted.save(tmp_path / "kept")
    loaded = PromptClassifier.load(tmp_path / "kept")
    assert np.array_equal(loaded.predict_proba(paths), fitted.predict_proba(paths))
    assert loaded.trainer == "CoOpCraft" and loaded.shots == 4
    assert craft(["predict", "--model-dir", str(tmp_path / "kept"), str(paths[0]), "--top", "1"]) == 0
    assert fitted.predict(paths[:1])[0] in capsys.readouterr().out
    with pytest.raises(UserError, match="not empty"):
        fitted.save(images[0])


def test_other_classes_and_features(fitted, images):
    import torch

    _, paths, _ = images
    other = fitted.with_classes(["seven", "capital letter a"])
    assert list(other.classes_) == ["seven", "capital letter a"] and other.predict_proba(paths).shape == (24, 2)
    model = fitted._learned
    tower = model.model.backbone
    from craft.inference.reading import Batches

    ((_, batch),) = Batches(paths, model.transform, 24)
    with torch.no_grad():
        features = tower.encode_image(batch).numpy()
    assert np.allclose(fitted.predict_proba(features), fitted.predict_proba(paths), atol=1e-4)


def test_what_does_not_fit_is_said(images, tmp_path):
    _, paths, names = images
    model = PromptClassifier("CoOpCraft", shots=4, backbone="demo", settings=QUICK)
    with pytest.raises(ValueError, match="do not go together"):
        model.fit(paths, names[:-1])
    with pytest.raises(ValueError, match="need class names"):
        model.fit(paths)
    with pytest.raises(UserError, match="no such folder"):
        model.fit(tmp_path / "none")
    with pytest.raises(UserError, match="did you mean"):
        PromptClassifier("CoOpCrft", backbone="demo").fit(paths, names)
    with pytest.raises(UserError, match="did you mean"):
        PromptClassifier("CoOp", backbone="demo", settings={"OPTIM.EPOCHS": 3}).fit(paths, names)
