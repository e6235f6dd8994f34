"""`arcwise data align`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import progress
from arcwise.data.formats.opening import open_manifest
from arcwise.verbs.aligned import Faceless, Policies, Profile, Several
from arcwise.verbs.data_align import align


def command(
    source: Positional[Path],
    destination: Positional[Path],
    detector: Path | None = None,
    size: int = 112,
    several: Several = "largest",
    none: Faceless = "leave-out",
    profile: Profile = "keep",
    naming: NamingOptions = USUAL,
) -> int:
    """Crop faces by their landmarks: the manifest's own (5 or 68), or a detector's.

    Args:
        source: A data set of pictures, in any form.
        destination: A new folder or .zip for the crops.
        detector: A YuNet .onnx file, for pictures without landmarks.
        size: Height and width of a crop in pixels.
        several: Which face of a picture with several is taken.
        none: What becomes of a picture without a face; centre takes the square in its middle.
        profile: What becomes of a face seen from the side: its nose is beyond an eye.
        naming: How a table calls things.
    """
    manifest = open_manifest(source, identities=False, **naming.options)  # its notes are printed
    with progress("aligning") as move:
        done = align(
            manifest,
            destination,
            detector=detector,
            size=size,
            policies=Policies(several, none, profile),
            progress=move,
        )
    print(done)
    return 0
