"""Entries of a split file that are none: named with the file and their place, never rounded to something else."""

import json

import pytest

from craft.common.errors import UserError
from craft.datasets.split_file import read_split

FINE = ["a/1.jpg", 0, "cat"]


@pytest.mark.parametrize("label", ["0.9", "1e400", "NaN", "Infinity", "true", "null", '"x"', "[0]", "-1", "9" * 5000])
def test_a_label_is_a_whole_number(label, tmp_path):
    text = json.dumps({"train": [FINE, ["a/2.jpg", "LABEL", "cat"]], "val": [FINE], "test": [FINE]})
    (tmp_path / "split.json").write_text(text.replace('"LABEL"', label))
    with pytest.raises(UserError, match=r"split\.json") as refused:
        read_split(tmp_path / "split.json", "")
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


@pytest.mark.parametrize(
    "entry", [["\ud800", 0, "cat"], ["a.jpg", 0, "c\ud800"], ["a\0", 0, "cat"], ["a", 0, "c\n"], [], 3]
)
def test_names_are_text(entry, tmp_path):
    (tmp_path / "split.json").write_text(json.dumps({"train": [FINE], "val": [FINE], "test": [FINE, entry]}))
    with pytest.raises(UserError, match=r"split\.json: test\[1\] is|split\.json is not valid JSON") as refused:
        read_split(tmp_path / "split.json", "")
    assert "\n" not in str(refused.value)


def test_a_file_that_is_nested_too_deeply(tmp_path):
    (tmp_path / "split.json").write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(UserError, match=r"split\.json is not valid JSON"):
        read_split(tmp_path / "split.json", "")
