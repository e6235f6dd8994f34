"""From the closest templates that a server lists to the hits of a search.

A server compares in float32, and its list is cut off. A list is enough when it names K identities
that beat, beyond rounding, whatever was left out. The templates on it that may be their identity's
best and one of the answer are scored again in float64 as those of a gallery in a file
(`TemplateMatrix`): similarities, and ties, are the same to the last bit.

Shapes: N queries, D dimensions, K neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.contract import Hit
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.template_row import TemplateRow, damaged_templates
from arcwise.gallery.vectors import units
from arcwise.identity import identity_key

Near = tuple[int, str, float]
"""A template's id, the key of its identity, and its similarity in float32."""

Vectors = tuple[list[int], list[str], NDArray[np.float32]]
"""Ids, keys and vectors (N, D) of templates."""


def rounding(dim: int) -> float:
    """Return what similarities of float32 vectors (dim,) may differ by and yet be equal."""
    # Twice the error of a float32 dot product of unit vectors, in any order of summation.
    return 1.01 * (dim + 8) * 2.0**-23


def mattering(near: Sequence[Near], k: int, slack: float, *, complete: bool) -> list[int] | None:
    """Return the templates of a list that matter; None where some that are not on it may, too.

    A template matters if it may be its identity's best, and that one of the K best.

    Args:
        near: the closest templates, closest first.
        k: how many identities.
        slack: differences of similarities below this are rounding.
        complete: whether the list names all.
    """
    best: dict[str, float] = {}
    least = -np.inf
    for _, key, similarity in near:
        if key not in best:
            best[key] = similarity
            if len(best) == k:
                least = similarity
    if not complete and (len(best) < k or least - slack <= near[-1][2]):
        return None
    return [
        template
        for template, key, similarity in near
        if similarity >= max(best[key], least) - slack
    ]


def lists_of(
    chunks: Iterable[Vectors], queries: NDArray[np.float64], width: int, least: float = -np.inf
) -> list[list[Near]]:
    """Return the closest of all templates to each query (N, D), by comparing them here.

    Args:
        chunks: of all templates.
        queries: unit vectors.
        width: how many at most.
        least: the similarity that they must reach.
    """
    narrow = queries.astype(np.float32)
    found: list[list[Near]] = [[] for _ in queries]
    for ids, keys, vectors in chunks:
        for listed, row in zip(found, narrow @ vectors.T, strict=True):
            full = len(listed) == width
            places = np.flatnonzero(row >= (listed[-1][2] if full else least))
            if len(places) > width:
                places = places[np.argpartition(row[places], -width)[-width:]]
            listed.extend((ids[one], keys[one], float(row[one])) for one in places.tolist())
            listed.sort(key=_farness)
            del listed[width:]
    return found


def matrix_of(rows: Sequence[TemplateRow], forms: Sequence[str], dim: int) -> TemplateMatrix:
    """Return the matrix that scores some templates.

    Args:
        rows: the templates.
        forms: how the identity of each was enrolled first.
        dim: D.

    Raises:
        Damage: names the templates whose form is another identity's.
    """
    damaged = [
        row.template
        for row, form in zip(rows, forms, strict=True)
        if identity_key(form) != identity_key(row.identity)
    ]
    if damaged:
        raise damaged_templates(damaged)
    matrix = TemplateMatrix(dim)
    if rows:
        matrix.append(
            np.array([row.template for row in rows], np.int64),
            list(forms),
            units(np.stack([row.floats() for row in rows])).astype(np.float32),
            [row.metadata for row in rows],
        )
    return matrix


def closest_hits(
    matrix: TemplateMatrix, queries: NDArray[np.float64], near: Sequence[Sequence[int]], k: int
) -> list[list[Hit]]:
    """Return the K closest identities of each unit query (N, D) among the templates near it."""
    places = _places(matrix, near)
    return [
        [matrix.hit(one) for one in matrix.search(query[None], k, rows)[0]]
        for query, rows in zip(queries, places, strict=True)
    ]


def hits_above(
    matrix: TemplateMatrix,
    queries: NDArray[np.float64],
    near: Sequence[Sequence[int]],
    threshold: float,
) -> list[list[Hit]]:
    """Return the identities from a similarity on of each unit query (N, D), as `closest_hits`."""
    places = _places(matrix, near)
    return [
        [matrix.hit(one) for one in matrix.above(query[None], threshold, rows)[0]]
        for query, rows in zip(queries, places, strict=True)
    ]


def _places(matrix: TemplateMatrix, near: Sequence[Sequence[int]]) -> list[NDArray[np.int64]]:
    place = {matrix.template(row): row for row in range(len(matrix))}
    return [np.array([place[one] for one in those], np.int64) for those in near]


def _farness(near: Near) -> float:
    return -near[2]
