"""HEIC, HEIF and AVIF: decoded where a decoder is, and named for what they are where none is."""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps, features

from arcwise.errors import ImageError
from arcwise.images import decode
from arcwise.images.headers import Header, heif_kind, read_header

Pixels = NDArray[np.uint8]


def box(kind: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", 8 + len(data), kind) + data


def heic(width: int, height: int, *turns: bytes, brands: bytes = b"heic\0\0\0\0mif1heic") -> bytes:
    """A HEIC of one item, whose pixels are missing; `turns` are boxes that turn it."""
    properties = [box(b"ispe", bytes(4), struct.pack(">II", 1, 1)),  # of another item
                  box(b"ispe", bytes(4), struct.pack(">II", width, height)), *turns]  # fmt: skip
    numbers = bytes(range(2, 2 + len(properties) - 1))
    ipma = box(b"ipma", bytes(4), struct.pack(">I", 2), struct.pack(">HB", 5, 1), b"\x01",
               struct.pack(">HB", 7, len(numbers)), numbers)  # fmt: skip
    meta = box(
        b"meta",
        bytes(4),
        box(b"pitm", bytes(4), struct.pack(">H", 7)),
        box(b"iprp", box(b"ipco", *properties), ipma),
    )
    return box(b"ftyp", brands) + meta + box(b"mdat", bytes(9))


def fake(monkeypatch: pytest.MonkeyPatch, found: object) -> None:
    """A `pillow_heif` that finds this in any file, or raises it."""

    def open_heif(data: bytes, *, convert_hdr_to_8bit: bool) -> object:
        assert convert_hdr_to_8bit
        if isinstance(found, Exception):
            raise found
        return found

    module = ModuleType("pillow_heif")
    module.__spec__ = ModuleSpec("pillow_heif", None)
    module.open_heif = open_heif  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)


@pytest.mark.parametrize(
    ("brands", "kind"),
    [
        (b"heic\0\0\0\0mif1heic", "HEIC"),
        (b"mif1\0\0\0\0mif1heic", "HEIC"),
        (b"heix\0\0\0\0", "HEIC"),
        (b"mif1\0\0\0\0mif1", "HEIF"),
        (b"avif\0\0\0\0mif1miaf", "AVIF"),
        (b"mif1\0\0\0\0avif", "AVIF"),
        (b"isom\0\0\0\0mp42", None),
    ],
)
def test_the_brands_tell_the_kind(brands: bytes, kind: str | None) -> None:
    assert heif_kind(box(b"ftyp", brands)) == kind


def test_the_size_is_that_of_the_primary_item() -> None:
    assert read_header(heic(4032, 3024)) == Header(4032, 3024)
    turned = heic(40, 30, box(b"irot", b"\x03"), box(b"imir", b"\x00"))
    assert read_header(turned) == Header(40, 30, orientation=7)


@pytest.mark.parametrize("name", ["IMG_1.HEIC", "IMG_1.jpg"])
@pytest.mark.parametrize("data", [heic(64, 47), box(b"ftyp", b"heic\0\0\0\0mif1heic") + b"\1" * 9])
def test_without_its_decoder_a_heic_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, data: bytes
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=rf"{name}: HEIC, .*pip install pillow-heif"):
        decode(data, name)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_with_its_decoder_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch, picture: Pixels, channels: int
) -> None:
    pixels = {
        1: picture[..., 0],
        3: picture,
        4: np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]),
    }[channels]
    fake(monkeypatch, pixels)
    image = decode(heic(64, 47, box(b"irot", b"\x01")), "a.heic")  # the decoder turned it
    expected = picture if channels > 1 else picture[..., :1].repeat(3, 2)
    np.testing.assert_array_equal(image, expected)


def test_a_damaged_or_huge_heic_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, RuntimeError("bad\nluck"))
    with pytest.raises(ImageError, match=r"a: damaged: this HEIC cannot be decoded \(bad\)"):
        decode(heic(64, 47), "a")
    with pytest.raises(ImageError, match="cut short: HEIC with"):
        decode(heic(64, 47)[:-1], "a")
    with pytest.raises(ImageError, match="more than the"):
        decode(heic(60_000, 60_000), "a")


avif = pytest.mark.skipif(
    not (features.check("avif") and cv2.haveImageWriter(".avif")), reason="built without AVIF"
)


@avif
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_avif_is_upright(
    picture: Pixels, encoded: Callable[..., bytes], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, "AVIF", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert expected.shape == ((47, 64, 3) if orientation < 5 else (64, 47, 3))
    assert np.abs(decode(data, "x").astype(int) - expected).max() <= 2


@avif
def test_a_transparent_avif_lies_on_white(encoded: Callable[..., bytes]) -> None:
    image = np.zeros((16, 16, 4), np.uint8)
    assert (decode(encoded(image, "AVIF", quality=100), "x") >= 250).all()


@avif
def test_an_avif_cut_anywhere_is_refused(picture: Pixels, encoded: Callable[..., bytes]) -> None:
    data = encoded(picture, "AVIF")
    for cut in range(0, len(data), 13):
        with pytest.raises(ImageError):
            decode(data[:cut], "cut")


def test_an_opencv_without_avif_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "haveImageWriter", lambda name: False)
    with pytest.raises(ImageError, match=r"AVIF, which this OpenCV .*pip install -U opencv"):
        decode(heic(4, 4, brands=b"avif\0\0\0\0"), "a.avif")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\x0a" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(20), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(20), "JPEG 2000"),
        (b"\xff\x4f\xff\x51" + bytes(20), "JPEG 2000"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(20), "camera raw"),
        (b"\0\0\0\x18ftypcrx " + bytes(20), "camera raw"),
        (b"FUJIFILMCCD-RAW 0201", "camera raw"),
        (b"IIU\0\x18\0\0\0" + bytes(20), "camera raw"),
        (b"\0\0\0\x18ftypqt  " + bytes(20), "a film"),
        (b"8BPS\0\1" + bytes(20), "Photoshop"),
        (b'<?xml version="1.0"?>\n<svg width="1"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_other_kinds_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(ImageError, match=rf"a\.jpg: {kind}.*convert it to JPEG or PNG"):
        decode(data, "a.jpg")


def test_a_raw_file_is_not_taken_for_its_thumbnail(
    picture: Pixels, encoded: Callable[..., bytes]
) -> None:
    with pytest.raises(ImageError, match="camera raw"):
        decode(encoded(picture, "TIFF"), "DSC_1.NEF")
