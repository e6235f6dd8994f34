"""`arcwise verify`."""

from __future__ import annotations

from pathlib import Path

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, IdentityName, ImageFiles
from arcwise.cli.screen import counted, left_out
from arcwise.gallery import shown_address
from arcwise.verbs.verify import verify


def command(
    gallery: GalleryName,
    identity: IdentityName,
    images: ImageFiles,
    together: bool = False,
    far: float | None = None,
    model: Path | None = None,
    json: bool = False,
) -> int:
    """Check whether an image, or several together, are of the identity that is claimed.

    Exit status 0: accepted; 1: rejected; 2: it could not be compared.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        identity: Identity that the image is said to be of.
        images: Image file; several, or folders, zips and tables of them,
            with --together.
        together: Take all images for one claim, and decide once. They are weighted by the quality
            that the model estimates, if it does. The rate of the threshold is that of single
            images; for several together it was not measured.
        far: False-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: Folder of the gallery's model, if it moved.
        json: Print one JSON document instead.
    """
    result = verify(gallery, identity, images, together=together, far=far, model=model)
    if json:
        asked = {"images": images} if together else {"image": images[0]}
        place = shown_address(gallery)
        print_json(
            {"gallery": place, "identity": identity, **asked, **vars(result)}
            | {"promise": result.promise}
        )
    else:
        verdict = "accepted" if result.accepted else "rejected"
        enrolled = counted(result.templates, "template")
        print(f"{verdict}: similarity {result.similarity:.4f} to {identity} ({enrolled})")
        left_out("images that could not be read", result.failures)
        if result.together > 1:
            print(f"decided once for {result.together} images together, {result.weighting}")
        print(f"decided at {result.threshold}")
        if result.promise:
            print(result.promise)
        if result.unmeasured:
            print(f"warning: {result.unmeasured}")
        for note in result.notes:
            print(f"warning: {note}")
    return 0 if result.accepted else 1
