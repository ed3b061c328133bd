"""One small training run a structure, shared by the tests of what is made of it."""

import pytest

from tests.runs import run

TWO_SHOTS = ["DATASET.NUM_SHOTS", "2", "OPTIM.MAX_EPOCH", "1", "DATALOADER.NUM_WORKERS", "0"]


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """trained(trainer, *settings): the folder of a training run on the embedded digits, made when first asked for."""
    base = tmp_path_factory.mktemp("trained")

    def folder(trainer, *settings):
        place = base / "-".join((trainer, *settings))
        if not place.exists():
            assert run(place, trainer, settings=TWO_SHOTS, overrides=settings) == 0
        return place

    return folder
