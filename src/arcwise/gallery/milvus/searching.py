"""The search on Milvus: every template is compared there, and what can matter is ranked here.

The index FLAT compares all vectors that take part, by their inner product in float32, and lists the
closest. Where a list is not enough (`gallery.ranking`), a longer one is asked for; beyond the
longest that Milvus gives, the vectors are read and compared here. A vector is kept as it was
enrolled, of length 1 to 1e-3: how far that has gone in this gallery is added to what is rounding.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.contract import Hit
from arcwise.gallery.damage import Damage
from arcwise.gallery.filters import Condition
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.milvus.conditions import expression
from arcwise.gallery.milvus.connection import MOST, View
from arcwise.gallery.milvus.reading import forms_of, owned
from arcwise.gallery.milvus.rows import FIELDS, MilvusRow, read_rows
from arcwise.gallery.ranking import (
    Near,
    Vectors,
    closest_hits,
    hits_above,
    lists_of,
    matrix_of,
    mattering,
    rounding,
)
from arcwise.identity import identity_key

_LONGER = 16  # times as long a list, where one is not enough
_PAGE = 4096  # templates read at once


def closest(
    view: View, queries: NDArray[np.float64], k: int, where: Condition | None
) -> list[list[Hit]]:
    """Return the K closest identities of each unit query (N, D).

    Raises:
        Damage: a row that can matter is not what was written.
    """
    if not len(queries) or not k:
        return [[] for _ in queries]
    meets, slack, width = _meets(where), _slack(view), 2 * k + 64
    near = []
    for query, first in zip(queries, _lists(view, queries, meets, width), strict=True):
        listed, longer = first, width
        while (those := mattering(listed, k, slack, complete=len(listed) < longer)) is None:
            longer *= _LONGER
            (listed,) = _lists(view, query[None], meets, longer)
        near.append(those)
    return closest_hits(_read(view, near, queries.shape[1]), queries, near, k)


def above(
    view: View, queries: NDArray[np.float64], threshold: float, where: Condition | None
) -> list[list[Hit]]:
    """Return all identities of each unit query (N, D) that are as similar as a threshold.

    Raises:
        Damage: a row that can matter is not what was written.
    """
    if not len(queries):
        return []
    meets, slack, width = _meets(where), _slack(view), 256
    near = []
    for query, first in zip(queries, _lists(view, queries, meets, width), strict=True):
        listed, longer = first, width
        while len(listed) == longer and listed[-1][2] >= threshold - slack:
            longer *= _LONGER
            (listed,) = _lists(view, query[None], meets, longer)
        listed = [one for one in listed if one[2] >= threshold - slack]
        near.append(mattering(listed, len(listed), slack, complete=True) or [])
    return hits_above(_read(view, near, queries.shape[1]), queries, near, threshold)


def similarities(view: View, identity: object, query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosines of one unit query (D,) with every template of an identity, if it has any.

    Raises:
        Damage: a row is not what was written.
    """
    rows = read_rows(owned(view, identity, FIELDS, "active == true"))
    matrix = _matrix(view, rows, len(query))
    return matrix.similarities(matrix.identity(0), query) if len(matrix) else np.empty(0)


def _meets(where: Condition | None) -> str:
    return f"active == true and ({expression(where)})"


def _slack(view: View) -> float:
    return rounding(view.state.dim) * (1 + view.state.deviation) + 2.02 * view.state.deviation


def _lists(view: View, queries: NDArray[np.float64], meets: str, width: int) -> list[list[Near]]:
    """Return the closest templates to each query, at most so many."""
    if width > MOST:
        return lists_of(_vectors(view, meets), queries, width)
    fields = ["template", "identity"]
    return [
        [
            (hit["entity"]["template"], identity_key(hit["entity"]["identity"]), hit["distance"])
            for hit in hits
        ]
        for hits in view.closest(queries.astype(np.float32), meets, width, fields)
    ]


def _vectors(view: View, meets: str) -> Iterator[Vectors]:
    for page in view.pages(meets, ["template", "identity", "vector"], _PAGE):
        yield (
            [row["template"] for row in page],
            [identity_key(row["identity"]) for row in page],
            np.array([row["vector"] for row in page], np.float32),
        )


def _read(view: View, near: list[list[int]], dim: int) -> TemplateMatrix:
    """Return the matrix of the templates near some query."""
    ids = sorted(set().union(*near))
    rows = read_rows(view.rows_of("template", ids, FIELDS))
    missing = set(ids) - {row.template.template for row in rows}
    if missing:
        raise Damage(f"{len(missing)} templates cannot be read", sorted(missing))
    return _matrix(view, rows, dim)


def _matrix(view: View, rows: list[MilvusRow], dim: int) -> TemplateMatrix:
    templates = [row.template for row in rows]
    shown = forms_of(view, {one.identity for one in templates})
    return matrix_of(
        templates, [shown.get(identity_key(one.identity), "") for one in templates], dim
    )
