"""What is known of pairs: the same, not the same, or an id that stays. It holds in every method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from arcwise.errors import ArcwiseError

_NO_PAIRS = np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Constraints:
    """What clusters have to obey.

    Attributes:
        must: (M, 2) rows of one identity.
        cannot: (P, 2) rows of two identities, such as two faces in one photograph.
        fixed: (N,) int64, what rows of one value are together and those of two are apart; -1 for
            rows that go anywhere. None where there is none.
        names: (N,) what rows are called in errors; None for their numbers.
    """

    must: np.ndarray = field(default_factory=_NO_PAIRS.copy)
    cannot: np.ndarray = field(default_factory=_NO_PAIRS.copy)
    fixed: np.ndarray | None = None
    names: Sequence[str] | None = None

    def called(self, *rows: int) -> str:
        """Return what one or two rows are called."""
        if self.names is not None:
            return " and ".join(self.names[row] for row in rows)
        number = f"{' and '.join(map(str, rows))} (counted from 0)"
        return f"row{'s' if len(rows) > 1 else ''} {number}"

    def __bool__(self) -> bool:
        return bool(len(self.must) or len(self.cannot) or self.fixed is not None)


def constrained(
    labels: np.ndarray,
    constraints: Constraints,
    pairs: np.ndarray,
    strength: np.ndarray,
) -> np.ndarray:
    """Return (N,) int64 clusters that obey the constraints, and else are as they were.

    Clusters with rows of one identity are joined. A cluster with rows that must be apart is taken
    apart, and joined again along its strongest pairs, but for those that would put such rows
    together. Parts that no pair joins go to the largest one that they may be with.

    Args:
        labels: (N,) clusters.
        constraints: on the same rows.
        pairs: (E, 2) rows that may be joined again.
        strength: (E,) of the pairs.

    Raises:
        ArcwiseError: a row does not exist, or two rows are both the same and not the same.
    """
    count = len(labels)
    must, cannot, fixed = _checked(constraints, count)
    apart = _Apart(cannot.tolist(), fixed.tolist())
    known = np.flatnonzero(fixed >= 0)
    values, first = np.unique(fixed[known], return_index=True)
    anchor = known[first][np.searchsorted(values, fixed[known])]
    must = np.concatenate([must, np.stack([known, anchor], axis=1)])
    for a, b in must.tolist():
        if not apart.join(a, b):
            raise ArcwiseError(
                f"{constraints.called(a, b)} are said to be the same, and by way of others not the "
                "same; take one of the decisions back"
            )
    whole = _joined(labels, must)
    broken = np.zeros(count, dtype=bool)
    broken[whole[cannot[whole[cannot[:, 0]] == whole[cannot[:, 1]]]]] = True
    ends = np.full(count, -1), np.full(count, count)
    np.maximum.at(ends[0], whole[known], fixed[known])
    np.minimum.at(ends[1], whole[known], fixed[known])
    broken |= (ends[0] >= 0) & (ends[0] != ends[1])
    if not broken.any():
        return whole
    inside = broken[whole[pairs[:, 0]]] & (whole[pairs[:, 0]] == whole[pairs[:, 1]])
    for e in np.flatnonzero(inside)[np.argsort(-strength[inside], kind="stable")]:
        apart.join(*pairs[e].tolist())
    parts: dict[int, dict[int, list[int]]] = {}
    for row in np.flatnonzero(broken[whole]).tolist():
        parts.setdefault(whole[row], {}).setdefault(apart.root(row), []).append(row)
    result = whole.copy()
    for of_cluster in parts.values():
        ordered = [part[0] for part in sorted(of_cluster.values(), key=lambda p: (-len(p), p[0]))]
        for place, row in enumerate(ordered):
            any(apart.join(larger, row) for larger in ordered[:place])
        for row in (row for part in of_cluster.values() for row in part):
            result[row] = count + apart.root(row)
    return np.unique(result, return_inverse=True)[1].astype(np.int64)


def _checked(constraints: Constraints, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the constraints as arrays: pairs (M, 2) and (P, 2), and (N,) fixed values."""
    arrays = []
    for name in ("must", "cannot"):
        pairs = np.asarray(getattr(constraints, name), dtype=np.int64).reshape(-1, 2)
        if len(pairs) and not (pairs.min() >= 0 and pairs.max() < count):
            raise ArcwiseError(
                f"{name} names rows {pairs.min()} to {pairs.max()}, expected 0 to {count - 1}"
            )
        arrays.append(pairs)
    fixed = constraints.fixed
    fixed = np.full(count, -1) if fixed is None else np.asarray(fixed, dtype=np.int64)
    if fixed.shape != (count,):
        raise ArcwiseError(f"fixed has shape {fixed.shape}, expected one value for {count} rows")
    own = arrays[1][:, 0] == arrays[1][:, 1]
    if own.any():
        row = arrays[1][own][0, 0]
        raise ArcwiseError(
            f"{constraints.called(int(row))} is said not to be the same as itself; expected two"
        )
    return arrays[0], arrays[1], fixed


def _joined(labels: np.ndarray, must: np.ndarray) -> np.ndarray:
    """Return (N,) clusters 0 … M - 1, those joined that have rows of one identity."""
    clusters, label = np.unique(labels, return_inverse=True)
    ends = label[must]
    graph = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(len(clusters),) * 2)
    return connected_components(graph, directed=False)[1][label].astype(np.int64)


class _Apart:
    """Sets of rows that are joined unless that puts rows together that must be apart."""

    def __init__(self, cannot: list[list[int]], fixed: list[int]) -> None:
        self._parent = list(range(len(fixed)))
        self._value = fixed
        self._enemies: dict[int, set[int]] = {}
        for a, b in cannot:
            self._enemies.setdefault(a, set()).add(b)
            self._enemies.setdefault(b, set()).add(a)

    def root(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, a: int, b: int) -> bool:
        """Join the sets of two rows; return whether they are together now."""
        a, b = self.root(a), self.root(b)
        if a == b:
            return True
        if len(self._enemies.get(a, ())) < len(self._enemies.get(b, ())):
            a, b = b, a
        enemies = {self.root(row) for row in self._enemies.get(b, ())}
        values = self._value[a], self._value[b]
        if a in enemies or (min(values) >= 0 and values[0] != values[1]):
            return False
        self._parent[b] = a
        self._value[a] = max(values)
        if b in self._enemies:
            self._enemies.setdefault(a, set()).update(self._enemies.pop(b))
        return True
