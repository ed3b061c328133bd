"""Train the demonstration backbone from nothing; some ten minutes on two idle cores:

    python -m craft.demo.train                      # overwrites craft/demo/weights.safetensors
    python -m craft.demo.train --steps 200 --out output/try.safetensors
    python -m craft.demo.train --evaluate           # zero-shot accuracy of the committed file, no training

OpenAI's architecture (``clip.model.CLIP``) at toy size learns to match pictures of characters with their names. The
loss is CLIP's symmetric cross-entropy, with all pairs of one character as positives: of 277 characters many are in
a batch of 192 more than once. Same seed, number of threads and package versions: same weights.

Digits written by hand are never trained on. What had to be chosen here (wording, distortions, colours, batch,
share of digits) was chosen on some of scikit-learn's (``digit_indices("selection")``); others are for stating the
result.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional as F
from tqdm import tqdm

from craft.clip.backbone import PIXEL_MEAN, PIXEL_STD
from craft.clip.original import CLIP, openai
from craft.common.errors import UserError, entry_point
from craft.common.files import atomic_path
from craft.demo import (
    CONTEXT_LENGTH,
    DIGIT_NAMES,
    DIGIT_TEMPLATE,
    RESOLUTION,
    ROWS,
    TRAINED,
    WEIGHTS,
    glyphs,
    state_dict,
    untrained_tokens,
)

# Three different widths on purpose: code that takes one for another fails here, not on somebody's ViT-L/14.
ARCHITECTURE = {
    "embed_dim": 96,
    "image_resolution": RESOLUTION,
    "vision_layers": 4,
    "vision_width": 128,
    "vision_patch_size": 8,
    "context_length": CONTEXT_LENGTH,
    "transformer_width": 64,
    "transformer_heads": 1,
    "transformer_layers": 3,
}
STEPS, BATCH, SEED = 1800, 192, 1
DIGIT_SHARE = 2  # a digit is drawn this many times as often as any other character
RATE, WARMUP, DECAY = 1e-3, 100, 0.05
MAX_LOGIT_SCALE = math.log(100)  # OpenAI's bound


def pixels(images: list[Image.Image]) -> torch.Tensor:
    """(N, 3, H, W) float32, normalised with CLIP's mean and deviation."""
    stack = np.stack([np.asarray(image, dtype=np.float32) for image in images]) / 255
    mean, deviation = np.asarray(PIXEL_MEAN, np.float32), np.asarray(PIXEL_STD, np.float32)
    return torch.from_numpy((stack - mean) / deviation).permute(0, 3, 1, 2).contiguous()


def tokens_until_end(texts: list[str]) -> torch.Tensor:
    """Token ids (N, L), L ending at the longest text's end-of-text token: exact, since attention is causal."""
    ids = openai.tokenize(texts).long()
    return ids[:, : int(ids.argmax(1).max()) + 1]


@functools.cache
def trained_tokens() -> np.ndarray:
    """Sorted ids of all tokens that a caption can hold, int64; the last is end-of-text, the largest of all.

    Every name alone and every template alone suffice: the tokenizer splits at spaces and punctuation first.
    """
    names = {name for char in glyphs.characters() for name in glyphs.names_for(char)}
    return np.unique(tokens_until_end([*sorted(names), *(t.format("three") for t in glyphs.TEMPLATES)]).numpy())


def draw_batch(seed: int, step: int, size: int) -> tuple[torch.Tensor, list[str], torch.Tensor]:
    """Pictures (N, 3, 32, 32), captions and character indices (N,) of one step: a function of its arguments."""
    rng = np.random.default_rng((seed, step))
    chars = glyphs.characters()
    share = np.where([char.isdigit() for char in chars], DIGIT_SHARE, 1.0)
    labels = rng.choice(len(chars), size=size, p=share / share.sum())
    images, texts = [], []
    for label in labels:
        fonts = glyphs.fonts_for(chars[label])
        images.append(glyphs.render(chars[label], fonts[rng.integers(len(fonts))], rng, RESOLUTION))
        texts += glyphs.texts_for(chars[label], rng)
    return pixels(images), texts, torch.from_numpy(labels)


def contrastive(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Symmetric cross-entropy of logits (N images, N texts); a row's target is shared by all pairs of its class."""
    same = (labels[:, None] == labels[None, :]).float()
    targets = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, targets) + F.cross_entropy(logits.T, targets)) / 2


def train(steps: int, seed: int = SEED, batch: int = BATCH, progress: bool = True) -> dict[str, torch.Tensor]:
    """Train and return what the weights file holds: OpenAI's names, float32, the token embedding's used rows only.

    Tokens that no caption holds would only be carried along, so the model is built on a compact vocabulary. Ids keep
    their order in it, so that end-of-text stays the largest, which is how CLIP finds it.
    """
    torch.manual_seed(seed)
    rows = trained_tokens()
    model = CLIP(**ARCHITECTURE, vocab_size=len(rows)).train()
    with torch.no_grad():
        width = ARCHITECTURE["transformer_width"]
        model.token_embedding.weight.copy_(torch.from_numpy(untrained_tokens(width, seed)[rows]))
    compact = torch.from_numpy(np.searchsorted(rows, np.arange(rows[-1] + 1)))

    # As OpenAI did: no decay on gains, biases, embeddings and the temperature.
    decayed = [p for n, p in model.named_parameters() if p.ndim >= 2 and "embedding" not in n]
    others = [p for n, p in model.named_parameters() if p.ndim < 2 or "embedding" in n]
    groups = [{"params": decayed, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98))
    warmup = min(WARMUP, max(1, steps // 10))
    bar = tqdm(range(steps), desc="demonstration backbone", unit="step", disable=None if progress else True)
    for step in bar:
        decay = (1 + math.cos(math.pi * step / steps)) / 2
        for group in optimizer.param_groups:
            group["lr"] = RATE * min((step + 1) / warmup, decay)
        images, texts, labels = draw_batch(seed, step, batch)
        logits, _ = model(images, compact[tokens_until_end(texts)])
        loss = contrastive(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        if step % 20 == 0:
            bar.set_postfix(loss=f"{loss.item():.3f}")
    return {**{k: v.detach().contiguous() for k, v in model.state_dict().items()}, ROWS: torch.from_numpy(rows)}


def save(weights: dict[str, torch.Tensor], out: Path, about: dict) -> None:
    """Write the weights file: float16, ``about`` as JSON in its header; whole or not at all."""
    half = {key: value.half() if value.is_floating_point() else value.int() for key, value in weights.items()}
    with atomic_path(out) as temporary:
        save_file(half, temporary, metadata={"format": "pt", "demo": json.dumps(about, sort_keys=True)})


def load(path: Path | None = None) -> CLIP:
    """The backbone as OpenAI's module, float32, in eval mode."""
    state = state_dict(path)
    model = CLIP(**ARCHITECTURE, vocab_size=len(state[TRAINED]))
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def digit_indices(purpose: str) -> np.ndarray:
    """Which of scikit-learn's 1,797 digits may be looked at for ``purpose``: two sets without a common image.

    ``"final"``, for stating the result, is a stratified half; ``"selection"``, for choices, is what the other half
    has outside the test part of the data set ``Digits``, whose accuracies would otherwise be flattered.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    from craft.demo.digits import partition

    target = load_digits().target
    selection, final = train_test_split(np.arange(len(target)), test_size=0.5, random_state=0, stratify=target)
    if purpose == "final":
        return np.sort(final)
    return np.setdiff1d(selection, partition(target.tolist())["test"])


@torch.no_grad()
def zero_shot(model: CLIP, purpose: str = "selection", template: str = DIGIT_TEMPLATE) -> dict[str, float]:
    """Accuracies in percent on ``digit_indices(purpose)``: among all ten digits, among 0-4 only, among 5-9 only."""
    from sklearn.datasets import load_digits

    digits, indices = load_digits(), digit_indices(purpose)
    grey = np.rint(digits.images[indices] * (255 / 16)).astype(np.uint8)
    size = (RESOLUTION, RESOLUTION)
    images = pixels([Image.fromarray(g).convert("RGB").resize(size, Image.Resampling.BICUBIC) for g in grey])
    labels = torch.from_numpy(digits.target[indices])
    texts = tokens_until_end([template.format(name) for name in DIGIT_NAMES])
    logits = model(images, texts)[0]
    accuracy = {}
    for name, first, last in (("all", 0, 10), ("0-4", 0, 5), ("5-9", 5, 10)):
        chosen = (labels >= first) & (labels < last)
        right = logits[chosen, first:last].argmax(1) + first == labels[chosen]
        accuracy[name] = round(100 * right.float().mean().item(), 2)
    return accuracy


@entry_point
def main(argv: list[str] | None = None) -> None:
    """Parse the command line, train, write the file, and say how well it reads handwritten digits unseen."""
    parser = argparse.ArgumentParser(prog="python -m craft.demo.train", description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--evaluate", action="store_true", help="only evaluate --out, on both sets of digits")
    args = parser.parse_args(argv)
    if args.evaluate:
        model = load(args.out)
        for purpose in ("selection", "final"):
            print(f"zero-shot accuracy on handwritten digits ({purpose}): {zero_shot(model, purpose)}")
        return
    if args.steps < 1 or args.batch < 2 or args.seed < 0:
        raise UserError("--steps must be at least 1, --batch at least 2, --seed at least 0")

    start = time.perf_counter()
    weights = train(args.steps, args.seed, args.batch)
    seconds = time.perf_counter() - start
    about = {
        "what": "demonstration backbone: OpenAI's CLIP architecture at toy size, trained on rendered characters and "
        "their Unicode names; for demonstration only",
        "command": f"python -m craft.demo.train --steps {args.steps} --batch {args.batch} --seed {args.seed}",
        "architecture": ARCHITECTURE,
        "steps": args.steps,
        "batch": args.batch,
        "seed": args.seed,
        "token_seed": args.seed,
    }
    save(weights, args.out, about)
    accuracy = zero_shot(load(args.out))
    print(
        f"wrote {args.out} ({args.out.stat().st_size / 1e6:.1f} MB) after {seconds:.0f} s of training on "
        f"{torch.get_num_threads()} threads"
    )
    print(f"zero-shot accuracy on handwritten digits (selection): {accuracy}")


if __name__ == "__main__":
    raise SystemExit(main())
