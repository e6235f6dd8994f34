"""`arcwise verify`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.verbs.verify import verify


def command(
    gallery: Positional[str],
    identity: Positional[str],
    image: Positional[Path],
    far: float | None = None,
    model: Path | None = None,
) -> int:
    """Check whether a picture is of the identity it is said to be; exit status 1 if not.

    Args:
        gallery: The gallery's file.
        identity: Who it is said to be.
        image: The picture.
        far: False-accept rate; by default the lowest that the model resolves.
        model: Where the gallery's model is now, if it moved.
    """
    result = verify(gallery, identity, image, far=far, model=model)
    said = "accepted" if result.accepted else "rejected"
    print(f"{said}: similarity {result.similarity:.4f} to {identity} ({result.templates} pictures)")
    print(f"decided at {result.threshold}")
    return 0 if result.accepted else 1
