"""Templates: the embeddings of several images of one person pooled to one vector (IJB)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

_BLOCK = 2**10  # images in one block: 4 MiB of float64 at 512 dimensions stay in the cache
_CANCELLED = 1e-6  # of the lengths that were added: what is left of float32 features that cancel


@dataclass(frozen=True, eq=False)
class Templates:
    """One vector for each template.

    Attributes:
        ids: (T,) the templates, sorted.
        vectors: (T, D) float32, unit length.
    """

    ids: np.ndarray
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


def pool(
    features: np.ndarray,
    templates: inputs.Identities,
    media: inputs.Identities,
    *,
    flipped: np.ndarray | None = None,
    detector_scores: np.ndarray | None = None,
    keep_norm: bool = True,
) -> Templates:
    """Return the templates of IJB: frames averaged to media, media summed, scaled to unit length.

    A video counts as much as one still, whatever its number of frames. Sums are made in float64;
    the order of the images does not matter beyond its rounding. The protocol of Whitelam et al.
    (CVPRW 2017) as insightface's `ijb_evals.py` has it, whose best setting is N0D1F1: `flipped`
    and `detector_scores` given, the norm kept. (Its `use_norm_score=True` removes the norm; in the
    older `ijb_11.py` the same words keep it.)

    Args:
        features: (N, D) embeddings as the encoder gives them, not normalised.
        templates: (N,) the template of each image. One image in two templates is two rows.
        media: (N,) the still or video it comes from; frames of one video share it.
        flipped: (N, D) embeddings of the mirrored images, added to `features`.
        detector_scores: (N,) how sure the face detector was; each feature is multiplied by it.
        keep_norm: whether a feature's length carries weight; without it every feature is scaled to
            unit length, after the flip and before the detector's score.

    Raises:
        ArcwiseError: lengths differ, a value is not finite, a detector score is negative, or a
            template's features cancel so that no direction is left; it is named.
    """
    rows = inputs.scores("features", features, 2)
    if not rows.size:
        raise ArcwiseError(f"features has shape {rows.shape}, expected at least one embedding")
    mirrored = None if flipped is None else inputs.scores("flipped", flipped, 2)
    if mirrored is not None and mirrored.shape != rows.shape:
        raise ArcwiseError(f"flipped has shape {mirrored.shape}, expected {rows.shape}: a row each")
    weights = _weights(detector_scores, len(rows))
    ids, code = np.unique(inputs.identities("templates", templates, len(rows)), return_inverse=True)
    source = inputs.codes("media", media, len(rows))

    order = np.lexsort((source, code))
    ends = np.cumsum(np.bincount(code))
    vectors = np.empty((len(ids), rows.shape[1]), np.float32)
    start = first = 0  # of the next image in that order, and of its template
    while first < len(ids):
        # Whole templates, at least one of them.
        last = max(first + 1, int(np.searchsorted(ends, start + _BLOCK, side="right")))
        part = order[start : ends[last - 1]]
        image = rows[part].astype(np.float64)
        if mirrored is not None:
            image += mirrored[part]
        if not keep_norm:
            length = _lengths(image)
            image /= np.where(length > 0, length, 1.0)[:, None]
        if weights is not None:
            image *= weights[part, None]
        total, added = _summed(image, code[part], source[part])
        length = _lengths(total)
        empty = np.flatnonzero(length <= _CANCELLED * added)
        if len(empty):
            raise ArcwiseError(
                f"template {ids[first + empty[0]]}: its features cancel or are all zero, so it has "
                "no direction: leave it out, or weight its images otherwise"
            )
        vectors[first:last] = total / length[:, None]
        start, first = int(ends[last - 1]), last
    return Templates(ids, vectors)


def _summed(
    image: np.ndarray, template: np.ndarray, source: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (T, D) the sum over media of their means, and (T,) the lengths that were added.

    Args:
        image: (B, D) features, template by template and in each medium by medium.
        template: (B,) the template of each.
        source: (B,) the medium of each.
    """
    new_template = np.diff(template, prepend=-1) != 0
    starts = np.flatnonzero(new_template | (np.diff(source, prepend=-1) != 0))
    counts = np.diff(starts, append=len(image))
    means = np.add.reduceat(image, starts, axis=0) / counts[:, None]
    lengths = np.add.reduceat(_lengths(image), starts) / counts
    first = np.flatnonzero(new_template[starts])
    return np.add.reduceat(means, first, axis=0), np.add.reduceat(lengths, first)


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.sqrt(np.einsum("nd,nd->n", rows, rows))


def _weights(detector_scores: np.ndarray | None, count: int) -> np.ndarray | None:
    if detector_scores is None:
        return None
    weights = inputs.scores("detector_scores", detector_scores, 1)
    if len(weights) != count:
        raise ArcwiseError(
            f"detector_scores has {len(weights)} values, expected {count}: one for each image"
        )
    if (weights < 0).any():
        raise ArcwiseError(
            f"detector_scores go down to {weights.min():g}, expected 0 or more: a negative weight "
            "would turn an image round"
        )
    return weights.astype(np.float64)
