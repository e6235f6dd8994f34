"""The search on a server: every template is compared there, and what can matter is ranked here.

The server scans all templates that take part, by pgvector's inner product in float32, and lists
the closest. Where a list is not enough, a longer one is asked for. The rows that matter are read,
checked, and scored again (`gallery.ranking`). There is no approximate index.

Each query costs a scan. For many of them it costs less to read the vectors once and to compare
them here; the lists are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor

from arcwise.gallery.contract import Hit
from arcwise.gallery.filters import Condition
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.postgres.conditions import restored, where_sql
from arcwise.gallery.postgres.reading import FORM
from arcwise.gallery.postgres.rows import READ, read_rows, vector_text
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

_MANY = 32  # queries from which reading all vectors costs less than scans
_FETCH: LiteralString = "FETCH 8192 FROM vectors"
_EVERY = 2**62  # rows: more than there are


def closest(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    k: int,
    where: Condition | None,
) -> list[list[Hit]]:
    """Return the K closest identities of each unit query (N, D).

    Raises:
        Damage: a row that can matter is not what was written.
    """
    slack, width = rounding(queries.shape[1]), 2 * k + 64
    near = []
    for query, first in zip(queries, _lists(cursor, queries, where, width), strict=True):
        listed, longer = first, width
        while (those := mattering(listed, k, slack, complete=len(listed) < longer)) is None:
            longer *= 16
            (listed,) = _scanned(cursor, query[None], where, longer)
        near.append(those)
    return closest_hits(_read(cursor, near, queries.shape[1]), queries, near, k)


def above(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    threshold: float,
    where: Condition | None,
) -> list[list[Hit]]:
    """Return all identities of each unit query (N, D) that are as similar as a threshold.

    Raises:
        Damage: a row that can matter is not what was written.
    """
    slack = rounding(queries.shape[1])
    lists = _lists(cursor, queries, where, _EVERY, threshold - slack)
    near = [mattering(one, len(one), slack, complete=True) or [] for one in lists]
    return hits_above(_read(cursor, near, queries.shape[1]), queries, near, threshold)


def similarities(
    cursor: Cursor[tuple[Any, ...]], key: str, query: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the cosines of one unit query (D,) with every template of an identity, if it has any.

    Raises:
        Damage: a row is not what was written.
    """
    cursor.execute(f"SELECT {READ}, t.identity FROM templates t WHERE key = %s AND active", [key])
    matrix = _matrix(cursor.fetchall(), len(query))
    return matrix.similarities(matrix.identity(0), query) if len(matrix) else np.empty(0)


def _lists(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    where: Condition | None,
    width: int,
    least: float = -np.inf,
) -> list[list[Near]]:
    """Return the closest templates to each query, by scans or by reading every vector once."""
    if len(queries) >= _MANY:
        return lists_of(_vectors(cursor, where), queries, width, least)
    return list(_scanned(cursor, queries, where, width, least))


def _scanned(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    where: Condition | None,
    width: int,
    least: float = -np.inf,
) -> Iterator[list[Near]]:
    """Yield the closest templates to each query, at most so many, from a similarity on."""
    meets, parameters = where_sql(where)
    # Asked for in vain, it would be computed twice for every template.
    reaches: LiteralString = "similarity >= %s" if least > -np.inf else "%s::float8 < 0"
    cursor.executemany(
        "SELECT * FROM (SELECT id, key, -(vector <#> %s::vector) / length AS similarity "
        f"FROM templates WHERE active AND ({meets})) AS scored "
        f"WHERE {reaches} ORDER BY similarity DESC LIMIT %s",
        [[vector_text(query), *parameters, least, width] for query in queries],
        returning=True,  # sent at once, answered one after the other
    )
    for _ in queries:
        yield cursor.fetchall()
        cursor.nextset()


def _vectors(cursor: Cursor[tuple[Any, ...]], where: Condition | None) -> Iterator[Vectors]:
    """Yield ids, keys and unit vectors of the templates that take part, in chunks."""
    meets, parameters = where_sql(where)
    cursor.execute(
        "DECLARE vectors NO SCROLL CURSOR FOR SELECT id, key, length, vector FROM templates "
        f"WHERE active AND ({meets})",
        parameters,
    )
    while rows := cursor.execute(_FETCH).fetchall():
        ids, keys, lengths, contents = zip(*rows, strict=True)
        vectors = np.frombuffer(b"".join(one[4:] for one in contents), ">f4").astype(np.float32)
        vectors = vectors.reshape(len(rows), -1) / np.array(lengths, np.float32)[:, None]
        yield list(ids), list(keys), vectors
    cursor.execute("CLOSE vectors")


def _read(cursor: Cursor[tuple[Any, ...]], near: list[list[int]], dim: int) -> TemplateMatrix:
    """Return the matrix of the templates near some query."""
    ids = sorted(set().union(*near))
    if not ids:
        return TemplateMatrix(dim)
    cursor.execute(f"SELECT {READ}, {FORM} FROM templates t WHERE id = ANY(%s) ORDER BY id", [ids])
    return _matrix(cursor.fetchall(), dim)


def _matrix(values: list[tuple[Any, ...]], dim: int) -> TemplateMatrix:
    """Return the matrix that scores rows of the columns `READ` and a form.

    Raises:
        Damage: names the rows that are not what was written.
    """
    rows = read_rows([one[:-1] for one in values])
    return matrix_of(rows, [restored(form) for *_, form in values], dim)
