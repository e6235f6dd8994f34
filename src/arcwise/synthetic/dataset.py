"""A rendered data set on disk: one archive of photos and the manifest that describes it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import fields
from itertools import product
from pathlib import Path

from arcwise.data.writing import new_zip
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write
from arcwise.synthetic.nuisance import DOMAINS, Nuisance
from arcwise.synthetic.renderer import Renderer, identity_name

ARCHIVE = "images.zip"

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
    """Write `images.zip` and `manifest.csv` into a folder, and return the path of the manifest.

    The archive holds JPEG files, not compressed again, named `<domain>/<identity>/<shot>.jpg`. Both
    files are renamed into place when they are whole, the manifest last.

    Args:
        folder: made if it does not exist. Existing files are not overwritten.
        identities: their number (they are 0, 1, …), or a list of them.
        shots: shop photos of each identity.
        studio: studio photos of each identity.
        size: side of the photos in pixels.
        seed: of all products; another seed has others.
        progress: called with (photos done, photos in all) after each photo.

    Raises:
        ArcwiseError: for no identities, no photos, a size out of range, or a data set that is
            already there.
    """
    numbers = list(range(identities)) if isinstance(identities, int) else list(identities)
    if not numbers:
        count = identities if isinstance(identities, int) else 0
        raise ArcwiseError(f"got {count} identities; expected at least 1; ask for more")
    if len(set(numbers)) < len(numbers):
        raise ArcwiseError("got an identity twice; expected each once; remove the repetitions")
    if min(shots, studio) < 0 or shots + studio == 0:
        raise ArcwiseError(
            f"got {shots} shop and {studio} studio photos of each identity; expected 0 or more of "
            "each and at least one in all; ask for more"
        )
    renderer = Renderer(seed, size)
    folder = Path(folder)
    counts = dict(zip(DOMAINS, (studio, shots), strict=True))
    digits = max(2, len(str(max(shots, studio) - 1)))
    total, done = len(numbers) * (shots + studio), 0
    # Left in the reverse order: the archive is in its place before the manifest that lists it.
    with (
        atomic_write(folder / "manifest.csv", overwrite=False) as manifest,
        new_zip(folder / ARCHIVE) as photos,
        open(manifest, "x", newline="", encoding="utf-8") as text,
    ):
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        for identity, (domain, count) in product(numbers, counts.items()):
            for shot in range(count):
                data, truth = renderer.file(identity, shot, domain)
                name = f"{domain}/{identity_name(identity)}/{shot:0{digits}d}.jpg"
                photos.add(name, data)
                values = (truth.quality, *truth.values().values())
                start = (f"{ARCHIVE}/{name}", identity_name(identity), domain)
                table.writerow((*start, *map(_number, values)))
                done += 1
                if progress is not None:
                    progress(done, total)
    return folder / "manifest.csv"


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"
