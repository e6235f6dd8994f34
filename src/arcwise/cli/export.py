"""`arcwise export`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.export import export


def command(model: Positional[Path], pictures: Path | None = None, opset: int = 18) -> int:
    """Write encoder.onnx into a model folder, if it computes what torch computes.

    Args:
        model: A model folder.
        pictures: Pictures of yours to compare on, besides random and built-in ones.
        opset: Version of the ONNX operators, 18 to 23.
    """
    chosen = None if pictures is None else open_manifest(pictures, identities=False)
    print(export(model, opset=opset, pictures=chosen))
    return 0
