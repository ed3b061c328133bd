"""Pictures of characters and the words for them: the demonstration backbone's training data, drawn on demand.

Characters are drawn in the fonts that matplotlib ships (DejaVu, STIX and Computer Modern: letters, digits, Greek,
Cyrillic, punctuation, mathematics, arrows), under a small random affine map, at a random sharpness and in random
colours. Their texts are their Unicode names in natural wording (``LATIN SMALL LETTER A`` becomes "lowercase letter
a" among others). Everything is a pure function of its arguments and of the numpy ``Generator`` passed in.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import string
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CANVAS = 64  # pixels a side of the mask that a glyph is first drawn on
MARGIN = 2  # pixels of that mask which stay empty around the largest glyph

GREEK = "ΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩαβγδεζηθικλμνξοπρςστυφχψω"
CYRILLIC = "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя"
SYMBOLS = "§©®°±µ¶×÷¿¡¢£¥€™←↑→↓↔↕⇐⇒⇔∀∂∃∅∆∇∈∉∏∑√∝∞∠∧∨∩∪∫∴≈≠≡≤≥⊂⊃⊆⊇⊕⊗⊥■□▲△▼○●★♠♣♥♦♪"

# Bare names, the wordings that prompt learners start from, and CLIP's own. The long ones are there so that positions
# beyond a dozen tokens are trained as well: sixteen context tokens need them.
TEMPLATES = (
    "{}",
    "{}.",
    "the {}",
    "a photo of a {}.",
    "a photo of the {}.",
    "a photo of {}.",
    "an image of a {}.",
    "a picture of the {}.",
    "a drawing of the {}.",
    "a rendering of the {}.",
    "a sketch of a {}.",
    "a handwritten {}.",
    "a photo of a handwritten {}.",
    "a blurry photo of the {}.",
    "a low resolution photo of a {}.",
    "a black and white photo of the {}.",
    "a close-up photo of the {}.",
    "a printed {} on paper.",
    "this is a {}.",
    "itap of the {}.",
    "a small picture that shows nothing but the {}.",
    "one of many small pictures, each of a single character, and this one shows the {}.",
)


@dataclasses.dataclass(frozen=True)
class Font:
    """One font file: its ``name`` (the file's stem), its ``path``, and which of ``characters()`` it can draw."""

    name: str
    path: str
    drawable: frozenset[str] = dataclasses.field(repr=False)


@functools.cache
def characters() -> tuple[str, ...]:
    """The characters in a fixed order: digits, Latin letters, punctuation, Greek, Cyrillic, symbols."""
    return tuple(string.digits + string.ascii_letters + string.punctuation + GREEK + CYRILLIC + SYMBOLS)


@functools.cache
def fonts() -> tuple[Font, ...]:
    """The fonts, sorted by name; each can draw at least all ten digits.

    Of Computer Modern only letters and digits are taken: its other slots hold TeX's own encoding, so that the slot
    of "<" draws an inverted exclamation mark.
    """
    from fontTools.ttLib import TTFont
    from matplotlib import get_data_path

    alphanumeric = frozenset(string.digits + string.ascii_letters)
    everything = frozenset(characters())
    found = []
    for path in sorted((Path(get_data_path()) / "fonts" / "ttf").glob("*.ttf")):
        if path.stem in ("cmb10", "cmr10", "cmss10", "cmti10", "cmtt10"):
            wanted = alphanumeric
        elif path.stem.startswith(("DejaVuSans", "DejaVuSerif", "STIXGeneral")) and "Display" not in path.stem:
            wanted = everything
        else:
            continue  # pieces of large brackets, private-use variants, a font of "missing glyph" boxes
        with TTFont(path, lazy=True) as font:
            covered = font.getBestCmap()
        found.append(Font(path.stem, str(path), frozenset(c for c in wanted if ord(c) in covered)))
    return tuple(found)


@functools.cache
def fonts_for(char: str) -> tuple[Font, ...]:
    """The fonts that can draw ``char``, in the order of ``fonts()``."""
    return tuple(font for font in fonts() if char in font.drawable)


@functools.lru_cache(maxsize=512)
def _face(path: str, points: int) -> ImageFont.FreeTypeFont:
    # Basic layout: the same pixels whether or not Pillow was built with a text-shaping library.
    return ImageFont.truetype(path, points, layout_engine=ImageFont.Layout.BASIC)


@functools.lru_cache(maxsize=32768)
def _mask(char: str, path: str, stroke: int) -> tuple[Image.Image, float]:
    """``char`` in white on a black canvas, ``stroke`` pixels fatter than its font draws it, and its extent: how far
    it reaches from the canvas's centre, as a share of half the canvas.

    All glyphs of one font share size and baseline, so that a comma does not look like an apostrophe, nor "o" like
    "O"; only those that would leave the canvas are made smaller.
    """
    half, points = CANVAS / 2, 54
    while True:
        face = _face(path, points)
        capital = -face.getbbox("H", anchor="ms")[1]
        baseline = (half, half + capital / 2)
        canvas = Image.new("L", (CANVAS, CANVAS))
        draw = ImageDraw.Draw(canvas)
        box = draw.textbbox(baseline, char, font=face, anchor="ms", stroke_width=stroke)
        # "ms" centres the advance width; centring the ink instead keeps slanted letters in the middle.
        shift = half - (box[0] + box[2]) / 2
        extent = max((box[2] - box[0]) / 2, half - box[1], box[3] - half)
        if extent <= half - MARGIN or points <= 16:
            break
        points -= 2
    draw.text((baseline[0] + shift, baseline[1]), char, fill=255, font=face, anchor="ms", stroke_width=stroke)
    return canvas, min(1.0, extent / half)


def _colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Ink and paper, each RGB in 0..255, at least 110 grey levels apart; grey and light on dark more often than not."""
    grey, light_ink = rng.random() < 0.7, rng.random() < 0.75
    while True:
        pair = np.repeat(rng.uniform(0, 255, (2, 1)), 3, axis=1) if grey else rng.uniform(0, 255, (2, 3))
        dark, light = sorted(pair, key=lambda colour: float(colour @ (0.299, 0.587, 0.114)))
        if (light - dark) @ (0.299, 0.587, 0.114) >= 110:
            return (light, dark) if light_ink else (dark, light)


def render(
    char: str,
    font: Font,
    rng: np.random.Generator,
    size: int = 32,
    distortion: float = 1.0,
    blur: float = 0.7,
    colours: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None,
) -> Image.Image:
    """A ``size`` x ``size`` RGB picture of ``char`` in ``font``.

    ``distortion`` scales the random affine map (1: up to 10 degrees of rotation, slant 0.25, 20 % of unequal
    stretching, 5 % of shift; 0: none), ``blur`` is the chance that the picture passes through a lower resolution (8
    pixels at the least), ``colours`` fixes (ink, paper) as RGB in 0..255 where ``None`` draws them at random.
    """
    mask, extent = _mask(char, font.path, int(rng.integers(0, 4)))

    angle, slant, stretch = rng.uniform(-1, 1, 3) * distortion * (math.radians(10), 0.25, 0.2)
    shift = rng.uniform(-1, 1, 2) * distortion * 0.05 * CANVAS
    # Small glyphs may grow a little more than large ones, which would be cut off: 1.08 lets ink touch the border.
    zoom = rng.uniform(0.9, 1.5) if distortion else 1.0
    zoom = min(zoom, max(0.8, 1.08 / extent))
    cos, sin = math.cos(angle), math.sin(angle)
    forward = np.array([[cos, -sin], [sin, cos]]) @ [[1, slant], [0, 1]] @ np.diag([1 + stretch, 1 - stretch]) * zoom
    inverse = np.linalg.inv(forward)  # PIL asks where each output pixel comes from
    centre = np.full(2, CANVAS / 2)
    offset = centre - inverse @ (centre + shift)
    matrix = (*inverse[0], offset[0], *inverse[1], offset[1])
    mask = mask.transform(mask.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)

    resolution = size if rng.random() >= blur else int(rng.integers(8, size + 1))
    mask = mask.resize((resolution, resolution), Image.Resampling.BOX)
    if resolution != size:
        mask = mask.resize((size, size), Image.Resampling.BICUBIC)

    ink, paper = _colours(rng) if colours is None else (np.asarray(colours[0]), np.asarray(colours[1]))
    share = np.asarray(mask, dtype=np.float32)[..., None] / 255
    return Image.fromarray(np.rint(paper + share * (ink - paper)).astype(np.uint8))


@functools.cache
def names_for(char: str) -> tuple[str, ...]:
    """Noun phrases for ``char``, all lower case, the Unicode name first: "digit three", "three", "number three"."""
    full = unicodedata.name(char).lower().replace("-", " ")
    if full.startswith("digit "):
        word = full.removeprefix("digit ")
        return full, word, f"number {word}", f"figure {word}", char
    names = [full]
    words = full.split()
    if "letter" in words:  # "greek small letter alpha with tonos": script, case, "letter", the letter's own name
        at = words.index("letter")
        script, case, letter = words[0], words[at - 1], " ".join(words[at + 1 :])
        case = {"small": "lowercase", "capital": "uppercase"}[case]
        names += [f"{case} letter {letter}", f"{case} {script} {letter}", f"{script} letter {letter}"]
        if script != "latin":
            names.append(f"{script} {letter}")
    else:
        for suffix in (" sign", " mark", " operator"):
            if full.endswith(suffix):
                names.append(full.removesuffix(suffix))
        names.append(f"{full} symbol")
    return tuple(names)


def texts_for(char: str, rng: np.random.Generator, count: int = 1) -> list[str]:
    """``count`` random captions for ``char``: one of its names in one of ``TEMPLATES``."""
    names = names_for(char)
    return [TEMPLATES[rng.integers(len(TEMPLATES))].format(names[rng.integers(len(names))]) for _ in range(count)]
