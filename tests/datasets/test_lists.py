"""Lists, tables, class names and split files as editors, spreadsheets and other programs save them."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from craft.common.errors import UserError
from craft.datasets.annotations import read_csv, read_lines
from craft.datasets.classnames import class_names
from craft.datasets.readers.image_folder import from_csv
from craft.datasets.readers.imagenet_family import read_classnames
from craft.datasets.split_file import read_split
from tests.datasets.test_image_folder import draw, load

NAMES = "n00000000 tench\nn00000001 goldfish\nn00000002 great white shark\n"
SPLIT = {"train": [["a/1.jpg", 0, "a"]], "val": [["a/2.jpg", 0, "a"]], "test": [["b/1.jpg", 1, "b"]]}


def written(folder, name, content):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


@pytest.mark.parametrize("content", [NAMES.encode("utf-8-sig"), NAMES.replace("\n", "\r\n"), NAMES.replace("\n", "\r")])
def test_class_names_do_not_depend_on_the_editor(tmp_path, content):
    found = read_classnames(written(tmp_path, "classnames.txt", content))
    assert list(found.items()) == [
        ("n00000000", "tench"), ("n00000001", "goldfish"), ("n00000002", "great white shark")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("names.txt", "cat,house cat\r\ndog,hound\r\n"),
        ("names.txt", "cat\thouse cat\ndog\thound"),
        ("names.json", '{"cat": "house cat", "dog": "hound"}'),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_names_for_ones_own_folders_do_neither(tmp_path, name, content, mark):
    written(tmp_path, name, mark + content.encode())
    assert class_names(["cat", "dog"], name, tmp_path) == {"cat": "house cat", "dog": "hound"}


# -- split files ---------------------------------------------------------------------


def split_with(entry):
    return json.dumps({**SPLIT, "train": [entry]})


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(SPLIT).encode("utf-8-sig"),
        split_with(["a\\1.jpg", 0, "a"]),
        split_with(["./a//1.jpg", 0, "a"]),
        split_with(["a/1.jpg", 0.0, "a"]),
        split_with(["a/1.jpg", "0", "a"]),
    ],
)
def test_a_split_of_another_program_is_the_same_split(tmp_path, content):
    split, _ = read_split(written(tmp_path, "split.json", content), "")
    assert [tuple(item[:3]) for item in split.train] == [("a/1.jpg", 0, "a")]


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (["a/1.jpg", 0.9, "a"], r"train\[0\] has the label 0\.9; labels are whole numbers from 0"),
        (["a/1.jpg", float("inf"), "a"], r"train\[0\] has the label inf"),
        (["a/1.jpg", float("nan"), "a"], r"train\[0\] has the label nan"),
        (["a/1.jpg", True, "a"], r"train\[0\] has the label True"),
        (["a/1.jpg", None, "a"], r"train\[0\] has the label None"),
        (["a/1.jpg", -1, "a"], r"train\[0\] has the label -1; labels start at 0"),
        (["a/1.jpg", "1.5", "a"], r"train\[0\]: the label is '1\.5'"),
        (["a/1.jpg", "-", "a"], r"train\[0\]: the label is '-'"),
        (["../1.jpg", 0, "a"], r"names '\.\./1\.jpg', which lies outside"),
        (["..\\1.jpg", 0, "a"], r"which lies outside"),
        (["/etc/passwd", 0, "a"], r"which lies outside"),
        (["a\0.jpg", 0, "a"], r"not \[image path, label, class name\]"),
        (["", 0, "a"], r"which lies outside"),
        (["\ud800.jpg", 0, "a"], r"half of a character"),
        (["a" * 999, 0], r"train\[0\] is .*\.\.\., not \[image path, label, class name\]"),
        (7, r"train\[0\] is 7, not"),
    ],
)
def test_what_is_no_entry_is_named_by_its_place(tmp_path, entry, complaint):
    path = written(tmp_path, "split.json", split_with(entry))
    with pytest.raises(UserError, match=complaint) as caught:
        read_split(path, "")
    message = str(caught.value)
    assert str(path) in message and "\n" not in message and len(message) < len(str(path)) + 250


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
ENTRY = JSON | st.tuples(st.text() | JSON, st.integers(-2, 5) | JSON, st.text() | JSON).map(list)
PART = JSON | st.lists(ENTRY, max_size=3)


@settings(max_examples=300, deadline=None)
@given(
    content=JSON | st.fixed_dictionaries({"train": PART, "val": PART, "test": PART}),
    image_dir=st.sampled_from(["", "i"]),
)
def test_any_json_is_a_split_or_a_named_error(tmp_path_factory, content, image_dir):
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_text(json.dumps(content))
    try:
        split, _ = read_split(path, image_dir)
    except UserError as error:
        assert "fuzzed.json" in str(error) and "\n" not in str(error)
        return
    for item in split.train + split.val + split.test:
        assert isinstance(item.label, int) and item.label >= 0 and isinstance(item.classname, str)
        assert not item.path.startswith(("/", "..")) and item.path.startswith(image_dir)


# -- tables --------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for number in range(4):
        draw(tmp_path / "cat" / f"{number}.png", number)
        draw(tmp_path / "dog" / f"{number}.png", 9 + number)
    return tmp_path


@pytest.mark.parametrize(
    "header",
    [
        ",path,label,split",  # pandas
        "Unnamed: 0,path,class,split",  # pandas, read and written again
        ",,path,class,split",
    ],
)
def test_columns_are_found_by_name(folder, header):
    first = ["5"] * (header.count(",") - 2)
    rows = [[*first, f"{name}/{k}.png", name, ("train", "test")[k % 2]] for name in ("cat", "dog") for k in range(4)]
    table = written(folder, "list.csv", "\n".join([header, *map(",".join, rows)]))
    data = load(table, "ImageFolder")
    assert data.classnames == ["cat", "dog"] and len(data.train_x) == len(data.test) == 4


def test_a_class_beside_a_label_is_no_guess(folder):
    table = written(folder, "list.csv", "path,class,label\ncat/0.png,cat,0\n")
    with pytest.raises(UserError, match=r"line 1: unknown column 'label'"):
        load(table, "ImageFolder")


def test_a_field_keeps_what_looks_like_a_line_end(folder):
    """U+2028, U+0085 and the like end a line for Python's splitlines, and for nobody who writes a CSV."""
    table = written(folder, "list.csv", "path,class\ncat/0.png,one\u2028cat\ncat/1.png,a\x85b\n")
    assert [row["class"] for _, row in read_csv(table, ("path", "class"))] == ["one\u2028cat", "a\x85b"]
    assert [number for number, _ in read_lines(table)] == [1, 2, 3]


CELLS = st.sampled_from(
    ["cat/0.png", "cat/1.png", "dog/0.png", "cat", "dog", "train", "test", '"', "..", "\0", "é", ""]
)
TABLES = st.lists(st.lists(CELLS | st.text(max_size=3), max_size=4).map(",".join), max_size=5).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(header=st.sampled_from(["path,class", ",path,label,split", "path;class;domain", "", "\ufeff"]), rows=TABLES)
@example(header="path,class", rows="cat/0.png," + "x" * 200_000)
def test_any_table_is_read_or_named(tmp_path_factory, header, rows):
    root = tmp_path_factory.getbasetemp() / "tables"
    for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
        if not (root / name).exists():
            draw(root / name)
    table = root / "fuzzed.csv"
    table.write_text(header + "\n" + rows, encoding="utf-8", errors="replace")
    try:
        assert all(one.path in ("cat/0.png", "cat/1.png", "dog/0.png") for one in from_csv(table, root))
    except UserError as error:
        assert "fuzzed.csv" in str(error)


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), kind=st.sampled_from(["txt", "json", "csv"])
)
def test_any_bytes_are_class_names_or_a_named_error(tmp_path_factory, content, kind):
    path = tmp_path_factory.getbasetemp() / f"names.{kind}"
    path.write_bytes(content)
    for read in (lambda: class_names(["cat", "dog"], str(path), path.parent), lambda: read_classnames(path)):
        try:
            assert all(read().values())
        except UserError as error:
            assert path.name in str(error) or "same name" in str(error)
