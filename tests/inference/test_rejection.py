""" "None of these": the chosen threshold withholds the share asked for, and few images are said to be few."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from craft.__main__ import main as craft
from craft.common.errors import UserError
from craft.inference import classify, rejection


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 400), st.floats(0.01, 0.5), st.integers(0, 2**32 - 1))
def test_at_most_the_share_asked_for(n, rate, seed):
    largest = np.random.default_rng(seed).random(n)
    if rate * (n + 1) < 1 - 1e-6:
        with pytest.raises(UserError, match="cannot tell"):
            rejection.choose(largest, rate)
        return
    found = rejection.choose(largest, rate)
    assert np.mean(largest < found.value) <= rate and found.value in largest
    assert found.low < rate < found.high or rate * (n + 1) < 2  # one image below decides little


def test_the_interval_covers():
    """Thresholds of 60 images, 1,000 times: the true rate, known here, lies within in 95 % of them."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        found = rejection.choose(rng.random(60), 0.1)  # of uniform probabilities a share t lies below t
        inside += found.low <= 0.1 <= found.high
        assert abs(found.value - 0.1) < 0.25
    # the interval is that of the rate given the rank; it is the same for all 60, and the true rates fall into it
    rates = np.array([rejection.choose(rng.random(60), 0.1).value for _ in range(1000)])
    assert 0.93 < np.mean((rates >= found.low) & (rates <= found.high)) < 0.97
    assert inside == 1000


def test_few_images_are_said():
    assert "only" in rejection.choose(np.linspace(0, 1, 30), 0.1).warning()
    assert rejection.choose(np.linspace(0, 1, 2000), 0.1).warning() == ""


def test_withheld_in_the_answer(trained, tmp_path, capsys):
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "noise.png")
    command = ["predict", "--model-dir", str(trained("CoOpCraft")), str(tmp_path / "noise.png"), "--top", "1"]
    assert craft([*command, "--reject-below", "0.9999"]) == 0
    assert "none of these" in capsys.readouterr().out
    assert craft([*command, "--reject-below", "0.0001", "--format", "csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert row["rejected"] == "0"
    assert craft([*command, "--false-alarms", "0.2", "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert "20 validation images only" in said.err and "rejected" in said.out
    for options, words in [
        (["--reject-below", "1.5"], "a probability"),
        (["--false-alarms", "0"], "a share"),
        (["--false-alarms", "0.001"], "cannot tell"),
        (["--false-alarms", "0.1", "--reject-below", "0.5"], "give one of them"),
        (["--false-alarms", "0.1", "--classes", "cat", "dog"], "there are none of other names"),
    ]:
        assert craft([*command, *options]) == 1
        assert words in capsys.readouterr().err


def test_kept_in_the_export(trained, tmp_path, capsys):
    path = tmp_path / "x.safetensors"
    assert craft(["export", "--model-dir", str(trained("CoOpCraft")), "--to", str(path), "--false-alarms", "0.2"]) == 0
    _, about = classify.read(path)
    assert about["reject"]["images"] == 20 and 0 < about["reject"]["value"] < 1
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    assert (
        craft(["export", "--model-dir", str(trained("CoOpCraft")), "--to", str(path), "--reject-below", "0.9999"]) == 0
    )
    capsys.readouterr()
    classify.main(str(path), str(tmp_path / "a.png"))
    assert "none of these" in capsys.readouterr().out
