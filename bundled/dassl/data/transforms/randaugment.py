"""RandAugment (arXiv 1909.13719) in the three flavours that Dassl offers.

An operation takes a PIL image and a value; the tables below give its range of values. Geometric operations of
``SIGNED`` flip the sign of their value with probability 1/2.
"""

import random

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps


def _affine(image, *coefficients):
    return image.transform(image.size, Image.AFFINE, coefficients)


def _solarize_add(image, value):
    """Brighten by ``value``, then invert everything from 128 up."""
    brighter = np.clip(np.asarray(image).astype(np.int64) + int(value), 0, 255).astype(np.uint8)
    return ImageOps.solarize(Image.fromarray(brighter), 128)


def _cutout(image, size):
    """Grey out a square of ``size`` pixels, centred anywhere and cut off at the border."""
    width, height = image.size
    left = int(max(0, np.random.uniform(width) - size / 2.0))
    top = int(max(0, np.random.uniform(height) - size / 2.0))
    image = image.copy()
    ImageDraw.Draw(image).rectangle((left, top, min(width, left + size), min(height, top + size)), (125, 123, 114))
    return image


OPERATIONS = {
    "AutoContrast": lambda image, value: ImageOps.autocontrast(image),
    "Brightness": lambda image, value: ImageEnhance.Brightness(image).enhance(value),
    "Color": lambda image, value: ImageEnhance.Color(image).enhance(value),
    "Contrast": lambda image, value: ImageEnhance.Contrast(image).enhance(value),
    "Cutout": _cutout,
    "Equalize": lambda image, value: ImageOps.equalize(image),
    "Identity": lambda image, value: image,
    "Invert": lambda image, value: ImageOps.invert(image),
    "Posterize": lambda image, value: ImageOps.posterize(image, int(value)),
    "Rotate": lambda image, value: image.rotate(value),
    "Sharpness": lambda image, value: ImageEnhance.Sharpness(image).enhance(value),
    "ShearX": lambda image, value: _affine(image, 1, value, 0, 0, 1, 0),
    "ShearY": lambda image, value: _affine(image, 1, 0, 0, value, 1, 0),
    "Solarize": lambda image, value: ImageOps.solarize(image, value),
    "SolarizeAdd": _solarize_add,
    "TranslateX": lambda image, value: _affine(image, 1, 0, value * image.size[0], 0, 1, 0),
    "TranslateY": lambda image, value: _affine(image, 1, 0, 0, 0, 1, value * image.size[1]),
    "TranslateXabs": lambda image, value: _affine(image, 1, 0, value, 0, 1, 0),
    "TranslateYabs": lambda image, value: _affine(image, 1, 0, 0, 0, 1, value),
}
SIGNED = {"Rotate", "ShearX", "ShearY", "TranslateX", "TranslateY", "TranslateXabs", "TranslateYabs"}

# (operation, value at magnitude 0, value at the highest magnitude)
RANDAUGMENT = [
    ("AutoContrast", 0, 1),
    ("Equalize", 0, 1),
    ("Invert", 0, 1),
    ("Rotate", 0, 30),
    ("Posterize", 4, 8),
    ("Solarize", 0, 256),
    ("SolarizeAdd", 0, 110),
    ("Color", 0.1, 1.9),
    ("Contrast", 0.1, 1.9),
    ("Brightness", 0.1, 1.9),
    ("Sharpness", 0.1, 1.9),
    ("ShearX", 0.0, 0.3),
    ("ShearY", 0.0, 0.3),
    ("Cutout", 0, 40),
    ("TranslateXabs", 0.0, 100),
    ("TranslateYabs", 0.0, 100),
]


def _symmetric(low, high, inverts):
    """The list of FixMatch (arXiv 2001.07685), with enhancement factors from ``low`` to ``high``."""
    return [
        ("AutoContrast", 0, 1),
        ("Brightness", low, high),
        ("Color", low, high),
        ("Contrast", low, high),
        ("Equalize", 0, 1),
        ("Identity", 0, 1),
        *([("Invert", 0, 1)] if inverts else []),
        ("Posterize", 4, 8),
        ("Rotate", -30, 30),
        ("Sharpness", low, high),
        ("ShearX", -0.3, 0.3),
        ("ShearY", -0.3, 0.3),
        ("Solarize", 0, 256),
        ("TranslateX", -0.3, 0.3),
        ("TranslateY", -0.3, 0.3),
    ]


class _Augment:
    """``n`` operations drawn with replacement from ``table``, each at a strength in [0, 1] or skipped."""

    table: list

    def __init__(self, n):
        self.n = n

    def strength(self):
        """Where between its lowest and highest value an operation acts; None skips it."""
        return random.random()

    def __call__(self, img):
        for name, low, high in random.choices(self.table, k=self.n):
            strength = self.strength()
            if strength is None:
                continue
            value = low + strength * (high - low)
            if name in SIGNED and random.random() > 0.5:
                value = -value
            img = OPERATIONS[name](img, value)
        return img


class RandAugment(_Augment):
    """``n`` operations, all at magnitude ``m`` of 30."""

    table = RANDAUGMENT

    def __init__(self, n=2, m=10):
        if not 0 <= m <= 30:
            raise ValueError(f"RandAugment's magnitude must lie in 0 … 30, but got {m}")
        super().__init__(n)
        self.m = m

    def strength(self):
        return self.m / 30


class RandAugment2(_Augment):
    """``n`` operations, each applied with probability ``p`` at a random magnitude."""

    table = _symmetric(0.1, 1.9, inverts=True)

    def __init__(self, n=2, p=0.6):
        super().__init__(n)
        self.p = p

    def strength(self):
        return None if random.random() > self.p else random.random()


class RandAugmentFixMatch(_Augment):
    """``n`` operations at random magnitudes, as FixMatch uses them."""

    table = _symmetric(0.05, 0.95, inverts=False)

    def __init__(self, n=2):
        super().__init__(n)
