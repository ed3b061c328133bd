"""Memory of this machine, and what a plain training step will need."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from clip.model import CLIP
from torch import nn

# Bytes the runtime holds before any model, measured: Python, torch and the libraries it brings.
RUNTIME = 0.5e9
# float32 numbers of width d that one block keeps for the backward pass of one token, in multiples of d: what the
# two norms, the attention (input, queries, keys, values, output) and the MLP (with QuickGELU's products) save.
KEPT = 20


def available() -> int:
    """Bytes that can be used without swapping."""
    table = Path("/proc/meminfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return total()


def total() -> int:
    """Bytes of the machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def processor() -> str:
    """The processor's name, and how many of them this process may use."""
    name = platform.processor() or platform.machine()
    table = Path("/proc/cpuinfo")
    if table.is_file():
        for line in table.read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {count} cores"


def kept(tower: nn.Module, tokens: int) -> float:
    """Bytes that a tower's blocks keep for the backward pass of so many tokens."""
    return 4.0 * KEPT * tokens * tower.width * tower.layers


def plain_step(clip: CLIP, classes: int, batch: int) -> float:
    """Bytes of a plain training step, estimated from the sizes of the towers: all classes at the full context."""
    weights = sum(p.numel() * p.element_size() for p in clip.parameters())
    image_tokens = batch * clip.visual.positional_embedding.shape[0]
    text_tokens = (classes + batch) * clip.context_length
    states = kept(clip.transformer, text_tokens) + kept(clip.visual.transformer, image_tokens)
    return RUNTIME + 2 * weights + states
