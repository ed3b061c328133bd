"""Cached tensors are the ones that were computed, or are computed again; a cache that cannot be written costs time."""

import logging
import random
import resource
import signal

import pytest
import torch
from safetensors.torch import save_file

from craft.common import tensor_cache, tensor_files
from craft.common.errors import UserError

KEY = {"format": 1, "what": "numbers"}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CRAFT_CACHE", str(tmp_path))
    monkeypatch.setattr(tensor_cache, "_said", set())


def test_no_changed_byte_gives_other_numbers(caplog):
    """Every byte of an entry, one bit of it changed: what is read is what was written, or nothing."""
    tensors = {"features": torch.randn(3, 4), "labels": torch.arange(3), "half": torch.ones(2).bfloat16()}
    path = tensor_cache.store("anchors", KEY, tensors, {"dataset": "X"})
    whole, draw, refused = path.read_bytes(), random.Random(0), 0
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        found = tensor_cache.load("anchors", KEY)
        refused += found is None
        assert found is None or all(torch.equal(found[name], tensors[name]) for name in tensors), position
    assert refused > 0.8 * len(whole)
    assert f"{path} is damaged" in caplog.text and "it is made again" in caplog.text
    path.write_bytes(whole)
    assert torch.equal(tensor_cache.load("anchors", KEY)["features"], tensors["features"])


def test_a_damaged_entry_is_made_again():
    def compute():
        return {"x": torch.ones(3)}

    path = tensor_cache.entry("texts", KEY)
    tensor_cache.remember("texts", KEY, compute)
    path.write_bytes(path.read_bytes()[:-1] + b"\7")
    assert tensor_cache.remember("texts", KEY, compute)["x"].tolist() == [1, 1, 1]
    assert tensor_cache.load("texts", KEY)["x"].tolist() == [1, 1, 1]


def test_what_is_not_finite_is_not_found_by_others(caplog):
    for value in (torch.full((3,), float("nan")), torch.full((3,), float("inf"))):
        assert torch.equal(
            tensor_cache.remember("texts", KEY, lambda x=value: {"x": x})["x"].nan_to_num(), value.nan_to_num()
        )
        assert tensor_cache.load("texts", KEY) is None and "x of texts is not finite" in caplog.text


def test_entries_without_a_digest_are_read_and_it_is_said(caplog):
    import json

    path = tensor_cache.entry("texts", KEY)
    path.parent.mkdir(parents=True)
    save_file({"x": torch.ones(3)}, path, {"key": json.dumps(KEY)})
    for _ in range(2):
        assert tensor_cache.load("texts", KEY)["x"].tolist() == [1, 1, 1]
    assert caplog.text.count("without a digest") == 1


@pytest.fixture
def full_disk():
    """No file may grow beyond 4 KiB, as on a disk that is full: the system refuses the write."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_cache_costs_time_and_not_the_run(full_disk, caplog, tmp_path):
    for number in range(2):
        key = {**KEY, "number": number}
        found = tensor_cache.remember("images", key, lambda: {"x": torch.zeros(4096)})
        assert found["x"].shape == (4096,) and not tensor_cache.entry("images", key).exists()
    logging.getLogger().handlers[0].flush()
    assert caplog.text.count("not cached") == 1 and "free space there" in caplog.text
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_full_disk_is_one_line_that_names_the_file(full_disk, tmp_path):
    (tmp_path / "state").write_bytes(b"good")
    for write in (tensor_files.write_pickled, tensor_files.write):
        with pytest.raises(UserError, match=r"could not write .*/state: .*; free space there") as caught:
            write(tmp_path / "state", {"x": torch.zeros(4096)})
        assert "\n" not in str(caught.value) and (tmp_path / "state").read_bytes() == b"good"
