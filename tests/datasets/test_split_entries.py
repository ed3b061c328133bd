"""Entries of a split file that are none: named with the file and their place, never rounded to something else."""

import json

import pytest

from craft.common.errors import UserError
from craft.datasets.split_file import publish_split, read_split
from craft.datasets.splits import Item, Split

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


def test_a_split_made_here_is_what_was_written(tmp_path):
    """A bit more in a name is noticed; a split of before, without a digest, and one of somebody's own are read."""
    items = [Item(f"images/{name}", label, kind) for name, label, kind in (("a/1.jpg", 0, "a"), ("b/1.jpg", 1, "b"))]
    path = tmp_path / "split.json"
    assert publish_split(path, Split(items, items[:1], items), "images", 7)
    split, who = read_split(path, "images")
    assert [item[:3] for item in split.train] == [item[:3] for item in items] and "seed 7" in who
    content = json.loads(path.read_text())
    content["train"][0][0] = "a/2.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="delete it and the next run makes it anew"):
        read_split(path, "images")
    del content["made_by"]["sha256"]
    path.write_text(json.dumps(content))
    assert read_split(path, "images")[0].train[0].path == "images/a/2.jpg"
