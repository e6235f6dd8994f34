"""The search on a server: every template is compared there, and what can matter is ranked here.

The server scans all templates that take part, by pgvector's inner product in float32, and lists
the closest. A list is enough when it names K identities that beat, beyond rounding, whatever was
left out; otherwise a longer one is asked for. The rows that may be their identity's best and one
of the answer are read, checked, and scored again in float64 as those of a gallery in a file
(`TemplateMatrix`): similarities, and ties, are the same to the last bit. There is no approximate
index.

Each query costs a scan. For many of them it costs less to read the vectors once and to compare
them here; the lists are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, LiteralString

import numpy as np
from numpy.typing import NDArray
from psycopg import Cursor

from arcwise.gallery.contract import Hit
from arcwise.gallery.exact import ScoredRow
from arcwise.gallery.filters import Condition
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.postgres.conditions import restored, where_sql
from arcwise.gallery.postgres.reading import FORM
from arcwise.gallery.postgres.rows import (
    READ,
    damaged_templates,
    key_of,
    read_rows,
    vector_text,
)
from arcwise.gallery.vectors import units

_MANY = 32  # queries from which reading all vectors costs less than scans
_FETCH: LiteralString = "FETCH 8192 FROM vectors"
_EVERY = 2**62  # rows: more than there are

Near = tuple[int, str, float]
"""A template's id, the key of its identity, and its similarity in float32."""


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
    slack, width = _slack(queries), 2 * k + 64
    short = list((_read if len(queries) >= _MANY else _scanned)(cursor, queries, where, width))
    mattering = []
    for query, first in zip(queries, short, strict=True):
        listed, longer = first, width
        while (near := _matter(listed, k, slack, complete=len(listed) < longer)) is None:
            longer *= 16
            (listed,) = _scanned(cursor, query[None], where, longer)
        mattering.append(near)

    def rank(
        matrix: TemplateMatrix, query: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> list[ScoredRow]:
        return matrix.search(query[None], k, rows)[0]

    return _ranked(cursor, queries, mattering, rank)


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
    slack = _slack(queries)
    lists = (_read if len(queries) >= _MANY else _scanned)(
        cursor, queries, where, _EVERY, threshold - slack
    )
    mattering = [_matter(one, len(one), slack, complete=True) or [] for one in lists]

    def rank(
        matrix: TemplateMatrix, query: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> list[ScoredRow]:
        return matrix.above(query[None], threshold, rows)[0]

    return _ranked(cursor, queries, mattering, rank)


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


def _slack(queries: NDArray[np.float64]) -> float:
    # Twice the error of a float32 dot product of unit vectors, in any order of summation.
    return 1.01 * (queries.shape[1] + 8) * 2.0**-23


def _matter(near: Sequence[Near], k: int, slack: float, *, complete: bool) -> list[int] | None:
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


def _read(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    where: Condition | None,
    width: int,
    least: float = -np.inf,
) -> Iterator[list[Near]]:
    """Yield what `_scanned` yields, by reading every vector once."""
    narrow = queries.astype(np.float32)
    found: list[list[Near]] = [[] for _ in queries]
    for ids, keys, vectors in _vectors(cursor, where):
        similar = narrow @ vectors.T
        for listed, row in zip(found, similar, strict=True):
            full = len(listed) == width
            places = np.flatnonzero(row >= (listed[-1][2] if full else least))
            if len(places) > width:
                places = places[np.argpartition(row[places], -width)[-width:]]
            listed.extend((ids[one], keys[one], float(row[one])) for one in places.tolist())
            listed.sort(key=_closeness)
            del listed[width:]
    yield from found


def _vectors(
    cursor: Cursor[tuple[Any, ...]], where: Condition | None
) -> Iterator[tuple[list[int], list[str], NDArray[np.float32]]]:
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


def _closeness(near: Near) -> float:
    return -near[2]


def _ranked(
    cursor: Cursor[tuple[Any, ...]],
    queries: NDArray[np.float64],
    mattering: list[list[int]],
    rank: Callable[[TemplateMatrix, NDArray[np.float64], NDArray[np.int64]], list[ScoredRow]],
) -> list[list[Hit]]:
    """Return the hits of each query among the templates that matter to it."""
    ids = sorted(set().union(*mattering))
    if not ids:
        return [[] for _ in queries]
    cursor.execute(f"SELECT {READ}, {FORM} FROM templates t WHERE id = ANY(%s) ORDER BY id", [ids])
    matrix = _matrix(cursor.fetchall(), queries.shape[1])
    place = {matrix.template(row): row for row in range(len(matrix))}
    return [
        [
            matrix.hit(one)
            for one in rank(matrix, query, np.array([place[one] for one in near], np.int64))
        ]
        for query, near in zip(queries, mattering, strict=True)
    ]


def _matrix(values: list[tuple[Any, ...]], dim: int) -> TemplateMatrix:
    """Return the matrix that scores rows of the columns `READ` and a form.

    Raises:
        Damage: names the rows that are not what was written.
    """
    rows = read_rows([one[:-1] for one in values])
    forms = [restored(form) for *_, form in values]
    damaged = [
        row.template
        for row, form in zip(rows, forms, strict=True)
        if key_of(form) != key_of(row.identity)
    ]
    if damaged:
        raise damaged_templates(damaged)
    matrix = TemplateMatrix(dim)
    if rows:
        vectors = np.stack([row.floats() for row in rows])
        matrix.append(
            np.array([row.template for row in rows], np.int64),
            forms,
            units(vectors).astype(np.float32),
            [row.metadata for row in rows],
        )
    return matrix
