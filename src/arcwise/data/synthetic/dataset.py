"""A rendered data set on disk: one archive of photos and the manifest that describes it."""

from __future__ import annotations

import csv
import os
import zipfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from arcwise.data.synthetic.nuisance import DOMAINS, Nuisance
from arcwise.data.synthetic.renderer import Renderer, identity_name
from arcwise.errors import ArcwiseError

COLUMNS = ("image", "identity", "domain", "quality", *(field.name for field in fields(Nuisance)))


def render_dataset(
    folder: str | Path,
    identities: int | Iterable[int] = 300,
    shots: int = 20,
    studio: int = 1,
    size: int = 96,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """The path of `manifest.csv` in `folder`, with the photos it lists in `images.zip` beside it.

    The archive holds JPEG files, not compressed again, named `<domain>/<identity>/<shot>.jpg`. Both
    files are written beside and renamed into place, the manifest last: whoever finds a manifest
    finds the photos it lists.

    Args:
        folder: where to; made if it does not exist. A data set already there is replaced.
        identities: how many (numbered from 0), or which.
        shots: shop photos of each identity.
        studio: studio photos of each identity.
        size: side of the photos in pixels.
        seed: which world.
        progress: called with (photos done, photos in all) after each photo.

    Raises:
        ArcwiseError: for no identities, no photos, or a size out of range.
    """
    numbers = list(range(identities)) if isinstance(identities, int) else list(identities)
    if not numbers:
        raise ArcwiseError(f"got {identities} identities; expected at least 1; ask for more")
    if len(set(numbers)) < len(numbers):
        raise ArcwiseError("got an identity twice; expected each once; remove the repetitions")
    if min(shots, studio) < 0 or shots + studio == 0:
        raise ArcwiseError(
            f"got {shots} shop and {studio} studio photos of each identity; expected 0 or more of "
            "each and at least one in all; ask for more"
        )
    renderer = Renderer(seed, size)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    archive, manifest = folder / "images.zip", folder / "manifest.csv"
    new_archive, new_manifest = folder / ".images.zip.part", folder / ".manifest.csv.part"
    counts = dict(zip(DOMAINS, (studio, shots), strict=True))
    digits = max(2, len(str(max(shots, studio) - 1)))
    total, done = len(numbers) * (shots + studio), 0
    try:
        with (
            zipfile.ZipFile(new_archive, "w", zipfile.ZIP_STORED) as photos,
            open(new_manifest, "w", newline="", encoding="utf-8") as text,
        ):
            table = csv.writer(text, lineterminator="\n")
            table.writerow(COLUMNS)
            for identity in numbers:
                for domain, count in counts.items():
                    for shot in range(count):
                        data, truth = renderer.file(identity, shot, domain)
                        name = f"{domain}/{identity_name(identity)}/{shot:0{digits}d}.jpg"
                        # A fixed date: the same photos are the same archive, byte for byte.
                        photos.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
                        table.writerow(
                            [f"{archive.name}/{name}", identity_name(identity), domain]
                            + [_number(v) for v in (truth.quality, *truth.values().values())]
                        )
                        done += 1
                        if progress is not None:
                            progress(done, total)
        manifest.unlink(missing_ok=True)  # never an old manifest beside new photos
        os.replace(new_archive, archive)
        os.replace(new_manifest, manifest)
    finally:
        for part in (new_archive, new_manifest):
            with suppress(FileNotFoundError):
                part.unlink()
    return manifest


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
