"""Weights in OpenAI's form: its published names (checked download), local files, and random ones; each a `Backbone`.

A file may say which activation its model was trained with: ``activation`` in a safetensors file's metadata, or a key
of that name in a dict saved by ``torch.save``. Where it says nothing, QuickGELU is taken, as OpenAI's models have it,
unless the name says otherwise: ``clip.pt?activation=gelu``.
"""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path

import torch

from craft.clip.backbone import QUICK_GELU, Backbone
from craft.clip.openai import ACTIVATIONS, OpenAIBackbone
from craft.clip.original import CLIP, build_model, openai
from craft.common import pickled, tensor_files
from craft.common.errors import UserError, unknown
from craft.common.files import digest_file

# name: (embed_dim, resolution, vision layers, vision width, patch, text width, text heads, text layers)
ARCHITECTURES = {
    "RN50": (1024, 224, (3, 4, 6, 3), 64, None, 512, 8, 12),
    "RN101": (512, 224, (3, 4, 23, 3), 64, None, 512, 8, 12),
    "ViT-B/32": (512, 224, 12, 768, 32, 512, 8, 12),
    "ViT-B/16": (512, 224, 12, 768, 16, 512, 8, 12),
    "ViT-L/14": (768, 224, 24, 1024, 14, 768, 12, 12),
}
CONTEXT_LENGTH, VOCABULARY = 77, 49408
NOT_WEIGHTS = {"input_resolution", "context_length", "vocab_size"}  # kept in OpenAI's archives beside the weights
ACTIVATION = "activation"  # key in metadata and dicts, and behind the ? of a name
FILE_ENDS = {".pt", ".pth", ".bin", ".safetensors"}
RANDOM = "random:"


def published() -> dict[str, str]:
    """OpenAI's names, and where each is downloaded."""
    return openai._MODELS


def known_resolution(name: str) -> int | None:
    """Side of the images of a published or random model, in pixels; None for larger models that only the package
    knows (no table of ours to go stale), and for files."""
    architecture = ARCHITECTURES.get(name.removeprefix(RANDOM))
    return architecture[1] if architecture else None


def load_published(name: str, download_root: str | os.PathLike | None = None) -> Backbone:
    """One of OpenAI's models, downloaded to ``download_root`` (default ``~/.cache/clip``) unless it is there."""
    root = os.fspath(download_root or os.path.expanduser("~/.cache/clip"))
    try:
        path = openai._download(openai._MODELS[name], root)
    except (OSError, RuntimeError) as error:  # no network, no space, wrong checksum
        raise UserError(
            f"could not download CLIP {name!r} to {root}: {error}; download it elsewhere and give its path "
            "as MODEL.BACKBONE.NAME, or use 'demo'"
        ) from error
    state, _ = _read(Path(path))
    return OpenAIBackbone(build(state, name), name, f"OpenAI's {path}")


def load_random(name: str) -> Backbone:
    """``random:<OpenAI name>``: that architecture, weights drawn from a fixed seed."""
    architecture = name.removeprefix(RANDOM)
    if architecture not in ARCHITECTURES:
        raise unknown("architecture", architecture, ARCHITECTURES)
    embed, size, layers, width, patch, text_width, heads, text_layers = ARCHITECTURES[architecture]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIP(embed, size, layers, width, patch, CONTEXT_LENGTH, VOCABULARY, text_width, heads, text_layers)
    return OpenAIBackbone(model, name, "random numbers, seed 0")


def is_path(name: str) -> bool:
    """Whether ``name`` is meant as a file, there or not."""
    path = Path(_split(name)[0])
    return path.is_file() or path.suffix in FILE_ENDS or len(path.parts) > 2


def load_file(name: str) -> Backbone:
    """The model in a local file, ``path`` or ``path?activation=<activation>``.

    UserError for a file that is missing, truncated or holds something else, for an activation that nobody knows, and
    where the file names another one than ``name`` does.
    """
    file, query = _split(name)
    path = Path(file)
    wanted = None
    if query:
        key, _, wanted = query.partition("=")
        if key != ACTIVATION:
            raise UserError(f"{name}: behind the ? stands {ACTIVATION}=NAME, with one of {', '.join(ACTIVATIONS)}")
        _check_activation(wanted, name)
    if not path.exists():
        raise UserError(f"no such CLIP weight file: {file}")
    state, stated = _read(path)
    if stated:
        _check_activation(stated, file)
    if stated and wanted and stated != wanted:
        raise UserError(f"{file} says that its activation is {stated}: leave out ?{query}")
    activation = stated or wanted or QUICK_GELU
    source = f"{file}, activation {activation}"
    if not (stated or wanted):
        source += " as OpenAI's, since the file does not say (GELU: ?activation=gelu behind the path)"
    return OpenAIBackbone(build(state, file), name, source, activation)


def _split(name: str) -> tuple[str, str]:
    """Path, and what stands behind its last question mark; a file with such a name is a path."""
    path, mark, query = name.rpartition("?")
    return (path, query) if mark and not Path(name).is_file() else (name, "")


def _check_activation(activation: str, where: str) -> None:
    if activation not in ACTIVATIONS:
        raise UserError(f"{where}: unknown activation {activation!r}; it must be one of {', '.join(ACTIVATIONS)}")


def _read(path: Path) -> tuple[dict[str, torch.Tensor], str | None]:
    """State dict in ``path``, and the activation that it states.

    TorchScript is code. Only a file that OpenAI published, known by its SHA-256, is loaded as such; of every other file
    the tensors are read and nothing is run.
    """
    try:
        if _is_torchscript(path) and digest_file(path) in _published_digests():
            with warnings.catch_warnings():  # deprecated, but the form in which OpenAI published its weights
                warnings.simplefilter("ignore")
                return torch.jit.load(path, map_location="cpu").state_dict(), None
        found, metadata = tensor_files.load(path)
    except pickled.Unreadable as error:
        remedy = "give the file in it" if path.is_dir() else "fetch it again"
        raise UserError(f"cannot read CLIP weights from {path}, which {error.reason}; {remedy}") from error
    if isinstance(found, pickled.Inert):
        state = dict(pickled.tensors(found))
        if _is_torchscript(path):
            return state, None
        raise UserError(
            f"{path} holds {pickled.kind(found)}, which would have to be run: save its weights alone, "
            "torch.save(model.state_dict(), file)"
        )
    if not isinstance(found, dict):
        return {}, None
    stated = metadata.get(ACTIVATION, found.get(ACTIVATION))
    state = found.get("state_dict", found)
    state = tensor_files.below_prefix(state, LANDMARKS) if isinstance(state, dict) else {}
    return state, stated if isinstance(stated, str) else None


def _published_digests() -> set[str]:
    """SHA-256 of OpenAI's files; each stands in the address that the file is fetched from."""
    return {address.split("/")[-2] for address in published().values()}


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.split("/")[-1] == "constants.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # whoever reads it will say what is wrong
        return False


#: names that every CLIP has, the last for a file that holds little else
LANDMARKS = ("visual.conv1.weight", "token_embedding.weight", "logit_scale")


def build(state: dict[str, torch.Tensor], name: str) -> CLIP:
    """The module of a state dict with OpenAI's names, exactly; UserError, which names ``name``, for any other dict."""
    state = {key: value for key, value in state.items() if key not in NOT_WEIGHTS and torch.is_tensor(value)}
    if any(key.startswith(("text_model.", "vision_model.")) for key in state):
        raise UserError(
            f"{name} holds CLIP under Hugging Face's names; give the same model in OpenAI's form: OpenAI's own file, "
            "or open_clip's state dict"
        )
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise UserError(f"{name}: {broken[0]} is not finite, so no number would be; fetch the file again")
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
