"""Reading an image, with an error that names the file."""

from __future__ import annotations

import os
import struct

from PIL import Image

from craft.common.errors import UserError

# What Pillow raises for damaged bytes depends on the format; these are all that its plugins document or leak.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, Image.DecompressionBombError)


def read_image(path) -> Image.Image:
    """The image in ``path`` as RGB.

    Raises:
        UserError: the file is missing, cannot be read, or is not a whole image.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError:
        raise UserError(f"no such image: {path}; check DATASET.ROOT") from None
    except DAMAGED as error:
        raise UserError(f"cannot read image {path} ({error}); restore the file or remove it") from error


def require_file(path) -> bool:
    """True where ``path`` is a file; raises UserError where it is not."""
    if not os.path.isfile(path):
        raise UserError(f"no such image: {path or '(empty path)'}; check DATASET.ROOT")
    return True
