"""Enrol a data set in a gallery on a server, an identity after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.client import Client
from arcwise.client.messages import EnrolAnswer
from arcwise.data.manifest import Manifest
from arcwise.errors import GalleryError, ImageError, UnreadableImages
from arcwise.identity import identity_key
from arcwise.verbs.enrol_result import Enrolled, RefusedImage

_SHOWN = 3


def enrol_on_server(
    client: Client,
    manifest: Manifest,
    metadata: Sequence[Mapping[str, Any]],
    *,
    replace: bool,
    again: bool,
    together: bool,
    least_quality: float | None,
    progress: Callable[[int, int], object] | None,
) -> Enrolled:
    """Enrol every readable image; each identity is on disk there before the next is sent.

    The server says whether small images are kept. Where it stops on the way, the identities before
    are enrolled.

    Args:
        client: of the gallery.
        manifest: what is enrolled.
        metadata: that is kept with the template of each row.
        replace: as for `enrol`.
        again: as for `enrol`.
        together: as for `enrol`; the metadata of the first row are kept then.
        least_quality: as for `enrol`.
        progress: as for `enrol`.

    Raises:
        ArcwiseError: the server cannot be reached or refuses; none of the images can be read; or
            identities have templates already, with neither `replace` nor `again`.
    """
    counts = {identity_key(one): (one, count) for one, count in client.identities().items()}
    had = {one: counts[key] for one in manifest.classes if (key := identity_key(one)) in counts}
    if had and not (replace or again):
        listed = ", ".join(f"{name}: {count}" for name, count in list(had.values())[:_SHOWN])
        more = f" and {len(had) - _SHOWN:,} more" if len(had) > _SHOWN else ""
        raise GalleryError(
            f"{client.url}: {len(had):,} of these identities have templates already ({listed}"
            f"{more}); say --replace to replace their templates, or --again to add to them"
        )
    names = np.array(manifest.identities, object)
    answers: list[EnrolAnswer] = []
    failures: list[ImageError] = []
    left_out: list[str] = []
    done = 0
    begun: set[str] = set()
    for identity, rows in _requests(names, metadata, together=together):
        first = identity not in begun
        try:
            answers.append(
                client.enrol_readable(
                    identity,
                    manifest.select(rows),
                    metadata=metadata[rows[0]] or None,
                    together=together,
                    replace=replace and first,
                    new=first and not (replace or again),
                    least_quality=least_quality,
                )
            )
            begun.add(identity)
        except ImageError as problem:
            failures.append(problem)
            left_out.append(identity)
        except UnreadableImages as problem:
            failures += problem.failures
            left_out.append(identity)
        done += len(rows)
        if progress is not None:
            progress(done, len(manifest))
    if not answers:
        raise UnreadableImages(
            f"none of the {len(failures)} images of {manifest.name} was enrolled: {failures[0]}",
            failures,
        )
    failures += [ImageError(bad.image, bad.reason) for one in answers for bad in one.failures]
    return Enrolled(
        templates=sum(len(one.templates) for one in answers),
        identities=len(begun),
        replaced=sum(one.replaced for one in answers),
        total=answers[-1].size.templates,
        failures=tuple(failures),
        ignored=manifest.ignored,
        had_templates=len(had),
        notes=tuple(dict.fromkeys(note for one in answers for note in one.notes)),
        images=sum(len(one.images) for one in answers),
        weighting=answers[-1].weighting,
        refused=tuple(
            sorted(
                (
                    RefusedImage(bad.image, one.identity, bad.quality)
                    for one in answers
                    for bad in one.refused
                ),
                key=lambda one: one.quality,
            )
        ),
        left_out=tuple(sorted(set(left_out) - begun)),
    )


def _requests(
    names: NDArray[Any], metadata: Sequence[Mapping[str, Any]], *, together: bool
) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield each identity with rows of it that go together: those with equal metadata."""
    for identity in dict.fromkeys(names.tolist()):
        groups: dict[str, list[int]] = {}
        for row in np.flatnonzero(names == identity).tolist():
            alike = "" if together else json.dumps(metadata[row], sort_keys=True)
            groups.setdefault(alike, []).append(row)
        for rows in groups.values():
            yield identity, np.array(rows)
