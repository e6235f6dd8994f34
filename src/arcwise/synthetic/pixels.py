"""The two kinds of array pictures are made of here.

cv2's type stubs promise no more than "some array", so the element type is said in words.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

Plane = NDArray[Any]
"""Float32: light, linear, 1 is white; or coverage in [0, 1]; or coordinates."""

Canvas = NDArray[Any]
"""Uint8: (H, W, 3) square-root-encoded RGB, or (H, W, 4) with coverage or the material last."""
