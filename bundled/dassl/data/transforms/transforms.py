"""``cfg.INPUT`` -> torchvision transforms, and the few that torchvision lacks."""

import random

import numpy as np
import torch
import torchvision.transforms.functional as F
from torchvision import transforms as T
from torchvision.transforms.functional import InterpolationMode

from ...utils.errors import UnknownName
from .randaugment import RandAugment, RandAugment2, RandAugmentFixMatch

INTERPOLATION_MODES = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "nearest": InterpolationMode.NEAREST,
}


class Random2DTranslation:
    """With probability ``p`` enlarge to 9/8 of the target size and crop at random; otherwise only resize.

    Args:
        height, width: target size in pixels.
    """

    def __init__(self, height, width, p=0.5, interpolation=InterpolationMode.BILINEAR):
        self.height = height
        self.width = width
        self.p = p
        self.interpolation = interpolation

    def __call__(self, img):
        if random.uniform(0, 1) > self.p:
            return F.resize(img, [self.height, self.width], interpolation=self.interpolation)
        height, width = round(self.height * 1.125), round(self.width * 1.125)
        enlarged = F.resize(img, [height, width], interpolation=self.interpolation)
        left = round(random.uniform(0, width - self.width))
        top = round(random.uniform(0, height - self.height))
        return F.crop(enlarged, top, left, self.height, self.width)


class InstanceNormalization:
    """Zero mean and unit deviation a channel of one image tensor [C, H, W]."""

    def __init__(self, eps=1e-8):
        self.eps = eps

    def __call__(self, img):
        mean = img.mean(dim=(1, 2), keepdim=True)
        std = img.std(dim=(1, 2), keepdim=True)
        return (img - mean) / (std + self.eps)


class Cutout:
    """Blacken ``n_holes`` squares of ``length`` pixels, centred anywhere, in an image tensor [C, H, W]."""

    def __init__(self, n_holes=1, length=16):
        self.n_holes = n_holes
        self.length = length

    def __call__(self, img):
        height, width = img.shape[1:]
        half = self.length // 2
        mask_HW = torch.ones(height, width)
        for _ in range(self.n_holes):
            y, x = np.random.randint(height), np.random.randint(width)
            mask_HW[max(y - half, 0) : y + half, max(x - half, 0) : x + half] = 0.0
        return img * mask_HW


class GaussianNoise:
    """With probability ``p`` add normal noise to an image tensor."""

    def __init__(self, mean=0, std=0.15, p=0.5):
        self.mean = mean
        self.std = std
        self.p = p

    def __call__(self, img):
        if random.uniform(0, 1) > self.p:
            return img
        return img + torch.randn(img.size()) * self.std + self.mean


def _policy(name):
    return lambda cfg: (f"{name} policy", T.AutoAugment(T.AutoAugmentPolicy[name.upper()]))


def _crop(cfg):
    return f"random crop (padding = {cfg.CROP_PADDING})", T.RandomCrop(cfg.SIZE, padding=cfg.CROP_PADDING)


def _resized_crop(cfg):
    crop = T.RandomResizedCrop(cfg.SIZE, scale=cfg.RRCROP_SCALE, interpolation=INTERPOLATION_MODES[cfg.INTERPOLATION])
    return f"random resized crop (size={cfg.SIZE}, scale={cfg.RRCROP_SCALE})", crop


def _jitter(cfg):
    b, c, s, h = cfg.COLORJITTER_B, cfg.COLORJITTER_C, cfg.COLORJITTER_S, cfg.COLORJITTER_H
    return f"color jitter (brightness={b}, contrast={c}, saturation={s}, hue={h})", T.ColorJitter(b, c, s, h)


def _normalize(cfg):
    mean, std = cfg.PIXEL_MEAN, cfg.PIXEL_STD
    return f"normalization (mean={mean}, std={std})", T.Normalize(mean=mean, std=std)


# Name -> function of cfg.INPUT that gives a line for the log and the transform. Training applies the chosen ones
# in this order, whatever their order in the configuration; ON_TENSOR come after the conversion to a tensor.
ON_IMAGE = {
    "random_translation": lambda cfg: ("random translation", Random2DTranslation(cfg.SIZE[0], cfg.SIZE[1])),
    "random_crop": _crop,
    "random_resized_crop": _resized_crop,
    "random_flip": lambda cfg: ("random flip", T.RandomHorizontalFlip()),
    "imagenet_policy": _policy("imagenet"),
    "cifar10_policy": _policy("cifar10"),
    "svhn_policy": _policy("svhn"),
    "randaugment": lambda cfg: (
        f"randaugment (n={cfg.RANDAUGMENT_N}, m={cfg.RANDAUGMENT_M})",
        RandAugment(cfg.RANDAUGMENT_N, cfg.RANDAUGMENT_M),
    ),
    "randaugment_fixmatch": lambda cfg: (
        f"randaugment_fixmatch (n={cfg.RANDAUGMENT_N})",
        RandAugmentFixMatch(cfg.RANDAUGMENT_N),
    ),
    "randaugment2": lambda cfg: (f"randaugment2 (n={cfg.RANDAUGMENT_N})", RandAugment2(cfg.RANDAUGMENT_N)),
    "colorjitter": _jitter,
    "randomgrayscale": lambda cfg: ("random gray scale", T.RandomGrayscale(p=cfg.RGS_P)),
    "gaussian_blur": lambda cfg: (
        f"gaussian blur (kernel={cfg.GB_K})",
        T.RandomApply([T.GaussianBlur(cfg.GB_K)], p=cfg.GB_P),
    ),
}
ON_TENSOR = {
    "cutout": lambda cfg: (
        f"cutout (n_holes={cfg.CUTOUT_N}, length={cfg.CUTOUT_LEN})",
        Cutout(cfg.CUTOUT_N, cfg.CUTOUT_LEN),
    ),
    "normalize": _normalize,
    "gaussian_noise": lambda cfg: (
        f"gaussian noise (mean={cfg.GN_MEAN}, std={cfg.GN_STD})",
        GaussianNoise(cfg.GN_MEAN, cfg.GN_STD),
    ),
    "instance_norm": lambda cfg: ("instance normalization", InstanceNormalization()),
}
TO_TENSOR = ("to torch tensor of range [0, 1]", T.ToTensor())
AVAI_CHOICES = [*ON_IMAGE, *ON_TENSOR, "center_crop"]  # center_crop is what testing does anyway


def build_transform(cfg, is_train=True, choices=None):
    """The transform of training or test images: PIL image -> float tensor [3, H, W].

    Args:
        cfg: the configuration; its INPUT node holds all settings.
        choices: names to use instead of ``cfg.INPUT.TRANSFORMS``.

    Returns None with INPUT.NO_TRANSFORM. Raises UnknownName for a name that does not exist.
    """
    if cfg.INPUT.NO_TRANSFORM:
        print("Note: no transform is applied!")
        return None
    choices = cfg.INPUT.TRANSFORMS if choices is None else choices
    for choice in choices:
        if choice not in AVAI_CHOICES:
            raise UnknownName("transform", choice, AVAI_CHOICES)
    if cfg.INPUT.INTERPOLATION not in INTERPOLATION_MODES:
        raise UnknownName("INPUT.INTERPOLATION", cfg.INPUT.INTERPOLATION, INTERPOLATION_MODES)

    print("Building transform_train" if is_train else "Building transform_test")
    steps = _train_steps(cfg.INPUT, choices) if is_train else _test_steps(cfg.INPUT, choices)
    for line, _ in steps:
        print(f"+ {line}")
    return T.Compose([step for _, step in steps])


def _train_steps(cfg, choices):
    steps = []
    if "random_crop" not in choices and "random_resized_crop" not in choices:
        resize = T.Resize(cfg.SIZE, interpolation=INTERPOLATION_MODES[cfg.INTERPOLATION])
        steps.append((f"resize to {cfg.SIZE[0]}x{cfg.SIZE[1]}", resize))
    steps += [describe(cfg) for name, describe in ON_IMAGE.items() if name in choices]
    steps.append(TO_TENSOR)
    return steps + [describe(cfg) for name, describe in ON_TENSOR.items() if name in choices]


def _test_steps(cfg, choices):
    longest = max(cfg.SIZE)
    steps = [
        (
            f"resize the smaller edge to {longest}",
            T.Resize(longest, interpolation=INTERPOLATION_MODES[cfg.INTERPOLATION]),
        ),
        (f"{cfg.SIZE[0]}x{cfg.SIZE[1]} center crop", T.CenterCrop(cfg.SIZE)),
        TO_TENSOR,
    ]
    return steps + [ON_TENSOR[name](cfg) for name in ("normalize", "instance_norm") if name in choices]
