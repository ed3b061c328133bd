"""Reading an image file: the one function through which every command opens a picture of somebody else's.

Only the formats in ``FORMATS`` are opened, told by content and not by name: Pillow knows some forty others, and hands
one of them (PostScript) to another program. Size is looked at before anything is decoded. Whatever the file holds
becomes 8 bits a channel, red, green and blue, by the rules that `read_image` states.
"""

import numpy as np
from PIL import Image

from .errors import UserError

#: what the extensions of image files stand for (jpg, png, bmp, gif, webp, ppm, pgm, tif)
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF")
MAX_PIXELS = 178_956_970  # where Pillow itself refuses, unless told otherwise: 0.5 GB as RGB
GROUND = (255, 255, 255)  # what shows through where a picture is transparent
WHITE_IS_ZERO, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 0, 258, 262, 339  # of TIFF


class UnreadableImage(UserError):
    """An image that cannot be read; ``reason`` says why without naming the file."""

    reason = ""


def read_image(path):
    """The first frame of the image in ``path`` as RGB, 8 bits a channel.

    - 8-bit grey, RGB and palette, CMYK and the other colour models: as Pillow converts them.
    - Black and white, 16-bit grey and colour, 12-bit TIFF: scaled by the range of their kind (65535 is white in 16
      bits), not by what the picture holds.
    - Transparency (alpha, a transparent colour of the palette): laid on white.
    - Decimal numbers: 0 to 1 is black to white; a picture with a value outside is refused: nobody knows its range.
    - Whole numbers of 32 bits or with a sign: refused, for the same reason.

    Raises:
        UnreadableImage: the file is missing, is no whole image of one of ``FORMATS``, has more than ``MAX_PIXELS``
            pixels, or numbers of unknown range.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            return _as_rgb(path, image)
    except (UserError, MemoryError):
        raise
    except FileNotFoundError:
        raise _unreadable(path, "no such file", f"no such image: {path}; check DATASET.ROOT") from None
    except Image.UnidentifiedImageError:
        kinds = ", ".join(FORMATS)
        raise _unreadable(path, f"not an image of a kind that is read ({kinds})", "", "convert or remove it") from None
    except Image.DecompressionBombError:
        reason = f"more than {MAX_PIXELS:,} pixels, which are not decoded"
        raise _unreadable(path, reason, "", "make it smaller or remove it") from None
    except Exception as error:  # Pillow's plugins raise whatever the damage leads to
        reason = " ".join(str(error).split()) or type(error).__name__
        raise _unreadable(path, reason, "", "restore the file or remove it") from error


#: A number that changes whenever some picture is read as other numbers than before. Caches of what was computed from
#: pictures hold it. 1: 16-bit grey became white, and black on transparency black. An attribute, because upstream Dassl
#: is given this function alone.
read_image.version = 2


def _unreadable(path, reason, message, remedy=""):
    error = UnreadableImage(message or f"cannot read image {path} ({reason}); {remedy}")
    error.reason = reason
    return error


def _as_rgb(path, image):
    if image.mode == "F":
        return _from_floats(path, image)
    if image.mode.startswith("I"):
        return _from_integers(path, image)
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _on_ground(image)
    return image.convert("RGB")


def _on_ground(image):
    image.load()  # which may complete the transparency
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # of 16-bit colours, which Pillow reads as 8-bit ones
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode == "La":
        image = image.convert("LA")
    above = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", above.size, (*GROUND, 255)), above).convert("RGB")


def _from_integers(path, image):
    """16-bit grey, which Pillow reads as I;16 or as I, depending on the format and on its version."""
    tags = getattr(image, "tag_v2", None)
    bits, signed = 16, False
    if tags is not None:
        bits, signed = tags.get(BITS, (16,))[0], tags.get(SAMPLE_FORMAT, (1,))[0] == 2
    if bits > 16 or signed:
        reason = f"it holds {bits}-bit whole numbers{' with a sign' if signed else ''}, whose range is not known"
        raise _unreadable(path, reason, "", "save it with 8 or 16 bits a channel, without a sign")
    values = np.asarray(image.convert("I")).astype(np.float32)
    ratio = np.clip(values / (2**bits - 1), 0, 1)
    if tags is not None and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        ratio = 1 - ratio
    key = image.info.get("transparency")
    if isinstance(key, int):
        ratio[values == key] = GROUND[0] / 255
    return _from_ratio(ratio)


def _from_floats(path, image):
    ratio = np.asarray(image)
    if not (ratio.min() >= 0 and ratio.max() <= 1):  # written so that NaN is refused
        reason = f"it holds decimal numbers from {ratio.min():g} to {ratio.max():g}, whose range is not known"
        raise _unreadable(path, reason, "", "save it with 8 or 16 bits a channel, or scaled to 0 … 1")
    tags = getattr(image, "tag_v2", None)
    white_is_zero = tags is not None and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO
    return _from_ratio(1 - ratio if white_is_zero else ratio)


def _from_ratio(ratio):
    """RGB of numbers from 0 (black) to 1 (white)."""
    return Image.fromarray(np.rint(ratio * 255).astype(np.uint8)).convert("RGB")
