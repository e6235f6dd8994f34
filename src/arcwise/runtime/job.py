"""Embedding a whole data set, past the pictures that cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.decode import decode
from arcwise.runtime.ahead import in_order
from arcwise.runtime.engines import Floats, cores
from arcwise.runtime.model import Model

if TYPE_CHECKING:
    from arcwise.data.manifest import Manifest


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a data set.

    Attributes:
        vectors: (M, D) float32, unit length.
        rows: (M,) int64, the manifest's row of each vector, ascending; rows that failed are absent.
        failures: why, one for each row that is absent.
    """

    vectors: Floats
    rows: NDArray[np.int64]
    failures: list[ImageError]

    def __str__(self) -> str:
        text = f"{len(self.rows)} pictures embedded"
        return f"{text}, {len(self.failures)} could not be read" if self.failures else text


def embed_manifest(
    model: Model,
    manifest: Manifest,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Embedded:
    """The embeddings of a manifest's pictures; unreadable ones are listed and passed over.

    Args:
        model: of `arcwise.load`.
        manifest: one that has pictures; its `landmarks` serve a model with alignment.
        batch_size: pictures computed at once; about twice as many are held in memory.
        workers: threads that decode; by default one for each core.
        progress: called with (rows done, rows in all) after every batch.

    Raises:
        ArcwiseError: every picture failed, or an embedding is zero or not finite.
    """
    names = manifest.images
    landmarks = manifest.column("landmarks") or [None] * len(names)

    def prepared(row: int) -> NDArray[np.uint8] | ImageError:
        try:
            return model.prepare(decode(manifest.read(row), names[row]), landmarks[row])
        except ImageError as problem:
            return problem
        except ArcwiseError as problem:
            return ImageError(names[row], str(problem))

    vectors = [np.empty((0, model.dim), np.float32)]
    rows: list[int] = []
    failures: list[ImageError] = []
    batch: list[NDArray[np.uint8]] = []
    pictures = in_order(
        len(names), prepared, workers=cores() if workers is None else workers, ahead=batch_size
    )
    for row, found in enumerate(pictures):
        if isinstance(found, ImageError):
            failures.append(found)
        else:
            batch.append(found)
            rows.append(row)
        if len(batch) == batch_size or row + 1 == len(names):
            if batch:
                called = [names[one] for one in rows[-len(batch) :]]
                vectors.append(
                    model.embed_pixels(np.stack(batch), batch_size=batch_size, names=called)
                )
                batch = []
            if progress is not None:
                progress(row + 1, len(names))
    if failures and not rows:
        listed = "; ".join(str(failure) for failure in failures[:3])
        raise ArcwiseError(
            f"none of the {len(failures)} pictures of {manifest.name} could be read ({listed}"
            f"{'; …' if len(failures) > 3 else ''}): check the paths it holds"
        )
    return Embedded(np.concatenate(vectors), np.asarray(rows, np.int64), failures)
