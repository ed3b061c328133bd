"""Which data sets there are: known by name in a moment, entered into Dassl once, and told apart where names clash."""

import os
import re
import subprocess
import sys

import pytest
import yaml
from dassl.data.datasets import DATASET_REGISTRY, DatasetBase

from craft import datasets
from craft.common.errors import UserError
from craft.common.places import configs, environment
from craft.datasets import READERS, PromptDataset, dassl_datasets, register_reader, registry
from craft.datasets.tools.command import main

#: what takes a second to import, or longer
HEAVY = ("torch", "torchvision", "numpy", "PIL", "sklearn", "scipy", "matplotlib", "dassl.data", "dassl.engine")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["list"], 0, "Caltech101"),
        (["--help"], 0, "craft data check Caltech101"),
        (["check", "Caltec101", "--root", "."], 1, "did you mean: Caltech101"),
        (["download", "Caltec101", "--root", "."], 1, "did you mean: Caltech101"),
        (["show", "Caltec101"], 1, "did you mean: Caltech101"),
        (["check", "Caltech101", "--rot", "."], 2, "--rot"),
    ],
)
def test_a_question_is_answered_without_torch(arguments, status, said):
    code = (
        "import sys\n"
        "from craft.__main__ import main\n"
        "try: status = main(['data', *sys.argv[1:]])\n"
        "except SystemExit as end: status = end.code or 0\n"
        f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules))\n"
        "sys.exit(status)"
    )
    surroundings = {**environment(), "CRAFT_DASSL": "bundled"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=surroundings, cwd=os.sep
    )
    assert done.returncode == status and said in done.stdout + done.stderr
    assert re.search(r"^loaded: *$", done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("path", sorted((configs() / "datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_name_is_understood_as_train_spells_it(path, tmp_path, capsys):
    name = yaml.safe_load(path.read_text())["DATASET"]["NAME"]
    status = main(["check", path.stem, "--root", str(tmp_path)])
    said = capsys.readouterr()
    assert re.search(rf"^{name} ", said.out, re.MULTILINE) and not said.err
    assert (status == 0) == getattr(READERS[name], "generated", False)  # nothing else is in an empty root


def test_every_reader_is_a_data_set_of_dassls():
    datasets.enter_into_dassl()
    for name, reader in READERS.items():
        entered = DATASET_REGISTRY.get(name)
        assert issubclass(entered, reader) and issubclass(entered, DatasetBase)
        assert (entered.__name__, entered.__module__, entered.__doc__) == (name, reader.__module__, reader.__doc__)
    assert set(READERS) <= set(datasets.list_datasets()) == set(DATASET_REGISTRY.registered_names())


@pytest.fixture
def own_readers(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(registry, "READERS", readers := dict(READERS))
    monkeypatch.setattr(dassl_datasets, "READERS", readers)
    return readers


def test_a_reader_that_comes_later_is_entered_by_the_next_call(own_readers):
    datasets.enter_into_dassl()
    before = {name: DATASET_REGISTRY.get(name) for name in DATASET_REGISTRY.registered_names()}

    @register_reader
    class ComesLater(PromptDataset):
        pass

    assert "ComesLater" in datasets.list_datasets() and "ComesLater" not in DATASET_REGISTRY.registered_names()
    datasets.enter_into_dassl()
    datasets.enter_into_dassl()
    assert issubclass(DATASET_REGISTRY.get("ComesLater"), ComesLater)
    assert all(DATASET_REGISTRY.get(name) is known for name, known in before.items())


def test_two_readers_of_one_name(own_readers):
    def another():
        class Caltech101(PromptDataset):
            pass

        return Caltech101

    with pytest.raises(UserError, match=r"two readers are called Caltech101, in craft\.datasets\.readers.*rename one"):
        register_reader(another())
    assert register_reader(own_readers["Caltech101"]) is READERS["Caltech101"]


def test_a_name_that_dassls_registry_has_already(own_readers):
    """As where another project's data sets are imported into the same process."""

    @DATASET_REGISTRY.register()
    class TakenByAnother(DatasetBase):
        pass

    def ours():
        class TakenByAnother(PromptDataset):
            pass

        return TakenByAnother

    register_reader(ours())
    with pytest.raises(UserError, match="two data sets are called TakenByAnother"):
        datasets.enter_into_dassl()


def test_what_is_no_reader_is_refused(own_readers):
    with pytest.raises(UserError, match="no PromptDataset"):

        @register_reader
        class OfDassls(DatasetBase):
            pass
