"""Enrol a data set in a gallery on a server, an identity after the other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
    *,
    replace: bool,
    again: bool,
    together: bool,
    least_quality: float | None,
    progress: Callable[[int, int], object] | None,
) -> Enrolled:
    """Enrol every readable image; each identity is on disk there before the next is sent.

    Args are those of `enrol`. Where it stops on the way, the identities before are enrolled.

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
    for identity in dict.fromkeys(manifest.identities):
        rows = manifest.select(np.flatnonzero(names == identity))
        try:
            answers.append(
                client.enrol_readable(
                    identity,
                    rows,
                    together=together,
                    replace=replace,
                    new=not (replace or again),
                    least_quality=least_quality,
                )
            )
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
        identities=len(answers),
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
        left_out=tuple(sorted(left_out)),
    )
