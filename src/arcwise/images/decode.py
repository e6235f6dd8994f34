"""Bytes of an image file → upright RGB pixels, or one clear error."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ImageError
from arcwise.files import open_regular
from arcwise.images.headers import (
    ACCEPTED,
    RAW,
    UNREAD,
    Header,
    HeaderError,
    heif_kind,
    read_header,
)
from arcwise.images.headers.netpbm import decode_netpbm, is_netpbm

MAX_PIXELS = 64 * 2**20
"""More pixels than this are refused before decoding (a 192 MiB image)."""

_STRIP = 256  # rows

if "OPENCV_LOG_LEVEL" not in os.environ:  # what OpenCV would print is raised here instead
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB pixels, the way up that the camera noted.

    Grey, palette, 16-bit and CMYK images come out as 8-bit RGB; transparent ones are laid on
    white; of an animated image the first frame is taken. Transparency that OpenCV does not read is
    not seen: that of BMP, of grey TIFF, and of grey PNG by a single colour.

    Args:
        data: the whole file: JPEG, PNG, WebP, BMP, GIF, TIFF or PNM; AVIF where OpenCV was built
            with it, HEIC and HEIF where the package pillow-heif is installed.
        name: what the user calls the file; it begins the error message.
        max_pixels: a larger image is refused before any memory is taken for it.

    Raises:
        ImageError: empty, cut short, damaged, too large, or not an image.
    """
    if not data:
        raise ImageError(name, "empty file")
    kind = heif_kind(data)
    if kind is not None and (lacking := _lacking(kind)):
        raise ImageError(name, f"{kind}, which {lacking}, or convert it to JPEG or PNG")
    if data[:2] in (b"II", b"MM") and UNREAD.get(PurePath(name).suffix.lower()) == RAW:
        raise ImageError(name, f"{RAW}, of which only a thumbnail is a TIFF; convert it to JPEG")
    try:
        header = read_header(data)
    except HeaderError as problem:
        raise ImageError(name, str(problem)) from None
    width, height, alpha = header[:3]
    if width * height > max_pixels:
        raise ImageError(
            name,
            f"{width} x {height} pixels, more than the {max_pixels:,} allowed; make it smaller",
        )
    if kind is not None:
        return _heif(data, name, kind, header)
    if is_netpbm(data):
        try:
            return decode_netpbm(data)
        except HeaderError as problem:
            raise ImageError(name, str(problem)) from None
    flags = cv2.IMREAD_UNCHANGED if alpha else cv2.IMREAD_COLOR_RGB
    try:
        image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(
            name, f"damaged, or of a rare kind: its pixels cannot be decoded ({ACCEPTED} expected)"
        )
    return _upright(image, header) if alpha else image


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB pixels of an image file on disk.

    Raises:
        ImageError: missing, unreadable, or not an image (see `decode`).
    """
    try:
        with open(path, "rb", opener=open_regular) as file:
            data = file.read()
    except OSError as problem:
        raise ImageError(str(PurePath(path)), problem.strerror or str(problem)) from None
    return decode(data, str(PurePath(path)))


def _lacking(kind: str) -> str:
    """Return what a HEIC, HEIF or AVIF needs before it can be decoded; empty if nothing."""
    if kind == "AVIF":
        if cv2.haveImageWriter(".avif"):  # what OpenCV writes it reads
            return ""
        return "this OpenCV was built without; pip install -U opencv-python-headless"
    if find_spec("pillow_heif"):
        return ""
    return "cannot be read without its decoder; pip install pillow-heif"


def _heif(data: bytes, name: str, kind: str, header: Header) -> NDArray[np.uint8]:
    """Return the pixels of a HEIC, HEIF or AVIF."""
    image: NDArray[Any] | None = None
    try:
        if kind == "AVIF":
            flags = cv2.IMREAD_UNCHANGED if header.alpha else cv2.IMREAD_COLOR
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        else:
            header = header._replace(orientation=1)  # it comes out upright
            decoder = import_module("pillow_heif")
            image = np.asarray(decoder.open_heif(data, convert_hdr_to_8bit=True))
            image = image[..., [2, 1, 0, 3][: image.shape[2]]] if image.ndim == 3 else image
    except Exception as problem:  # whatever a decoder raises about a damaged file
        reason = str(problem).partition("\n")[0] or type(problem).__name__
        raise ImageError(name, f"damaged: this {kind} cannot be decoded ({reason})") from None
    if image is None:
        raise ImageError(name, f"damaged: this {kind} cannot be decoded")
    return _upright(image, header)


def on_white(image: NDArray[Any], *, premultiplied: bool = False) -> NDArray[np.uint8]:
    """Return what an image looks like on a white page, (H, W, 3) uint8 RGB.

    Args:
        image: (H, W) grey, (H, W, 3) BGR or (H, W, 4) BGRA, of 8 or 16 bits.
        premultiplied: whether its colours were multiplied by their opacity already.
    """
    if image.ndim == 2:
        image = image[..., None].repeat(3, axis=2)
    page = np.empty((*image.shape[:2], 3), np.uint8)
    for start in range(0, len(image), _STRIP):  # in strips: floats of a large image are many
        page[start : start + _STRIP] = _blend(image[start : start + _STRIP], premultiplied)
    return page


def _blend(strip: NDArray[Any], premultiplied: bool) -> NDArray[Any]:
    if strip.dtype == np.uint8 and (strip.shape[2] == 3 or strip[..., 3].min() == 255):
        return strip[..., 2::-1]  # most images that could be transparent are not
    pixels = strip.astype(np.float32) / (257.0 if strip.dtype == np.uint16 else 1.0)
    colour = pixels[..., 2::-1]
    if pixels.shape[2] == 4:
        cover = pixels[..., 3:] / 255.0
        colour = (colour if premultiplied else colour * cover) + 255.0 * (1.0 - cover)
    return np.rint(np.clip(colour, 0.0, 255.0))


def _upright(image: NDArray[Any], header: Header) -> NDArray[np.uint8]:
    """Return an image on a white page and upright, by how the camera was held (EXIF)."""
    orientation = header.orientation
    image = on_white(image, premultiplied=header.premultiplied)
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return np.ascontiguousarray(image)
