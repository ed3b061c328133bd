"""A JSON file that carries a digest of itself is what was written, or is refused."""

import pytest

from craft.common.errors import UserError
from craft.common.files import read_json, read_sealed, write_json, write_sealed

VALUE = {"results": {"test": {"accuracy": 61.3, "nan": float("inf")}}, "names": ["ä", "\u2028"], "of": (1, 2), 3: None}


def test_what_was_written_is_read(tmp_path):
    write_sealed(tmp_path / "a.json", VALUE)
    found = read_sealed(tmp_path / "a.json")
    assert found == {"results": VALUE["results"], "names": VALUE["names"], "of": [1, 2], "3": None}
    write_sealed(tmp_path / "a.json", found)  # again, as a run does after every epoch
    assert read_sealed(tmp_path / "a.json") == found


def test_no_flipped_bit_gives_another_value(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, VALUE)
    whole, expected = path.read_bytes(), read_sealed(path)
    refused = 0
    for at in range(len(whole)):
        for bit in range(8):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :])
            try:
                found = read_sealed(path)
            except UserError as error:
                assert str(path) in str(error)
                refused += 1
            else:  # blanks, or the name of the digest
                assert {key: found.get(key) for key in expected} == expected
    assert refused > 7 * len(whole)


def test_a_file_without_a_digest_is_believed(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    assert read_sealed(tmp_path / "a.json") == {"a": 1}
    write_sealed(tmp_path / "a.json", {"a": 1})
    changed = read_json(tmp_path / "a.json") | {"a": 2}
    write_json(tmp_path / "a.json", changed)
    with pytest.raises(UserError, match="take sha256 out"):
        read_sealed(tmp_path / "a.json")
