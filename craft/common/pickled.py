"""Tensors out of pickles without running anything: files of `torch.save`, old and new, and TorchScript archives.

A pickle is a program that may call whatever it names. Here it finds tensors, their storages and plain values (numbers,
strings, lists, dictionaries); every other name becomes an empty `Inert` class that takes what it is given and does
nothing. So a checkpoint with somebody's scheduler in it gives its tensors, and code in a file has nothing to call.
torch's own reader is not asked: what it lets a file do has been wrong before (CVE-2025-32434, CVE-2026-24747).

Members of an archive are checked against its CRC-32, which `torch.load` does not do, and none may be compressed, so
that no small file unpacks to a large one. A tensor may not be larger than the data that the file has for it.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from craft.common.errors import UserError

ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # how the two forms of torch.save begin
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    f"{name}Storage": dtype
    for name, dtype in {
        "Double": torch.float64,
        "Float": torch.float32,
        "Half": torch.float16,
        "BFloat16": torch.bfloat16,
        "Long": torch.int64,
        "Int": torch.int32,
        "Short": torch.int16,
        "Char": torch.int8,
        "Byte": torch.uint8,
        "Bool": torch.bool,
        "Untyped": torch.uint8,
    }.items()
}
DICTS = {("collections", "defaultdict"), ("collections", "Counter"), ("builtins", "dict"), ("__builtin__", "dict")}


class NotWhole(ValueError):
    """What a file says does not go together: it was cut short, damaged, or made up."""


class Inert:
    """Stands in for an object of another class than those that are read; keeps its attributes, does nothing.

    Every subclass is named as the class that the file asks for.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Inert:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update((key, value) for key, value in part.items() if isinstance(key, str))

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, str):
            self.__dict__[key] = value

    def append(self, value: Any) -> None:
        pass

    extend = add = append


# -- what a pickle may name -------------------------------------------------------------------------------------------


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *ignored: Any) -> Tensor:
    """torch._utils._rebuild_tensor(_v2): a view of a storage (1-D tensor), within its bounds."""
    numbers = (offset, *size, *stride)
    if not isinstance(storage, Tensor) or len(size) != len(stride) or not all(type(n) is int for n in numbers):
        raise NotWhole("a tensor without data")
    reach = offset + sum((n - 1) * step for n, step in zip(size, stride)) + 1
    count = 1
    for n in size:
        count *= n
    if min(numbers, default=0) < 0 or (count and (reach > len(storage) or count > len(storage))):
        raise NotWhole("a tensor is larger than its data")
    if not count:
        return storage.new_empty(tuple(size))
    return storage.as_strided(tuple(size), tuple(stride), offset)


def _number(code: Any, data: Any) -> Any:
    """A NumPy number as Python's; its bytes where it is no number."""
    if isinstance(code, str) and re.fullmatch("[fiu][1248]|b1", code) and isinstance(data, bytes):
        return np.frombuffer(data, code, 1).item()
    return data


def _parameter(data: Any, *ignored: Any) -> Any:
    return data


class _Reader(pickle._Unpickler):
    """An unpickler for one file.

    The standard library's in Python, because the one in C hands BUILD's state to whatever object is there: a tensor's
    own ``__setstate__`` takes sizes unchecked. Here only `Inert` objects are given a state.
    """

    def __init__(self, stream: Any, storages: Any):
        super().__init__(stream, encoding="utf-8")
        self._storages = storages
        self._known: dict[tuple[str, str], Any] = {}

    def _build(self) -> None:
        state = self.stack.pop()  # type: ignore[attr-defined]  # the standard library's, without types
        if isinstance(self.stack[-1], Inert):  # type: ignore[attr-defined]
            self.stack[-1].__setstate__(state)  # type: ignore[attr-defined]

    dispatch = {**pickle._Unpickler.dispatch, pickle.BUILD[0]: _build}  # type: ignore[dict-item]  # of a subclass

    def find_class(self, module: str, name: str) -> Any:
        key = (module, name)
        if key not in self._known:
            self._known[key] = self._stand_in(module, name)
        return self._known[key]

    def _stand_in(self, module: str, name: str) -> Any:
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch._utils" and name in ("_rebuild_parameter", "_rebuild_parameter_with_state"):
            return _parameter
        if module == "torch._tensor" and name == "_rebuild_from_type_v2":
            return lambda function, kind, args, state: function(*args)
        if module in ("torch", "torch.storage") and name in STORAGES:
            return _Storage(STORAGES[name])
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch", "Size"):
            return lambda sizes=(): tuple(sizes)
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *args: code
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return _number
        if (module, name) == ("_codecs", "encode"):  # bytes, as the older protocols write them
            return lambda text, coding: text.encode("latin1")
        if (module, name) in DICTS:
            return lambda *args: dict(args[0]) if args and isinstance(args[0], dict) else {}
        if module == "torch.jit._pickle" and name.startswith("build_"):
            return lambda data: data
        return type(name, (Inert,), {"__module__": module, "__qualname__": name})

    def persistent_load(self, pid: Any) -> Any:
        return self._storages(pid)


class _Storage:
    """A class of storages as a pickle names it: what is in one."""

    def __init__(self, dtype: torch.dtype):
        self.dtype = dtype


# -- files ------------------------------------------------------------------------------------------------------------


class Unreadable(UserError):
    """A file of tensors that cannot be read. path; reason: what is wrong with it, as a
    predicate: ``is empty``."""

    def __init__(self, path: str | os.PathLike, reason: str, remedy: str = "fetch it again, or give another file"):
        super().__init__(f"{path} {reason}; {remedy}")
        self.path, self.reason = path, reason


def load(path: str | os.PathLike) -> Any:
    """What ``path`` holds, on the CPU: tensors and plain values as they are, everything else as `Inert`.

    Unreadable where it is missing, a folder, empty, a text, cut short, damaged, or in no form that torch writes.
    """
    path = Path(path)
    start = beginning(path)
    try:
        if start.startswith(ZIP):
            return _load_archive(path)
        if start.startswith(PICKLE):
            return _load_legacy(path)
    except OSError as error:
        raise Unreadable(path, f"cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise Unreadable(path, "needs more memory than there is, or is damaged") from error
    except Exception as error:  # a made-up pickle can make the unpickler raise anything
        own = isinstance(error, (NotWhole, zipfile.BadZipFile, pickle.UnpicklingError))
        raise Unreadable(path, cut_short(str(error) if own else f"{type(error).__name__}: {error}")) from error
    printable = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start)
    what = "a text" if printable else "something else"
    raise Unreadable(path, f"holds {what}, not tensors as safetensors, torch.save or TorchScript write them")


def cut_short(reason: str) -> str:
    """The predicate for a file that begins as one of tensors and is not whole."""
    return f"is truncated or damaged ({(reason.strip().splitlines() or ['not whole'])[0][:120]})"


def beginning(path: Path) -> bytes:
    """The first bytes of a file; Unreadable where there is no such file, it is a folder, empty, or out of reach."""
    try:
        if path.is_dir():
            raise Unreadable(path, "is a folder, not a file", "give the file in it")
        with open(path, "rb") as stream:
            start = stream.read(64)
    except (OSError, ValueError) as error:
        raise Unreadable(path, f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not start:
        raise Unreadable(path, "is empty")
    return start


def _load_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        root = next((name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")), None)
        if root is None:
            raise NotWhole("an archive without data.pkl, so not one of torch.save")

        def content(name: str) -> bytes:
            if members[name].compress_type != zipfile.ZIP_STORED:
                raise NotWhole(f"{name} is compressed, which torch never does")
            return archive.read(name)

        if f"{root}byteorder" in members and content(f"{root}byteorder") != b"little":
            raise NotWhole("written on a machine with another byte order")
        found: dict[str, Tensor] = {}

        def storage(pid: Any) -> Tensor:
            dtype, key, count = _described(pid)
            if key not in found:
                name = f"{root}data/{key}"
                if name not in members or members[name].file_size != count * dtype.itemsize:
                    raise NotWhole(f"its data {key} are missing or of another size")
                found[key] = _from_bytes(content(name), dtype)
            return _as(found[key], dtype)

        return _Reader(io.BytesIO(content(f"{root}data.pkl")), storage).load()


def _load_legacy(path: Path) -> Any:
    """The form of torch before 1.6: pickles behind each other, then each storage's length and bytes."""
    size = path.stat().st_size
    with open(path, "rb") as stream:

        def value() -> Any:
            return _Reader(stream, lambda pid: None).load()

        if value() != LEGACY_MAGIC:
            raise NotWhole("a pickle, but none of torch.save")
        value()
        about = value()
        if isinstance(about, dict) and about.get("little_endian") is False:
            raise NotWhole("written on a machine with another byte order")
        wanted: dict[str, Tensor] = {}

        def storage(pid: Any) -> Tensor:
            dtype, key, count = _described(pid)
            if key not in wanted:
                if count * dtype.itemsize > size:
                    raise NotWhole("a tensor is larger than the file")
                wanted[key] = torch.empty(count, dtype=dtype)
            return _as(wanted[key], dtype)

        found = _Reader(stream, storage).load()
        for key in value():
            (count,) = struct.unpack("<q", stream.read(8))
            target = wanted.get(key)
            if target is None or count != len(target):
                raise NotWhole(f"its data {key} are missing or of another size")
            data = stream.read(count * target.itemsize)
            if len(data) != count * target.itemsize:
                raise NotWhole("its end is missing")
            target.copy_(_from_bytes(data, target.dtype))
            del wanted[key]
        if wanted:
            raise NotWhole("data of a tensor are missing")
        return found


def _described(pid: Any) -> tuple[torch.dtype, str, int]:
    """dtype, key and number of elements of a storage, as torch describes it to its unpickler."""
    if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Storage):
        raise NotWhole("data of a kind that is not read")
    key, count = pid[2], pid[4]
    if not isinstance(key, str) or type(count) is not int or count < 0:
        raise NotWhole("data of a kind that is not read")
    return pid[1].dtype, key, count


def _from_bytes(data: bytes, dtype: torch.dtype) -> Tensor:
    if not data:
        return torch.empty(0, dtype=dtype)
    if dtype == torch.bool:  # a byte of another value than 0 and 1 is no bool, and what comes of it is anybody's guess
        return torch.frombuffer(bytearray(data), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(data), dtype=dtype)


def _as(storage: Tensor, dtype: torch.dtype) -> Tensor:
    """The same bytes as another dtype: two tensors of different kinds may share one storage."""
    return storage if storage.dtype == dtype else storage.view(dtype)


# -- tensors by name --------------------------------------------------------------------------------------------------


def tensors(value: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Tensor]]:
    """``("visual.conv1.weight", tensor), …`` of a scripted module as it was read: attributes of attributes, by name."""
    if isinstance(value, Tensor):
        yield prefix, value
    elif isinstance(value, Inert) and depth < 100:
        for name, part in vars(value).items():
            yield from tensors(part, f"{prefix}.{name}" if prefix else name, depth + 1)


def kind(value: Any) -> str:
    """What was read, in words for an error: ``a pickled clip.model.CLIP``."""
    if isinstance(value, Inert):
        return f"a pickled {type(value).__module__}.{type(value).__qualname__}"
    return f"a {type(value).__name__}"
