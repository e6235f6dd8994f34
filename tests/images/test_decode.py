"""Every kind of image comes out as the RGB that a person would see."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from arcwise.errors import ImageError
from arcwise.images import decode, read_image

Pixels = NDArray[np.uint8]
LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}}


def seen(data: bytes) -> Pixels:
    """The oracle: upright, on white, through another library."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("RGBA", "LA", "P", "PA"):
        page = Image.new("RGBA", image.size, "white")
        page.alpha_composite(image.convert("RGBA"))
        image = page
    return np.asarray(image.convert("RGB"))


def same(data: bytes, tolerance: int = 0) -> None:
    got, expected = decode(data, "a picture"), seen(data)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert got.shape == expected.shape
    assert np.abs(got.astype(int) - expected).max() <= tolerance


KINDS = {  # without what the format has not, and what OpenCV does not read (see `decode`)
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "P", "1", "RGBA", "LA"),
    "WEBP": ("RGB", "L", "P", "1", "RGBA", "LA"),
    "BMP": ("RGB", "L", "P", "1"),
    "GIF": ("RGB", "L", "P", "1", "RGBA", "LA"),
    "TIFF": ("RGB", "L", "P", "1", "CMYK", "RGBA"),
    "PPM": ("RGB", "L", "1"),
}


@pytest.mark.parametrize(
    ("form", "mode"), [(form, mode) for form, modes in KINDS.items() for mode in modes]
)
def test_every_kind_of_image_is_what_another_library_sees(
    picture: Pixels, encoded: Callable[..., bytes], form: str, mode: str
) -> None:
    image = Image.fromarray(picture).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(np.arange(47 * 64, dtype=np.uint8).reshape(47, 64)))
    same(
        encoded(image, form, **LOSSLESS.get(form, {})),
        tolerance=1 if (form, mode) == ("JPEG", "CMYK") else 0,
    )


def test_a_transparent_palette_entry_is_white(
    picture: Pixels, encoded: Callable[..., bytes]
) -> None:
    image = Image.fromarray(picture).convert("L").point(lambda grey: grey // 16).convert("P")
    data = encoded(image, "PNG", transparency=3)
    same(data)
    assert (decode(data, "x") == 255).all(axis=-1).any()


def test_a_transparent_colour_is_white(picture: Pixels, encoded: Callable[..., bytes]) -> None:
    red = (255, 0, 64)
    image = decode(encoded(picture, "PNG", transparency=red), "x")
    hidden = (picture == red).all(axis=-1)
    assert hidden.any()
    assert (image[hidden] == 255).all()
    assert (image[~hidden] == picture[~hidden]).all()


def test_a_tall_transparent_image_is_seamless() -> None:
    image = np.zeros((600, 2, 4), np.uint8)
    image[..., 3] = np.arange(600).reshape(600, 1) % 256
    data = cv2.imencode(".png", image)[1].tobytes()
    assert (decode(data, "x") == 255 - image[..., 3:]).all()


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_16_bits_become_8(picture: Pixels, extension: str) -> None:
    deep = picture.astype(np.uint16) * 257
    data = cv2.imencode(extension, deep[..., ::-1])[1].tobytes()
    assert (decode(data, "x") == picture).all()
    half = np.dstack([deep[..., ::-1], np.full(deep.shape[:2], 32768, np.uint16)])
    data = cv2.imencode(extension, half)[1].tobytes()
    on_white = picture * 0.5 + 127.5
    assert np.abs(decode(data, "x") - on_white).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "mode"),
    [("JPEG", "RGB")] + [(form, mode) for form in LOSSLESS for mode in ("RGB", "RGBA")],
)
def test_images_are_upright(
    picture: Pixels, encoded: Callable[..., bytes], form: str, mode: str, orientation: int
) -> None:
    image, exif = Image.fromarray(picture).convert(mode), Image.Exif()
    if mode == "RGBA":
        image.putalpha(Image.fromarray(picture[..., 0]))
    exif[0x0112] = orientation
    data = encoded(image, form, exif=exif, **LOSSLESS.get(form, {}))
    same(data)
    assert decode(data, "x").shape == ((47, 64, 3) if orientation < 5 else (64, 47, 3))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_a_moving_image_is_taken(picture: Pixels, form: str) -> None:
    frames = [Image.fromarray(picture), Image.fromarray(255 - picture)]
    buffer, options = io.BytesIO(), LOSSLESS.get(form, {})
    frames[0].save(buffer, form, save_all=True, append_images=frames[1:], **options)
    same(buffer.getvalue())


def test_read_image_names_the_file(tmp_path: Path, picture: Pixels) -> None:
    path = tmp_path / "Ä picture.png"
    path.write_bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())
    assert (read_image(path) == picture).all()
    for wrong in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageError) as caught:
            read_image(wrong)
        assert caught.value.name == str(wrong)
