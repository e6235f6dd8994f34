"""`arcwise data align`."""

from __future__ import annotations

from pathlib import Path

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Destination, Source
from arcwise.cli.screen import progress
from arcwise.data.formats.opening import open_manifest
from arcwise.images.landmarks import Template
from arcwise.verbs.data_align import Faceless, Policies, Profile, Several, align


def command(
    source: Source,
    destination: Destination,
    detector: Path | None = None,
    size: int = 112,
    template: Template = "five-point",
    several: Several = "largest",
    none: Faceless = "leave-out",
    profile: Profile = "keep",
    naming: NamingOptions = USUAL,
) -> int:
    """Crop faces by their landmarks: the manifest's own (5 or 68), or a detector's.

    Args:
        source: Data set of images, in any form.
        destination: New folder or .zip for the crops.
        detector: YuNet .onnx file, for images without landmarks.
        size: Height and width of a crop in pixels.
        template: Place of the face in a crop, five-point or dlib, as the model expects it.
        several: Face that is taken of an image with several.
        none: Treatment of an image without a face; centre takes the square in its middle.
        profile: Treatment of a face seen from the side: its nose is beyond an eye.
        naming: Names of the columns and folders of a table.
    """
    manifest = open_manifest(source, identities=False, **naming.options)  # its notes are printed
    with progress("aligning") as move:
        done = align(
            manifest,
            destination,
            detector=detector,
            size=size,
            template=template,
            policies=Policies(several, none, profile),
            progress=move,
        )
    print(done)
    return 0
