"""A Pillow image gives what its file does, whatever its mode."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from arcwise import runtime
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode
from arcwise.images.decode import MAX_PIXELS
from arcwise.images.pillow import is_pillow, pillow_pixels

SIZE = (30, 20)


def rgb() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(cv2.resize(coarse, SIZE))


def rgba() -> Image.Image:
    image = rgb().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(SIZE))
    return image


def palette_with_transparency() -> Image.Image:
    image = rgb().quantize(16)
    image.info["transparency"] = 3
    return image


def deep() -> Image.Image:
    values = np.linspace(0, 65535, SIZE[0] * SIZE[1]).astype(np.uint16).reshape(SIZE[::-1])
    return Image.fromarray(values)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


MODES: dict[str, Callable[[], tuple[Image.Image, str]]] = {
    "1": lambda: (rgb().convert("1"), "PNG"),
    "L": lambda: (rgb().convert("L"), "PNG"),
    "LA": lambda: (rgba().convert("LA"), "PNG"),
    "P": lambda: (rgb().quantize(16), "PNG"),
    "P, transparent": lambda: (palette_with_transparency(), "PNG"),
    "RGB": lambda: (rgb(), "PNG"),
    "RGBA": lambda: (rgba(), "PNG"),
    "I;16": lambda: (deep(), "PNG"),
    "CMYK": lambda: (rgb().convert("CMYK"), "JPEG"),
    "YCbCr": lambda: (rgb().convert("YCbCr"), "JPEG"),
}


@pytest.mark.parametrize("mode", MODES)
def test_pixels_are_those_of_the_file(mode: str) -> None:
    """As opened from the file, and as made in memory."""
    image, form = MODES[mode]()
    data = saved(image, form, **({"quality": 100, "subsampling": 0} if form == "JPEG" else {}))
    expected = decode(data, "file").astype(int)
    near = 1 if form == "PNG" else 4  # two JPEG decoders
    for one in (Image.open(io.BytesIO(data)), image):
        found = pillow_pixels(one, "it")
        assert found.dtype == np.uint8
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= near


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(rgb(), "JPEG", exif=exif, quality=100, subsampling=0)
    found = pillow_pixels(Image.open(io.BytesIO(data)), "it")
    expected = decode(data, "file")
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 3


def test_the_image_stays_as_it_is() -> None:
    image = rgba()
    before = image.tobytes()
    pillow_pixels(image, "it")
    assert (image.mode, image.tobytes()) == ("RGBA", before)


class TestRefused:
    @pytest.mark.parametrize("mode", ["F", "I"])
    def test_no_range(self, mode: str) -> None:
        with pytest.raises(ImageError, match=f"it: .*mode {mode}"):
            pillow_pixels(rgb().convert(mode), "it")

    def test_cut_short(self) -> None:
        data = saved(rgb(), "JPEG")
        with pytest.raises(ImageError, match="it: damaged"):
            pillow_pixels(Image.open(io.BytesIO(data[:-40])), "it")
        data = saved(rgb(), "PNG")
        with pytest.raises(ImageError, match="it: damaged"):
            pillow_pixels(Image.open(io.BytesIO(data[:60])), "it")

    def test_closed(self, tmp_path: Path) -> None:
        rgb().save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            pass
        with pytest.raises(ImageError, match="it: damaged, or closed"):
            pillow_pixels(image, "it")

    def test_too_large(self) -> None:
        with pytest.raises(ImageError, match="it: "):
            pillow_pixels(Image.new("1", (MAX_PIXELS // 1000 + 1, 1000)), "it")


class TestEmbed:
    @pytest.fixture(scope="class")
    def model(self, served: Path) -> runtime.Model:
        return runtime.load(served)

    def test_beside_other_items(self, model: runtime.Model) -> None:
        image = rgb()
        data = saved(image, "PNG")
        lazy = Image.open(io.BytesIO(data))
        vectors = model.embed([data, image, np.asarray(image), lazy, lazy, lazy, lazy])
        assert np.ptp(vectors, axis=0).max() < 1e-6

    def test_one_is_not_a_list(self, model: runtime.Model) -> None:
        for item in (rgb(), None, 3, bytearray(b"x")):
            with pytest.raises(ArcwiseError, match=f"one {type(item).__name__}"):
                model.embed(item)  # type: ignore[arg-type]

    def test_bad_items_are_named(self, model: runtime.Model) -> None:
        with pytest.raises(ImageError, match=r"image 1: .*mode F"):
            model.embed([rgb(), rgb().convert("F")])
        for item in (None, 3, 1.5, object(), {"a": 1}, [rgb()]):
            with pytest.raises(ArcwiseError, match=f"image 1 is of type {type(item).__name__}"):
                model.embed([rgb(), item])  # type: ignore[list-item]
        with pytest.raises(ImageError, match="image 0: "):
            model.embed([""])


def test_pillow_is_not_loaded() -> None:
    code = (
        "import sys; import arcwise.runtime as r; from arcwise.images.pillow import is_pillow; "
        "assert not is_pillow(3); assert 'PIL' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert is_pillow(rgb())
