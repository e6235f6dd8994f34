"""`arcwise verify`."""

from __future__ import annotations

from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, IdentityName, ImageFile
from arcwise.cli.screen import counted
from arcwise.verbs.verify import verify


def command(
    gallery: GalleryName,
    identity: IdentityName,
    image: ImageFile,
    far: float | None = None,
    model: Path | None = None,
    json: bool = False,
) -> int:
    """Check whether an image is of the identity it is said to be.

    Exit status 0: accepted; 1: rejected; 2: it could not be compared.

    Args:
        gallery: Gallery file.
        identity: Identity that the image is said to be of.
        image: Image file.
        far: False-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: Folder of the gallery's model, if it moved.
        json: Print one JSON document instead.
    """
    result = verify(gallery, identity, image, far=far, model=model)
    if json:
        print_json({"gallery": gallery, "identity": identity, "image": image, **vars(result)})
    else:
        verdict = "accepted" if result.accepted else "rejected"
        images = counted(result.templates, "image")
        print(f"{verdict}: similarity {result.similarity:.4f} to {identity} ({images})")
        print(f"decided at {result.threshold}")
        for note in result.notes:
            print(f"warning: {note}")
    return 0 if result.accepted else 1
