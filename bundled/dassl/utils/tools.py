"""Files, names, seeds, and what a log opens with: the description of the machine and a table."""

import json
import os
import platform
import random
import sys
import urllib.error
import urllib.request
import warnings
from difflib import SequenceMatcher
from importlib import metadata

import numpy as np
import torch

from .errors import UnknownName, UserError
from .files import atomic_path, read_json, write_text

__all__ = [
    "check_availability",
    "check_isfile",
    "collect_env_info",
    "download_url",
    "get_most_similar_str_to_a_from_b",
    "listdir_nohidden",
    "mkdir_if_missing",
    "read_json",
    "set_random_seed",
    "tolist_if_not",
    "write_json",
]


def mkdir_if_missing(dirname):
    """Create a folder and its parents. Raises UserError where that is not possible."""
    try:
        os.makedirs(dirname or ".", exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot create folder {dirname}: {error.strerror}; choose another one") from error


def check_isfile(fpath):
    """Whether ``fpath`` is a file; warns where it is not."""
    found = os.path.isfile(fpath)
    if not found:
        warnings.warn(f'No file found at "{fpath}"', stacklevel=2)
    return found


def require_file(path):
    """True where ``path`` is a file; raises UserError where it is not."""
    if not os.path.isfile(path):
        raise UserError(f"no such image: {path or '(empty path)'}; check DATASET.ROOT")
    return True


def write_json(obj, fpath):
    """Write ``obj`` to ``fpath`` as indented JSON, whole or not at all."""
    write_text(fpath, json.dumps(obj, indent=4, separators=(",", ": ")))


def set_random_seed(seed):
    """Seed ``random``, NumPy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)


def download_url(url, dst):
    """Download ``url`` to ``dst``, which appears only once it is complete."""
    print(f'* url="{url}"')
    print(f'* destination="{dst}"')
    with atomic_path(dst) as temporary:
        try:
            urllib.request.urlretrieve(url, temporary)
        except (ValueError, urllib.error.URLError) as error:
            raise UserError(f"could not download {url}: {error}") from error


def collect_env_info():
    """Versions of what results depend on, and the devices, as text of several lines."""
    lines = [f"Python: {sys.version.split()[0]}", f"Platform: {platform.platform()}", f"PyTorch: {torch.__version__}"]
    for package in ("torchvision", "numpy", "scikit-learn", "Pillow"):
        try:
            lines.append(f"{package}: {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package}: not installed")
    lines.append(f"CUDA of this PyTorch: {torch.version.cuda or 'none'}")
    if torch.cuda.is_available():
        lines.append(f"cuDNN: {torch.backends.cudnn.version()}")
        lines += [f"GPU {i}: {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    else:
        lines.append("GPU: none available")
    lines.append(f"CPU threads: {torch.get_num_threads()} of {os.cpu_count()}")
    return "\n".join(lines)


def listdir_nohidden(path, sort=False):
    """Names in the folder ``path`` that do not start with a dot, in the file system's order unless ``sort``."""
    try:
        names = os.listdir(path)
    except OSError as error:
        raise UserError(f"cannot list {path}: {error.strerror}; check DATASET.ROOT") from error
    names = [name for name in names if not name.startswith(".")]
    return sorted(names) if sort else names


def two_columns(rows):
    """Names and values, aligned and ruled above and below."""
    rows = [(str(name), str(value)) for name, value in rows]
    left, right = (max(len(row[i]) for row in rows) for i in (0, 1))
    rule = f"{'-' * left}  {'-' * right}"
    return "\n".join([rule, *(f"{name:<{left}}  {value}" for name, value in rows), rule])


def check_availability(requested, available):
    """Raise UnknownName unless ``requested`` is one of ``available``."""
    available = list(available)
    if requested not in available:
        raise UnknownName("name", requested, available)


def get_most_similar_str_to_a_from_b(a, b):
    """The string in ``b`` that resembles ``a`` most; the last of equals, None where ``b`` is empty."""
    chosen, highest = None, 0
    for candidate in b:
        similarity = SequenceMatcher(None, a, candidate).ratio()
        if similarity >= highest:
            chosen, highest = candidate, similarity
    return chosen


def tolist_if_not(x):
    """``x`` itself where it is a list, else ``[x]``."""
    return x if isinstance(x, list) else [x]
