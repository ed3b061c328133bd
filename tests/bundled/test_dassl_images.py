"""Every kind of picture is read as a person sees it, or refused by name; nothing but a picture is opened."""

import io
import os
import stat
import struct
import zlib

import numpy as np
import pytest
from dassl.utils import read_image
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from craft.common.errors import UserError
from tests.conftest import PROJECT

ROOMS = ("craft", "bundled", "datasets", "anchors", "trainers", "lab")
RAMP = np.tile(np.linspace(0, 1, 64), (8, 1))
GREY = (RAMP * 255).astype(np.uint8)
SIXTEEN = (RAMP * 65535).astype(np.uint16)


def pixels(path):
    image = read_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def save(folder, image, name, **options):
    image.save(folder / name, **options)
    return folder / name


def tiff(array, bits, photometric=1, sample_format=1):
    """An uncompressed grey TIFF, written by hand: Pillow writes few of the kinds that it reads."""
    height, width = array.shape
    tags = [
        (256, 4, width), (257, 4, height), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 4, height), (279, 4, array.nbytes), (339, 3, sample_format),
    ]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    start = struct.pack("<2sHI", b"II", 42, 8 + array.nbytes)
    return start + array.tobytes() + struct.pack("<H", len(tags)) + entries + bytes(4)


def png(kind, depth, rows, transparent=b""):
    """A PNG written by hand: Pillow writes no colours of 16 bits, and no key of transparency for them."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = rows.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in rows)
    middle = chunk(b"tRNS", transparent) if transparent else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + middle
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )


def written(folder, name, content):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize(
    "make",
    [
        lambda d: save(d, Image.fromarray(SIXTEEN), "a.png"),
        lambda d: save(d, Image.fromarray(SIXTEEN), "a.tiff"),
        lambda d: save(d, Image.fromarray(SIXTEEN.astype(">u2")), "b.tiff"),
        lambda d: save(d, Image.fromarray(SIXTEEN), "a.tiff", compression="tiff_lzw"),
        lambda d: save(d, Image.fromarray(SIXTEEN), "a.pgm"),
        lambda d: save(d, Image.fromarray(RAMP.astype(np.float32)), "float.tiff"),
        lambda d: written(d, "inverted.tiff", tiff(65535 - SIXTEEN, 16, photometric=0)),
        lambda d: written(d, "inverted_float.tiff", tiff(1 - RAMP.astype("<f4"), 32, photometric=0, sample_format=3)),
        lambda d: written(d, "rgb16.png", png(2, 16, np.repeat(SIXTEEN[..., None], 3, 2))),
        lambda d: written(d, "la16.png", png(4, 16, np.stack([SIXTEEN, np.full_like(SIXTEEN, 65535)], 2))),
        lambda d: save(d, Image.fromarray(GREY).convert("LA"), "la.png"),
        lambda d: save(d, Image.fromarray(GREY).convert("RGBA"), "rgba.webp", lossless=True),
        lambda d: save(d, Image.fromarray(GREY).convert("CMYK"), "cmyk.tiff"),
    ],
)
def test_a_ramp_is_a_ramp_in_every_kind(tmp_path, make):
    found = pixels(make(tmp_path))
    assert np.abs(found - GREY[..., None]).max() <= 1


WRITABLE = {
    "png": "L RGB P 1",
    "jpg": "L RGB 1 CMYK YCbCr",
    "tif": "L RGB P 1 CMYK YCbCr",
    "bmp": "L RGB P 1",
    "gif": "L RGB P 1",
    "webp": "L RGB P 1 CMYK",
    "ppm": "L RGB 1",
}


@pytest.mark.parametrize(("extension", "mode"), [(e, mode) for e, modes in WRITABLE.items() for mode in modes.split()])
def test_plain_pictures_keep_their_numbers(tmp_path, extension, mode):
    """As Pillow alone converts them, which is what every number so far stands on."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    path = save(tmp_path, Image.fromarray(noise).convert(mode), f"a.{extension}")
    with Image.open(path) as image:
        try:
            alone = np.asarray(image.convert("RGB"))
        except OSError as error:  # Pillow 12 writes a TIFF of YCbCr that it cannot read
            pytest.skip(f"this Pillow cannot read what it wrote: {error}")
    assert np.array_equal(pixels(path), alone)


def test_what_is_transparent_is_white(tmp_path):
    alpha = np.tile(np.linspace(0, 255, 16).astype(np.uint8), (4, 1))
    black = np.dstack([np.zeros((4, 16, 3), np.uint8), alpha])
    for name in ("a.png", "a.webp", "a.tiff"):
        found = pixels(save(tmp_path, Image.fromarray(black), name, **({"lossless": True} if "webp" in name else {})))
        assert np.abs(found - (255 - alpha[..., None].astype(int))).max() <= 1, name
    # A transparent colour: of a palette, of greys, of colours, and of 16 bits.
    squares = np.repeat(np.array([[0, 1]], np.uint8), 4, 0)
    palette = Image.fromarray(squares, "L").convert("P")
    palette.putpalette([0, 0, 0, 10, 20, 30])
    wanted = [[255] * 3, [10, 20, 30]]
    for name in ("p.png", "p.gif"):
        assert pixels(save(tmp_path, palette, name, transparency=0))[0].tolist() == wanted, name
    grey = Image.fromarray(squares * 100)
    assert pixels(save(tmp_path, grey, "l.png", transparency=0))[0].tolist() == [[255] * 3, [100] * 3]
    colour = grey.convert("RGB")
    assert pixels(save(tmp_path, colour, "rgb.png", transparency=(0, 0, 0)))[0].tolist() == [[255] * 3, [100] * 3]
    deep = png(0, 16, squares.astype(np.uint16) * 25700, struct.pack(">H", 0))
    assert pixels(written(tmp_path, "l16.png", deep))[0].tolist() == [[255] * 3, [100] * 3]
    deep = np.repeat(squares[..., None].astype(np.uint16) * 25700 + 771, 3, 2)
    deep = png(2, 16, deep, struct.pack(">HHH", 771, 771, 771))
    assert pixels(written(tmp_path, "rgb16.png", deep))[0].tolist() == [[255] * 3, [103] * 3]


def test_the_first_frame_is_read(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    path = save(tmp_path, frames[0], "a.gif", save_all=True, append_images=frames[1:])
    assert pixels(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    ("array", "tags", "complaint"),
    [
        (RAMP.astype("<f4") * 300, (32, 1, 3), r"decimal numbers from 0 to 300, whose range is not known"),
        (RAMP.astype("<f4") - 0.5, (32, 1, 3), r"decimal numbers from -0\.5 to 0\.5"),
        (RAMP.astype("<f4") * np.nan, (32, 1, 3), r"decimal numbers from nan"),
        (SIXTEEN.astype("<i4"), (32, 1, 2), r"32-bit whole numbers with a sign"),
        (SIXTEEN.astype("<u4"), (32, 1, 1), r"32-bit whole numbers, whose range is not known"),
        ((SIXTEEN // 2).astype("<i2"), (16, 1, 2), r"16-bit whole numbers with a sign"),
    ],
)
def test_numbers_of_unknown_range_are_refused_with_the_remedy(tmp_path, array, tags, complaint):
    path = written(tmp_path, "a.tif", tiff(array, *tags))
    with pytest.raises(
        UserError, match=rf"cannot read image .*a\.tif \(it holds {complaint}.*\); save it with 8 or 16"
    ):
        read_image(path)


def test_twelve_bits_are_scaled_by_twelve(tmp_path):
    """Two pixels in three bytes; 4095 is white."""
    content = bytearray(tiff(np.array([[0xFF, 0xF8, 0x00]], np.uint8), 12))
    width = content.index(struct.pack("<HHII", 256, 4, 1, 3))
    content[width : width + 12] = struct.pack("<HHII", 256, 4, 1, 2)
    assert pixels(written(tmp_path, "a.tif", bytes(content)))[0, :, 0].tolist() == [255, 128]


def test_no_other_program_is_started(tmp_path, monkeypatch):
    """PostScript under a photograph's name: Pillow would give it to Ghostscript, here one that leaves a mark."""
    mark = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    for name in ("gs", "gswin64c"):
        script = tmp_path / "bin" / name
        script.write_text(f"#!/bin/sh\ntouch {mark}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n0 0 10 10 rectfill\nshowpage\n"
    path = written(tmp_path, "photo.jpg", text.encode())
    with pytest.raises(UserError, match=r"photo\.jpg \(not an image of a kind that is read \(JPEG, PNG, "):
        read_image(path)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["ICO", "PCX", "SGI", "TGA", "JPEG2000", "PDF", "DDS"])
def test_formats_of_no_listed_extension_are_refused(tmp_path, kind):
    path = tmp_path / "photo.png"
    try:
        Image.new("RGB", (16, 16)).save(path, kind)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {kind}")
    with pytest.raises(UserError, match="not an image of a kind that is read"):
        read_image(path)


def test_content_counts_and_not_the_name(tmp_path):
    path = save(tmp_path, Image.fromarray(GREY), "photo.jpg", format="PNG")
    assert np.array_equal(pixels(path)[..., 0], GREY)


def bomb(kind, side=30_000):
    if kind == "png":
        line = np.zeros((1, 1), np.uint8)
        small, large = (struct.pack(">II", *size) for size in ((1, 1), (side, side)))
        header = b"IHDR" + large + bytes([8, 0, 0, 0, 0])
        content = png(0, 8, line).replace(b"IHDR" + small, b"IHDR" + large)
        return content[:29] + struct.pack(">I", zlib.crc32(header)) + content[33:]
    if kind == "bmp":
        return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    if kind == "gif":
        frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x08\x02\x4c\x01\x00;"
        return b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + frame
    return f"P5 {side} {side} 255\n".encode() + bytes(10)


@pytest.mark.parametrize("kind", ["png", "bmp", "gif", "ppm"])
@pytest.mark.parametrize("unlimited", [False, True])
def test_a_bomb_is_not_decoded(tmp_path, kind, unlimited, monkeypatch):
    """A picture of 900 million pixels in a few bytes, also where somebody has lifted Pillow's own limit."""
    if unlimited:
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(UserError, match=r"bomb\.png \(more than 178,956,970 pixels, which are not decoded\)"):
        read_image(written(tmp_path, "bomb.png", bomb(kind)))


def test_a_missing_and_a_cut_image_are_named(tmp_path):
    with pytest.raises(UserError, match=r"no such image: .*gone\.jpg; check DATASET\.ROOT"):
        read_image(tmp_path / "gone.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    whole = save(tmp_path, Image.fromarray(noise), "cut.jpg")
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"cut\.jpg \(.*truncated.*\); restore the file or remove it"):
        read_image(whole)
    with pytest.raises(UserError, match="cannot read image"):
        read_image(tmp_path)  # a folder


def test_pictures_are_opened_in_one_place():
    sources = [*(path for room in ROOMS for path in (PROJECT / room).rglob("*.py"))]
    assert len(sources) > 100
    opening = [path.relative_to(PROJECT).as_posix() for path in sources if "Image.open(" in path.read_text()]
    assert opening == ["bundled/dassl/utils/images.py"]


def samples():
    """Small valid files of every format, to damage."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8))
    for kind in ("JPEG", "PNG", "BMP", "GIF", "WEBP", "PPM", "TIFF"):
        stream = io.BytesIO()
        noise.save(stream, kind)
        yield stream.getvalue()
    yield tiff(SIXTEEN, 16)
    yield png(2, 16, np.repeat(SIXTEEN[..., None], 3, 2), bytes(6))


SAMPLES = list(samples())


@settings(max_examples=300, deadline=None)
@given(data=st.data(), content=st.sampled_from(SAMPLES), cut=st.floats(0, 1))
@example(data=None, content=b"", cut=1)
def test_any_bytes_end_in_a_picture_or_in_a_named_error(tmp_path_factory, data, content, cut):
    content = bytearray(content[: round(cut * len(content))] if cut < 0.5 else content)
    for _ in range(data.draw(st.integers(0, 8)) if data and content else 0):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "fuzzed.img"
    path.write_bytes(bytes(content))
    try:
        assert read_image(path).mode == "RGB"
    except UserError as error:
        assert "fuzzed.img" in str(error) and "\n" not in str(error)


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=200))
def test_any_other_bytes_too(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "other.img"
    path.write_bytes(content)
    try:
        assert read_image(path).mode == "RGB"
    except UserError as error:
        assert "other.img" in str(error)
