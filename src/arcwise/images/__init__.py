"""Bytes → pixels: decode, prepare, find a face, align it. numpy and OpenCV only."""

from arcwise.images.decode import MAX_PIXELS, decode, read_image
from arcwise.images.preparation import Preparation

__all__ = ["MAX_PIXELS", "Preparation", "decode", "read_image"]
