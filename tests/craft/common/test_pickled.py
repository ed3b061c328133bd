"""Tensors out of files of elsewhere: all that torch writes is read, nothing that a file holds is run."""

import argparse
import io
import pickle
import random
import zipfile
from collections import Counter, OrderedDict, defaultdict

import numpy as np
import pytest
import torch

from craft.common import pickled, tensor_files
from craft.common.pickled import Inert, Unreadable


def checkpoint():
    """What Dassl and Lightning write beside the tensors."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    base = torch.randn(6)
    tensors = OrderedDict(
        turned=torch.randn(3, 4).t(),
        part=base[2:5],
        whole=base,
        half=torch.randn(5).half(),
        brain=torch.randn(5).bfloat16(),
        numbers=torch.arange(3),
        yes=torch.tensor([True, False]),
        parameter=torch.nn.Parameter(torch.ones(2)),
        none=torch.empty(0, 3),
        one=torch.tensor(4.6),
    )
    return {
        "state_dict": tensors,
        "epoch": 5,
        "optimizer": optimizer.state_dict(),
        "scheduler": {"successor": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 5), "last_epoch": 5},
        "val_result": np.float64(88.0),
        "array": np.ones(3),
        "args": argparse.Namespace(lr=1),
        "counts": Counter("aab"),
        "default": defaultdict(int, {1: 2}),
        "size": torch.Size([1, 2]),
        "plain": (None, 1, 2.5, "x", [True]),
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
def test_tensors_and_plain_values_are_read_and_objects_passed_over(tmp_path, zipped):
    written = checkpoint()
    torch.save(written, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    read = pickled.load(tmp_path / "model.pth")
    expected = torch.load(tmp_path / "model.pth", weights_only=False)  # our own file
    assert list(read["state_dict"]) == list(expected["state_dict"])
    for name, value in expected["state_dict"].items():
        assert read["state_dict"][name].dtype == value.dtype and torch.equal(read["state_dict"][name], value), name
    momentum = read["optimizer"]["state"][0]["momentum_buffer"]
    assert torch.equal(momentum, written["optimizer"]["state"][0]["momentum_buffer"])
    assert read["optimizer"]["param_groups"] == written["optimizer"]["param_groups"]
    assert (read["epoch"], read["size"], read["plain"]) == (5, (1, 2), written["plain"])
    assert read["counts"] == {"a": 2, "b": 1} and read["default"] == {1: 2}
    assert read["val_result"] == 88.0
    for name in ("array", "args"):
        assert isinstance(read[name], Inert)
    assert isinstance(read["scheduler"]["successor"], Inert) and read["scheduler"]["last_epoch"] == 5


class Trap:
    """Opens a file for writing when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
def test_code_in_a_pickle_does_not_run(tmp_path, zipped):
    sprung = tmp_path / "sprung"
    torch.save({"a": torch.ones(2), "trap": Trap(sprung)}, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert pickled.load(tmp_path / "x.pt")["a"].tolist() == [1, 1]
    assert not sprung.exists()
    torch.load(tmp_path / "x.pt", weights_only=False)
    assert sprung.exists()  # it is a trap


def archive(path, program, data=b"\0" * 8):
    """An archive of torch.save whose pickle is ``program``, with 8 bytes of data under the key 0."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", program)
        file.writestr("x/data/0", data)
        file.writestr("x/version", "3\n")
    return path


STORAGE = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"  # a persistent id: 2 floats


def tensor(offset, size, stride):
    """The program that makes a tensor of that storage."""

    def numbers(values):
        return b"(" + b"".join(pickle.dumps(value, 2)[2:-1] for value in values) + b"t"

    rest = pickle.dumps(offset, 2)[2:-1] + numbers(size) + numbers(stride) + b"\x89N"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + rest + b"tR"


def test_a_tensor_is_within_its_data(tmp_path):
    assert pickled.load(archive(tmp_path / "x", b"\x80\x02" + tensor(0, (2,), (1,)) + b".")).tolist() == [0, 0]
    for offset, size, stride in (
        *((0, (3,), (1,)), (1, (2,), (1,)), (0, (2, 2), (1, 1)), (0, (2**40,), (0,))),
        *((-1, (1,), (1,)), (0, (-2,), (1,)), (0, (2,), (-1,)), (0, (2,), (2**62,)), (0, (2,), ())),
    ):
        with pytest.raises(Unreadable, match="truncated or damaged"):
            pickled.load(archive(tmp_path / "x", b"\x80\x02" + tensor(offset, size, stride) + b"."))


def test_no_state_reaches_anything_but_stand_ins(tmp_path):
    """BUILD would call a tensor's own __setstate__, which takes storages and sizes as they come."""
    state = b"(" + STORAGE + b"K\x00(J\x00\x00\x00\x7ft(K\x01tt"
    found = pickled.load(archive(tmp_path / "x", b"\x80\x02" + tensor(0, (2,), (1,)) + state + b"b."))
    assert found.shape == (2,)
    # Nor the reader's own functions.
    poison = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\0\0\0__defaults__)s\x86b."
    assert pickled.load(archive(tmp_path / "y", poison)).__defaults__ is None


def test_compressed_and_huge_promises_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", b"\x80\x02" + tensor(0, (2,), (1,)) + b".")
    with pytest.raises(Unreadable, match="compressed"):
        pickled.load(tmp_path / "bomb.pt")
    stream = io.BytesIO()
    for value in (pickled.LEGACY_MAGIC, 1001, {"little_endian": True}):
        pickle.dump(value, stream, protocol=2)
    huge = tensor(0, (2,), (1,)).replace(b"K\x02tQ", b"\x8a\x06" + (2**45).to_bytes(6, "little") + b"NtQ")
    stream.write(b"\x80\x02" + huge + b".")
    (tmp_path / "old.pt").write_bytes(stream.getvalue())
    with pytest.raises(Unreadable, match="larger than the file"):
        pickled.load(tmp_path / "old.pt")


def test_what_is_no_file_of_tensors_is_named(tmp_path):
    (tmp_path / "text.pt").write_text("this is no checkpoint\n")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    (tmp_path / "folder.pt").mkdir()
    (tmp_path / "noise.pt").write_bytes(bytes(range(255, 128, -1)) * 9)
    (tmp_path / "deep.pt").write_bytes(b"\x80\x02" + b"(" * 100000 + b"t" * 100000 + b".")
    (tmp_path / "other.pt").write_bytes(pickle.dumps([1, 2]))
    for name, what in {
        "text.pt": "holds a text, not tensors",
        "empty.safetensors": "is empty",
        "folder.pt": "is a folder, not a file; give the file in it",
        "noise.pt": "holds something else",
        "deep.pt": "damaged",
        "other.pt": "none of torch.save",
        "gone.pt": "cannot be read .No such file",
    }.items():
        with pytest.raises(Unreadable, match=what) as caught:
            tensor_files.load(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)
        assert "weights_only" not in str(caught.value) and "\x1b" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "before 1.6"])
def test_damaged_files_give_the_same_tensors_or_none(tmp_path, zipped):
    """Bytes changed at random, and ends cut off: an archive's tensors are the ones written, or the file is refused.

    The old form has no checksum: there only nothing else than Unreadable may come out.
    """
    path, draw = tmp_path / "x.pt", random.Random(0)
    torch.save(
        {"a": torch.arange(40.0), "b": {"c": torch.ones(3)}, "n": 7}, path, _use_new_zipfile_serialization=zipped
    )
    whole = path.read_bytes()
    refused = 0
    for trial in range(400):
        content = bytearray(whole)
        if trial % 8 == 0:
            content = content[: draw.randrange(len(content))]
        else:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(content)
        try:
            found = pickled.load(path)
        except Unreadable:
            refused += 1
            continue
        if zipped:
            assert torch.equal(found["a"], torch.arange(40.0)) and found["b"]["c"].tolist() == [1, 1, 1], trial
            assert found["n"] == 7
    assert refused > 40


def test_prefixes(tmp_path):
    for prefix in ("module.", "model.clip.", "_orig_mod."):
        state = {f"{prefix}ctx": 1, f"{prefix}other": 2, "criterion.x": 3}
        assert tensor_files.below_prefix(state, ["ctx"]) == {"ctx": 1, "other": 2}
    for state in ({"ctx": 1, "model.ctx": 2}, {"a.ctx": 1, "b.ctx": 2}, {"x": 1}):
        assert tensor_files.below_prefix(state, ["ctx"]) == state
