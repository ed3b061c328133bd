"""Text from elsewhere: marks and line ends of editors are no part of it; any bytes end in text or a named error."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from craft.common.errors import UserError
from craft.common.files import read_json
from craft.common.texts import parse_json, read_text

PLAIN = "één\ntwo\n\nthree"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_line_ends_are_no_part_of_the_text(tmp_path, encoding, end):
    (tmp_path / "a.txt").write_bytes(PLAIN.replace("\n", end).encode(encoding))
    assert read_text(tmp_path / "a.txt") == PLAIN


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (PLAIN.encode("utf-16"), "it is UTF-16 text; save it as UTF-8"),
        (b"one\ntwo\ncaf\xe9", "line 3 is not UTF-8 text; save it as UTF-8"),
    ],
)
def test_other_encodings_are_named(tmp_path, content, complaint):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=rf"cannot read .*a\.txt: {complaint}"):
        read_text(tmp_path / "a.txt")


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such file: .*a\.txt"):
        read_text(tmp_path / "a.txt")
    with pytest.raises(UserError, match="Is a directory"):
        read_text(tmp_path)
    with pytest.raises(UserError, match="cannot read"):
        read_text("a\0b")
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UserError, match="circle"):
        read_text(tmp_path / "circle")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[" * 20000 + "]" * 20000, "nested too deeply"),
        (r'{"a": "\ud800.jpg"}', "half of a character"),
        (r'{"\uDC00": 1}', "half of a character"),
        ("9" * 5000, "is not valid JSON"),
        ('{"a": ', "is not valid JSON"),
        ("", "is not valid JSON"),
    ],
)
def test_json_that_is_none_is_named(tmp_path, text, complaint):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=complaint) as caught:
        read_json(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(caught.value) and "\n" not in str(caught.value)


def test_json_may_begin_with_a_mark_and_spell_characters_in_two_parts(tmp_path):
    (tmp_path / "a.json").write_text(r'{"a": "\ud83d\ude00"}', encoding="utf-8-sig")
    assert read_json(tmp_path / "a.json") == {"a": "😀"}


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps(text)[:50].encode()))
@example(content=b"\xef\xbb\xbf{}")
def test_any_bytes_end_in_a_value_or_in_a_named_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzzed.json"
    path.write_bytes(content)
    try:
        value = parse_json(read_text(path), path)
    except UserError as error:
        assert "fuzzed.json" in str(error) and "\n" not in str(error)
    else:
        json.dumps(value, ensure_ascii=False).encode()
