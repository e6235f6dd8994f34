"""`arcwise export`."""

from __future__ import annotations

from pathlib import Path

from arcwise.cli.positionals import ModelFolder
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.export import export


def command(model: ModelFolder, images: Path | None = None, opset: int = 18) -> int:
    """Write encoder.onnx into a model folder, if it computes what torch computes.

    Args:
        model: Model folder.
        images: Your own images to compare on, besides random and built-in ones.
        opset: Version of the ONNX operators, 18 to 23.
    """
    manifest = None if images is None else open_manifest(images, identities=False)
    print(export(model, opset=opset, images=manifest))
    return 0
