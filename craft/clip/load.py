"""Where a CLIP comes from: OpenAI's names (checked download), a local file, the demonstration backbone, random weights.

`load_clip` always returns OpenAI's ``clip.model.CLIP`` in float32 on the CPU, in eval mode and frozen; precision and
device are the trainer's business. `fingerprint` identifies the weights, for caches and checkpoints.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path

import torch
from clip import clip as openai
from clip.model import CLIP, VisionTransformer, build_model
from safetensors import SafetensorError
from safetensors.torch import load_file

from craft.common.errors import UserError, unknown

# name: (embed_dim, resolution, vision layers, vision width, patch, text width, text heads, text layers)
ARCHITECTURES = {
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 512, 8, 12),
    "ViT-B/32": (512, 224, 12, 768, 32, 512, 8, 12),
    "ViT-B/16": (512, 224, 12, 768, 16, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 768, 12, 12),
}
CONTEXT_LENGTH, VOCABULARY = 77, 49408
# What safetensors, TorchScript and torch.load raise for files that are not theirs, or not whole.
UNREADABLE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    SafetensorError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
)
NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size"}  # kept in OpenAI's archives beside the weights
DEMO = "demo"
RANDOM = "random:"


def load_clip(name: str, download_root: str | os.PathLike | None = None) -> CLIP:
    """The CLIP called ``name``, float32, CPU, eval mode, ``requires_grad`` off everywhere.

    ``name`` is one of OpenAI's names (``ViT-B/16``, …; downloaded to ``download_root``, default ``~/.cache/clip``,
    and checked against its SHA-256), the path of a local file (OpenAI's TorchScript archive, a state dict saved by
    ``torch.save``, or safetensors), ``demo``, or ``random:<OpenAI name>`` (that architecture with weights drawn from
    a fixed seed: for timing and tests only).

    Raises UserError for an unknown name, a missing, truncated or foreign file, and a failed download.
    """
    if name.startswith(RANDOM):
        return _frozen(_random(name.removeprefix(RANDOM)))
    model = _build(_state_dict(name, download_root), name)
    return _frozen(model)


@lru_cache(maxsize=8)
def resolution(name: str) -> int:
    """Side of the square images that ``name`` reads, in pixels, before the model is built."""
    architecture = ARCHITECTURES.get(name.removeprefix(RANDOM))
    if architecture:
        return architecture[1]
    if name in openai._MODELS:  # the larger models that only the package knows: no table of ours to go stale
        name = openai._download(openai._MODELS[name], os.path.expanduser("~/.cache/clip"))
    return _build(_state_dict(name, None), name).visual.input_resolution


def fingerprint(model: CLIP) -> str:
    """Hex digest of all weights as float32, in the order of their names; kept on the model once computed.

    Must first be asked for before the model is rounded to half precision: `load_clip` does so lazily through
    the trainer, and rounding afterwards does not change the kept value.
    """
    kept = getattr(model, "_craft_fingerprint", None)
    if kept is None:
        state = hashlib.blake2b(digest_size=16)
        for key, value in sorted(model.state_dict().items()):
            state.update(f"{key}{tuple(value.shape)}".encode())
            state.update(value.detach().float().cpu().contiguous().numpy())
        kept = model._craft_fingerprint = state.hexdigest()
    return kept


def place(model: CLIP, device: torch.device | str) -> CLIP:
    """``model`` on ``device``; a ResNet's weights channel-last, as oneDNN and tensor cores read them."""
    if not isinstance(model.visual, VisionTransformer) and torch.device(device).type in ("cpu", "cuda"):
        model.visual.to(memory_format=torch.channels_last)
    return model.to(device)


def _frozen(model: CLIP) -> CLIP:
    return model.float().eval().requires_grad_(False)


def _random(name: str) -> CLIP:
    if name not in ARCHITECTURES:
        raise unknown("architecture", name, ARCHITECTURES)
    embed, size, layers, width, patch, text_width, heads, text_layers = ARCHITECTURES[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CLIP(embed, size, layers, width, patch, CONTEXT_LENGTH, VOCABULARY, text_width, heads, text_layers)


def _state_dict(name: str, download_root: str | os.PathLike | None) -> dict[str, torch.Tensor]:
    if name == DEMO:
        from craft import demo

        return demo.state_dict()
    if name in openai._MODELS:
        root = os.fspath(download_root or os.path.expanduser("~/.cache/clip"))
        try:
            path = openai._download(openai._MODELS[name], root)
        except (OSError, RuntimeError) as error:  # no network, no space, wrong checksum
            raise UserError(
                f"could not download CLIP {name!r} to {root}: {error}; download it elsewhere and give its path "
                f"as MODEL.BACKBONE.NAME, or use {DEMO!r}"
            ) from error
        return _read(Path(path))
    path = Path(name)
    if path.is_file():
        return _read(path)
    if path.suffix in {".pt", ".pth", ".bin", ".safetensors"} or len(path.parts) > 2:
        raise UserError(f"no such CLIP weight file: {name}")
    raise unknown("backbone", name, [*ARCHITECTURES, DEMO])


def _read(path: Path) -> dict[str, torch.Tensor]:
    """State dict in ``path``: safetensors, TorchScript archive, or torch.save without arbitrary pickles."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        if _is_torchscript(path):
            with warnings.catch_warnings():  # deprecated, but the form in which OpenAI published its weights
                warnings.simplefilter("ignore")
                return torch.jit.load(path, map_location="cpu").state_dict()
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"cannot read CLIP weights from {path} ({reason}): truncated or not a weight file; fetch it again"
        ) from error
    return state.get("state_dict", state) if isinstance(state, dict) else {}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.split("/")[-1] == "constants.pkl" for name in archive.namelist())


def _build(state: dict[str, torch.Tensor], name: str) -> CLIP:
    state = {key: value for key, value in state.items() if key not in NOT_WEIGHTS and torch.is_tensor(value)}
    exact = {key: value.float() for key, value in state.items()}
    try:
        model = build_model(dict(state)).float()
        # build_model rounds through float16 on its way; float32 weights are wanted as they are on disk.
        model.load_state_dict(exact)
    except (KeyError, RuntimeError, IndexError, ZeroDivisionError, AttributeError, AssertionError) as error:
        raise UserError(
            f"{name} does not hold the weights of an OpenAI CLIP ({type(error).__name__}: "
            f"{str(error).splitlines()[0][:120]}); expected its state dict with OpenAI's names"
        ) from error
    return model
