"""Angles of pairs of images, and of images and class centres, on the sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.nearest import BLOCK, nearest
from arcwise.evaluation.scored import scored_pairs
from arcwise.evaluation.similarity_matrix import pair_rows

BINS = 180
_ROUNDING = 1e-3  # of cosines in half precision
_COLUMNS = 64  # dimensions summed together in float64
_NO_LENGTH = 1e-6  # of a mean of unit rows: what is shorter is rounding


@dataclass(frozen=True, eq=False)
class Angles:
    """Counts of pairs by angle (ArcFace, figures 6 and 7).

    Attributes:
        edges: (B + 1,) radians, 0 to π.
        mated: (B,) pairs of one identity.
        impostor: (B,) pairs of two identities.
    """

    edges: np.ndarray
    mated: np.ndarray
    impostor: np.ndarray


def angles(similarity: np.ndarray, same: np.ndarray, bins: int = BINS) -> Angles:
    """Return the histograms of scored pairs.

    Args:
        similarity: (N,) cosines.
        same: (N,) bool.
        bins: number of equal bins from 0 to π.

    Raises:
        ArcwiseError: lengths differ, a score is no cosine, or all pairs are of one kind.
    """
    pairs = scored_pairs(similarity, same)
    reach = float(np.abs(pairs.similarity).max())
    if reach > 1.0 + _ROUNDING:
        raise ArcwiseError(f"similarity reaches ±{reach:g}, expected cosines, from -1 to 1")
    edges = np.linspace(0.0, math.pi, bins + 1)
    mated, impostor = pairs.similarity[pairs.same], pairs.similarity[~pairs.same]
    return Angles(edges, _count(mated, edges), _count(impostor, edges))


def angles_from_embeddings(
    embeddings: np.ndarray, ids: inputs.Identities, bins: int = BINS
) -> Angles:
    """Return the histograms of all pairs, block by block.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities.
        bins: number of equal bins from 0 to π.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    edges = np.linspace(0.0, math.pi, bins + 1)
    mated, impostor = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    for part in pair_rows(unit, codes):
        mated += _count(part.similarity[part.mated], edges)
        impostor += _count(part.similarity[part.impostor], edges)
    return Angles(edges, mated, impostor)


def _count(cosines: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return (B,) int64 counts of the cosines' angles."""
    # In float32 the angle of -1 is above π, and would be lost.
    angle = np.arccos(np.clip(cosines, -1.0, 1.0), dtype=np.float64)
    counts, _ = np.histogram(angle, edges)
    return counts.astype(np.int64)


@dataclass(frozen=True, repr=False)
class CentreAngles:
    """Mean angles in radians (Deng et al., ArcFace, arXiv 1801.07698, table 3); prints degrees.

    An identity's embedding centre EC is the direction of the mean of its unit embeddings; W is the
    centre that a head has learned for it.

    Attributes:
        w_ec: mean over identities of the angle between W and EC; None without a head's centres.
        w_inter: mean over classes of the angle from W to the nearest other W; None without them.
        intra: mean over images of the angle to their identity's EC.
        inter: mean over identities of the angle from EC to the nearest other EC.
        images: how many.
        identities: how many.
        singles: identities of one image, which is its own EC: they are at 0 in `intra`.
    """

    w_ec: float | None
    w_inter: float | None
    intra: float
    inter: float
    images: int
    identities: int
    singles: int

    def __str__(self) -> str:
        head = f"angles: {self.images} images of {self.identities} identities"
        rows = {"W-EC": self.w_ec, "W-Inter": self.w_inter, "Intra": self.intra}
        rows["Inter"] = self.inter
        return "\n".join(
            [
                f"{head} ({self.singles} of one image)",
                *(f"  {k:<11} {np.degrees(v):.2f}°" for k, v in rows.items() if v is not None),
            ]
        )

    __repr__ = __str__


def centre_angles(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    centres: np.ndarray | None = None,
    centre_ids: inputs.Identities | None = None,
) -> CentreAngles:
    """Return the mean angles within and between identities, and those of a head's centres.

    Of K sub-centres a class's dominant one counts: the nearest to most of its images, of equals
    the first. No (C, C) matrix is made.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities; with centres, each of them has one.
        centres: (C, D) centres of a head, or (C, K, D) with K sub-centres a class.
        centre_ids: (C,) their identities, each once; by default the labels 0 … C-1.

    Raises:
        ArcwiseError: fewer than two identities or classes; an identity without a centre; a centre
            without direction; sub-centres of a class without images; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    names, codes = np.unique(inputs.identities("ids", ids, len(unit)), return_inverse=True)
    if len(names) == 1:
        raise ArcwiseError(f"all images are of {names[0]}, expected at least two identities")
    means = _means(unit, codes, names)
    w_ec = w_inter = None
    if centres is not None:
        weights, place = _weights(centres, centre_ids, unit, names, codes)
        w_ec, w_inter = _mean_angle(weights, means, place), _to_nearest(weights)
    elif centre_ids is not None:
        raise ArcwiseError("centre_ids are given without centres, expected both or neither")
    return CentreAngles(
        w_ec, w_inter, _mean_angle(means, unit, codes), _to_nearest(means),
        len(unit), len(names), int((np.bincount(codes) == 1).sum()),
    )  # fmt: skip


def _means(unit: np.ndarray, codes: np.ndarray, names: np.ndarray) -> np.ndarray:
    """Return (I, D) float32, the direction of the mean of each identity's rows."""
    count = len(unit)
    from scipy import sparse

    members = sparse.csr_array((np.ones(count), codes, np.arange(count + 1))).T
    sums = np.empty((len(names), unit.shape[1]))
    for start in range(0, unit.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        sums[:, part] = members @ unit[:, part].astype(np.float64)
    lengths = np.linalg.norm(sums, axis=1) / np.bincount(codes)
    if lengths.min() < _NO_LENGTH:
        raise ArcwiseError(
            f"the embeddings of {names[lengths.argmin()]} cancel out, expected a mean with a "
            "direction: are they zero, or opposite?"
        )
    return inputs.embeddings("means", sums)


def _weights(
    centres: np.ndarray,
    centre_ids: inputs.Identities | None,
    unit: np.ndarray,
    names: np.ndarray,
    codes: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (C, D) float32 directions, and which of them is each identity's, (I,)."""
    shape = np.shape(centres)
    if len(shape) not in (2, 3) or shape[0] < 2 or shape[-1] != unit.shape[1]:
        raise ArcwiseError(
            f"centres has shape {shape}, expected (C, {unit.shape[1]}) or (C, K, {unit.shape[1]}): "
            "those of at least two classes, as wide as the embeddings"
        )
    classes = np.arange(shape[0]) if centre_ids is None else centre_ids
    classes = inputs.identities("centre_ids", classes, shape[0])
    rows = inputs.embeddings("centres", np.reshape(centres, (-1, shape[-1])))
    rows = rows.reshape(shape[0], -1, shape[-1])
    without = np.flatnonzero((np.abs(rows).max(axis=2) == 0).any(axis=1))
    if len(without):
        raise ArcwiseError(f"a centre of {classes[without[0]]} is zero, expected a direction")

    order = np.argsort(classes, kind="stable")
    place = order[np.minimum(np.searchsorted(classes, names, sorter=order), len(classes) - 1)]
    missing = names[classes[place] != names]
    if len(missing):
        raise ArcwiseError(
            f"identity {missing[0]} has no centre, expected one for each: what the head was not "
            "trained on is measured without centres"
        )
    repeated = classes[order][1:][classes[order][1:] == classes[order][:-1]]
    if len(repeated):
        raise ArcwiseError(
            f"centre_ids has {repeated[0]} twice, expected each once: give the sub-centres of a "
            "class as (C, K, D)"
        )
    if rows.shape[1] == 1:
        return rows[:, 0], place
    without_images = np.setdiff1d(classes, names)
    if len(without_images):
        raise ArcwiseError(
            f"{without_images[0]} has sub-centres and no image, expected images of every "
            "class: they decide which of its sub-centres is dominant"
        )
    return rows[np.arange(len(rows)), _dominant(unit, rows, place[codes])], place


def _dominant(unit: np.ndarray, centres: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return (C,) which of the (C, K, D) sub-centres is nearest to most of a class's images."""
    count, subcentres, dim = centres.shape
    votes = np.zeros(count * subcentres, dtype=np.int64)
    for start in range(0, len(unit), step := max(1, BLOCK // (subcentres * dim))):
        own = owner[start : start + step]
        cosine = np.einsum("nkd,nd->nk", centres[own], unit[start : start + step])
        votes += np.bincount(own * subcentres + cosine.argmax(axis=1), minlength=len(votes))
    return votes.reshape(count, subcentres).argmax(axis=1)


def _to_nearest(centres: np.ndarray) -> float:
    """Return the mean angle of (C, D) directions to the nearest other one."""
    neighbour, _, _ = nearest(centres, centres, 1, leave_one_out=True)
    return _mean_angle(centres, centres, neighbour[:, 0])


def _mean_angle(centres: np.ndarray, rows: np.ndarray, place: np.ndarray) -> float:
    """Return the mean angle of each of the (N, D) rows to the centre in its place, (N,).

    2 atan(|a - b| / |a + b|) is exact also where the cosine is flat.
    """
    total = 0.0
    for start in range(0, len(rows), step := max(1, BLOCK // rows.shape[1])):
        one = rows[start : start + step].astype(np.float64)
        other = centres[place[start : start + step]]
        apart, along = np.linalg.norm(one - other, axis=1), np.linalg.norm(one + other, axis=1)
        total += float(2.0 * np.arctan2(apart, along).sum())
    return total / len(rows)
