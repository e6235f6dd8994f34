"""`arcwise data align`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.screen import progress
from arcwise.verbs.data_align import align


def command(
    source: Positional[Path],
    destination: Positional[Path],
    detector: Path | None = None,
    size: int = 112,
) -> int:
    """Crop faces by five landmarks: the manifest's own, or a detector's.

    Args:
        source: A folder, table or zip of pictures.
        destination: A new folder or .zip for the crops.
        detector: A YuNet .onnx file, for pictures without landmarks.
        size: Height and width of a crop in pixels.
    """
    with progress("aligning") as move:
        print(align(source, destination, detector=detector, size=size, progress=move))
    return 0
