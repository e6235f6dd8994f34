"""Half an image is never taken for a whole one, and no file can hurt."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from arcwise.errors import ImageError
from arcwise.images import decode
from arcwise.images.headers import HeaderError, read_header

Pixels = NDArray[np.uint8]
KINDS = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}),  # the extended layout
    ("BMP", {}),
    ("GIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("PPM", {}),
]


def cuts(length: int) -> list[int]:
    """Where to cut: everywhere in the header and at the end, every so often between."""
    return sorted(
        {*range(1, min(length, 300)), *range(300, length, 41), *range(length - 40, length)}
    )


@pytest.mark.parametrize(("form", "options"), KINDS)
def test_a_file_cut_anywhere_is_refused(
    picture: Pixels, encoded: Callable[..., bytes], form: str, options: dict[str, object]
) -> None:
    data = encoded(picture, form, **options)
    decode(data, "whole")
    for cut in cuts(len(data)):
        with pytest.raises(ImageError) as caught:
            decode(data[:cut], "cut.file")
        assert str(caught.value).startswith("cut.file: ")


@pytest.mark.parametrize(("form", "options"), KINDS)
def test_the_header_alone_finds_almost_every_cut(
    picture: Pixels, encoded: Callable[..., bytes], form: str, options: dict[str, object]
) -> None:
    """What OpenCV does with half a file has changed before; we do not depend on it."""
    data = encoded(picture, form, **options)
    missed = []
    for cut in cuts(len(data)):
        try:
            read_header(data[:cut])
            missed.append(len(data) - cut)
        except HeaderError:
            pass
    assert all(bytes_left_out <= 1 for bytes_left_out in missed), missed  # a GIF's trailer


def test_real_photographs_cut_anywhere_are_refused(data_dir: Path) -> None:
    with ZipFile(data_dir / "grocery" / "images.zip") as archive:
        for name in archive.namelist()[::900]:
            data = archive.read(name)
            decode(data, name)
            for cut in cuts(len(data)):
                with pytest.raises(ImageError):
                    decode(data[:cut], name)


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_image(
    picture: Pixels, encoded: Callable[..., bytes]
) -> None:
    data, thumbnail = encoded(picture, "JPEG"), encoded(picture[:16, :16], "JPEG")
    block = b"Exif\0\0" + thumbnail
    data = data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]
    decode(data, "whole")
    for cut in cuts(len(data)):
        with pytest.raises(ImageError):
            decode(data[:cut], "cut")


def test_bytes_behind_the_end_do_no_harm(picture: Pixels, encoded: Callable[..., bytes]) -> None:
    for form in ("JPEG", "PNG", "GIF", "BMP"):  # phones append videos and previews
        data = encoded(picture, form)
        assert (decode(data + b"trailer" * 9, "x") == decode(data, "x")).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"<!doctype html><title>404", "text"),
        (bytes(5000), "zeros"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(99), "HEIC.* convert it"),
        (b"MZ\x90\0" + bytes(range(200)), "not an image"),
        (b"\xff\xd8\xff", "cut short"),
        (b"P5 3 ", "PNM"),
    ],
)
def test_what_is_no_image_is_told_what_it_is(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=f"^photo.jpg: .*{reason}") as caught:
        decode(data, "photo.jpg")
    assert "\n" not in str(caught.value)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *between: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + body + chunk(b"IEND", b"")


def enlarged(data: bytes, form: str) -> bytes:
    """The file, announcing an enormous picture."""
    changed, wide = bytearray(data), 65500
    if form == "JPEG":
        place = data.index(b"\xff\xc0") + 5
        changed[place : place + 4] = struct.pack(">HH", wide, wide)
    elif form == "GIF":
        changed[6:10] = struct.pack("<HH", wide, wide)
    elif form == "WEBP":
        changed[21:25] = struct.pack("<I", 0x0FFFFFFF)
    elif form == "TIFF":
        start = struct.unpack_from("<I", data, 4)[0] + 2
        for entry in (start, start + 12):
            changed[entry + 2 : entry + 12] = struct.pack("<HII", 4, 1, wide)
    return bytes(changed)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF"])
def test_a_bomb_is_refused_before_it_is_unpacked(
    picture: Pixels, encoded: Callable[..., bytes], form: str
) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    data = (
        png(60_000, 60_000) if form == "PNG" else enlarged(encoded(picture, form, **options), form)
    )
    began = time.perf_counter()
    with pytest.raises(ImageError, match="make it smaller"):
        decode(data, "bomb")
    assert time.perf_counter() - began < 0.1


def test_the_limit_is_in_pixels(picture: Pixels, encoded: Callable[..., bytes]) -> None:
    data = encoded(picture, "PNG")
    decode(data, "x", max_pixels=47 * 64)
    with pytest.raises(ImageError, match="64 x 47 pixels"):
        decode(data, "x", max_pixels=47 * 64 - 1)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 10_000_000,
        b"\xff\xd8" + b"\xff\xe0\0\2" * 2_000_000,
        png(4, 4, chunk(b"teSt", b"") * 500_000),
        b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 273, 4, 2**31, 8),
        b"II*\0\x08\0\0\0\xff\xff",
    ],
    ids=["padding", "segments", "chunks", "strips", "entries"],
)
def test_endless_headers_are_given_up_soon(data: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(ImageError):
        decode(data, "endless")
    assert time.perf_counter() - began < 1.0


def test_a_flipped_bit_in_a_png_is_found(picture: Pixels, encoded: Callable[..., bytes]) -> None:
    data = bytearray(encoded(picture, "PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(ImageError, match="checksum"):
        decode(bytes(data), "x")


@settings(deadline=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damage_gives_an_image_or_an_error_and_nothing_else(
    picture: Pixels, encoded: Callable[..., bytes], data: st.DataObject
) -> None:
    form, options = data.draw(st.sampled_from(KINDS))
    file = bytearray(encoded(picture, form, **options))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, min(len(file) - 1, 400)))
        file[place] = data.draw(st.integers(0, 255))
    try:
        image = decode(bytes(file), "damaged")
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"II*\0", b"BM", b"GIF89a"]))
def test_noise_is_an_error(noise: bytes, begin: bytes) -> None:
    with pytest.raises(ImageError):
        decode(begin + noise, "noise")


@pytest.mark.parametrize(
    "block", [b"", b"II", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09"]
)
def test_damaged_notes_of_the_camera_do_not_cost_the_image(
    picture: Pixels, encoded: Callable[..., bytes], block: bytes
) -> None:
    data = encoded(picture, "PNG")
    end = data.index(b"IDAT") - 4
    assert (decode(data[:end] + chunk(b"eXIf", block) + data[end:], "x") == picture).all()
    alpha = encoded(np.dstack([picture, picture[..., 0] | 255]), "PNG")
    assert (decode(alpha[:end] + chunk(b"eXIf", block) + alpha[end:], "x") == picture).all()


def test_the_oldest_bmp_is_read() -> None:
    """The 12-byte header of OS/2: 2 x 2 pixels, rows from below, padded to 4 bytes."""
    rows = bytes([1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0])
    header = b"BM" + struct.pack("<IHHI", 42, 0, 0, 26) + struct.pack("<IHHHH", 12, 2, 2, 1, 24)
    image = decode(header + rows, "old.bmp")
    assert image.tolist() == [[[9, 8, 7], [12, 11, 10]], [[3, 2, 1], [6, 5, 4]]]
    with pytest.raises(ImageError, match="cut short: a BMP with 41 of its 42 bytes"):
        decode((header + rows)[:-1], "old.bmp")


def test_a_floating_point_tiff_says_what_to_do(encoded: Callable[..., bytes]) -> None:
    with pytest.raises(ImageError, match="8 or 16 bits"):
        decode(encoded(Image.new("F", (9, 9)), "TIFF"), "x")


@pytest.mark.parametrize(("bits", "data"), [(4, b"\x1f"), (12, b"\x10\x0f\xff"), (32, bytes(8))])
def test_a_tiff_of_other_depths_is_named(bits: int, data: bytes) -> None:
    """Grey, 2 x 1, one strip behind the directory."""
    count = 8
    start = 10 + 12 * count + 4
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: 1, 273: start, 278: 1, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in tags.items())
    head = struct.pack("<2sHIH", b"II", 42, 8, count)
    with pytest.raises(ImageError, match=f"a TIFF of {bits} bits a channel"):
        decode(head + entries + bytes(4) + data, "x")
