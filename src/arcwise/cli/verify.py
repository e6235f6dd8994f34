"""`arcwise verify`."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from arcwise.cli.as_json import print_json
from arcwise.verbs.verify import verify


def command(
    gallery: Positional[str],
    identity: Positional[str],
    image: Positional[Path],
    far: float | None = None,
    model: Path | None = None,
    json: bool = False,
) -> int:
    """Check whether a picture is of the identity it is said to be.

    Exit status 0: accepted; 1: rejected; 2: it could not be compared.

    Args:
        gallery: The gallery's file.
        identity: Who it is said to be.
        image: The picture.
        far: False-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: Where the gallery's model is now, if it moved.
        json: Print one JSON document instead.
    """
    result = verify(gallery, identity, image, far=far, model=model)
    if json:
        print_json({"gallery": gallery, "identity": identity, "image": image, **vars(result)})
    else:
        said = "accepted" if result.accepted else "rejected"
        pictures = f"{result.templates} pictures"
        print(f"{said}: similarity {result.similarity:.4f} to {identity} ({pictures})")
        print(f"decided at {result.threshold}")
    return 0 if result.accepted else 1
