"""Yaml files that are no configuration, and those that start from others: a mistake is one line with the file."""

import pytest
from yacs.config import CfgNode

from craft.common.errors import UserError
from craft.config.layers import merge, merge_options, read_yaml


def refused(path) -> str:
    with pytest.raises(UserError) as caught:
        read_yaml(path)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 500
    return text


def test_bases_below_each_other(tmp_path):
    (tmp_path / "a.yaml").write_text("A: 1\nN: {X: 1, Y: 1}\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.yaml").write_text("_BASE_: ../a.yaml\nB: 2\nN: {Y: 2}\n")
    (tmp_path / "c.yaml").write_text("_BASE_: [a.yaml, sub/b.yaml]\nN: {Z: 3}\n")
    assert read_yaml(tmp_path / "c.yaml") == {"A": 1, "B": 2, "N": {"X": 1, "Y": 2, "Z": 3}}


@pytest.mark.parametrize(
    "base, message",
    [
        ("bad.yaml", "_BASE_ bad.yaml leads back to itself"),
        ("middle.yaml", "_BASE_ ./bad.yaml leads back to itself"),
        ("3", "_BASE_ is 3; it must be the name of a yaml file, or a list of names"),
        ("", "_BASE_ is None; it must be"),
        ("[3]", "_BASE_ is [3]; it must be"),
        ("{a: b}", "_BASE_ is {'a': 'b'}; it must be"),
        (r'"a\0b"', "it must be the name of a yaml file"),
        ("gone.yaml", "cannot read configuration"),
        (".", "cannot read configuration"),
    ],
)
def test_a_base_that_is_none(base, message, tmp_path):
    (tmp_path / "bad.yaml").write_text(f"_BASE_: {base}\n")
    (tmp_path / "middle.yaml").write_text("_BASE_: [./bad.yaml]\n")
    assert message in refused(tmp_path / "bad.yaml")


@pytest.mark.parametrize(
    "text, message",
    [
        ("OPTIM:\n  LR: 0.1\n  LR: 0.2\n", "line 3 has the key LR a second time"),
        ("A: " + "{A: " * 3000 + "1" + "}" * 3000, "nested too deeply"),
        ("A: " + "[" * 30 + "]" * 30, "nested too deeply"),
        ("A: &a [*a]", "contains itself"),
        ("A: &a {B: *a}", "contains itself"),
        (
            "\n".join(["A0: &a0 1", *(f"A{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 15))]),
            "too many",
        ),
        ("A: !!python/object/apply:os.getcwd []", "is not valid yaml"),
        ("A: 2020-13-45", "is not valid yaml"),
        ("A: !!int ''", "is not valid yaml"),
        ("A: " + "9" * 5000, "is not valid yaml"),
        ("A: \x07", "is not valid yaml"),
        ("A: &a [1]\n--- {}", "is not valid yaml"),
        ("just words", "does not hold a configuration"),
    ],
)
def test_yaml_that_is_no_configuration(text, message, tmp_path):
    (tmp_path / "bad.yaml").write_text(text)
    found = refused(tmp_path / "bad.yaml")
    assert "bad.yaml" in found and message in found


def test_encodings(tmp_path):
    """UTF-8, with or without the mark that Windows puts before it."""
    (tmp_path / "bad.yaml").write_bytes("A: café".encode("latin-1"))
    assert "bad.yaml is not UTF-8 text (byte 6)" in refused(tmp_path / "bad.yaml")
    (tmp_path / "mark.yaml").write_bytes("A: café".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "mark.yaml") == {"A": "café"}


def test_a_mapping_used_in_two_places_is_two_mappings(tmp_path):
    (tmp_path / "base.yaml").write_text("X: &both {SIZE: 4, N: 1}\nU: *both\n")
    (tmp_path / "own.yaml").write_text("_BASE_: base.yaml\nX: {SIZE: 8}\n")
    assert read_yaml(tmp_path / "own.yaml") == {"X": {"SIZE": 8, "N": 1}, "U": {"SIZE": 4, "N": 1}}


def test_values_take_the_type_of_what_they_replace():
    """The same from a file and from a command line; numbers that look like names stay names."""
    for layer in (merge, merge_options):
        cfg = CfgNode(
            {"S": "", "I": 1, "F": 0.5, "B": False, "T": (1, 2), "L": [0.5], "E": (), "N": None, "M": (1, 0.5)}
        )
        new = {
            "S": "747",
            "I": "3",
            "F": "1",
            "B": "True",
            "T": "3, 4",
            "L": "1 2",
            "E": "(5, six)",
            "N": "[1]",
            "M": "2 1",
        }
        if layer is merge:
            merge(cfg, new, "a.yaml")
        else:
            merge_options(cfg, [word for pair in new.items() for word in pair])
        expected = {
            "S": "747",
            "I": 3,
            "F": 1.0,
            "B": True,
            "T": (3, 4),
            "L": [1.0, 2.0],
            "E": (5, "six"),
            "N": [1],
            "M": (2.0, 1.0),
        }
        assert dict(cfg) == expected and isinstance(cfg.F, float)
    for key, value in (
        ("I", 1.0),
        ("I", True),
        ("F", None),
        ("F", "1, 2"),
        ("S", 7),
        ("T", {"a": 1}),
        ("B", 1),
        ("I", 10**400),
    ):
        with pytest.raises(UserError, match=f"a.yaml: {key} is "):
            merge(cfg, {key: value}, "a.yaml")
