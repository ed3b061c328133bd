"""Reads a classifier that `craft export` wrote, with torch, safetensors and Pillow alone.

    python classify.py classifier.safetensors photo.jpg …

This file lies beside every exported folder and needs nothing of the project that wrote it. A classifier is tensors
and one JSON text in the file's metadata: classes, pixels, heads, activation. Names of the tensors are those below.
"""

import json
import sys

import torch
import torch.nn.functional as F
from PIL import Image
from safetensors import safe_open


def read(path):
    """(tensors by name, what is known of them) of an exported file."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["classifier"])  # noqa: SIM118 (not a dict)


def prepare(image, about):
    """(3, R, R) pixels of a PIL image: smaller edge to R, middle cut out, mean and deviation of the model."""
    side, (width, height) = about["resolution"], image.size
    short, long = min(width, height), max(width, height)
    size = (side, int(side * long / short)) if width <= height else (int(side * long / short), side)
    image = image.convert("RGB").resize(size, Image.Resampling[about["interpolation"].upper()])
    left, top = round((size[0] - side) / 2), round((size[1] - side) / 2)
    pixels = torch.frombuffer(bytearray(image.crop((left, top, left + side, top + side)).tobytes()), dtype=torch.uint8)
    pixels = pixels.view(side, side, 3).permute(2, 0, 1).float() / 255
    return (pixels - torch.tensor(about["mean"])[:, None, None]) / torch.tensor(about["std"])[:, None, None]


def encode(t, about, images):
    """(B, e) image features of length 1, of prepared images (B, 3, R, R): a vision transformer with learned tokens."""

    def linear(x, name):
        return F.linear(x, t[f"{name}.weight"], t[f"{name}.bias"])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"])

    x = F.conv2d(images, t["image.patches"], stride=t["image.patches"].shape[-1]).flatten(2).transpose(1, 2)
    x = torch.cat([t["image.class"].expand(x.shape[0], 1, -1), x], dim=1) + t["image.position"]
    if "image.prompt.0" in t:  # learned tokens behind the patches, …
        x = torch.cat([x, t["image.prompt.0"].expand(x.shape[0], -1, -1)], dim=1)
    x = norm(x, "image.ln_pre")
    for i in range(about["layers"]):
        if i and f"image.prompt.{i}" in t:  # … which others replace before later blocks
            new = t[f"image.prompt.{i}"]
            x = torch.cat([x[:, : -len(new)], new.expand(x.shape[0], -1, -1)], dim=1)
        joint = linear(norm(x, f"image.{i}.ln_1"), f"image.{i}.query_key_value")
        query, key, value = joint.unflatten(-1, (3, about["heads"], -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + linear(mixed, f"image.{i}.out")
        hidden = linear(norm(x, f"image.{i}.ln_2"), f"image.{i}.mlp_in")
        hidden = hidden * torch.sigmoid(1.702 * hidden) if about["activation"] == "quick_gelu" else F.gelu(hidden)
        x = x + linear(hidden, f"image.{i}.mlp_out")
    return F.normalize(norm(x[:, 0], "image.ln_post") @ t["image.projection"], dim=-1)


def logits(t, about, images):
    """(B, C): scale times the cosines of images and classes; softmax of it gives the probabilities."""
    return t["scale"] * encode(t, about, images) @ t["text"].T


def main(path, *photos):
    t, about = read(path)
    for photo in photos:
        found = logits(t, about, prepare(Image.open(photo), about)[None]).softmax(-1)[0]
        if found.max() < about.get("reject", {}).get("value", 0):
            print(f"{photo}\tnone of these\t")
        for value, label in zip(*found.topk(min(3, len(found)))):
            print(f"{photo}\t{about['classes'][label]}\t{value:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
