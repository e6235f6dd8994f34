"""What does not look right among enrolled templates: duplicates, hubs, one identity twice, misfits.

Shapes: G templates, D dimensions, C identities. Nothing here decides: each list is for a person.

- *Duplicates*: cosine of 1, but for rounding, or one image.
- *Hubs*: templates among the nearest of remarkably many identities (Radovanović, Nanopoulos and
  Ivanović, JMLR 2010). The nearest are the closest `NEIGHBOURHOOD` of the templates of others. The
  number of identities is compared with a negative binomial distribution of the same mean and
  variance; the limit is what one template in `1 / HUB_RATE` exceeds there.
- *One identity*: two identities of which each one's templates find the other's. A template is
  counted by the closest one of the other identity, an identity by the mean of these; the lower one
  of the two means must reach the threshold of a search.
- *Misfits*: templates whose mean cosine to the others of their identity is below the threshold of
  pairs, and that are closer to somebody else. They are another's where that one is found from the
  threshold of a search on.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy
from numpy.typing import NDArray

NEIGHBOURHOOD = 0.02
"""Share of the templates of others that are an identity's nearest."""

HUB_RATE = 1e-3
"""Share of templates that are taken for hubs where there are none."""

DUPLICATE = 1 - 1e-6
"""Cosine from which on two vectors are one, but for rounding."""

_BLOCK = 2**22  # similarities held at once
_KEPT = 8  # closest templates of others that are kept of each
_FEWEST = 50  # templates from which on hubs are looked for


@dataclass(frozen=True)
class Limits:
    """Thresholds by which identities and misfits are found.

    Attributes:
        pair: cosine that few pairs of different identities reach; about one in a hundred.
        search: cosine from which on a search in this gallery answers.
    """

    pair: float
    search: float


@dataclass(frozen=True)
class Hub:
    """A template that is near to many identities.

    Attributes:
        row: its row.
        identities: how many have it among their nearest.
    """

    row: int
    identities: int


@dataclass(frozen=True)
class OneIdentity:
    """Two identities that are probably one.

    Attributes:
        codes: of the one with more templates, and of the other.
        similarity: the lower one of the mean cosines of each to the other.
    """

    codes: tuple[int, int]
    similarity: float


@dataclass(frozen=True)
class Misfit:
    """A template that does not fit its identity.

    Attributes:
        row: its row.
        own: mean cosine to the other templates of its identity.
        nearest: row of the closest template of somebody else.
        other: cosine to that.
        anothers: whether a search would answer with that identity.
    """

    row: int
    own: float
    nearest: int
    other: float
    anothers: bool


@dataclass(frozen=True)
class Findings:
    """What does not look right, the surest first.

    Attributes:
        duplicates: rows that are one image or one vector, ascending.
        hubs: by falling number of identities.
        hub_limit: the number of identities that a hub exceeds; 0 where too few are enrolled.
        one_identity: by falling similarity; None without limits.
        misfits: another's first, by how much closer that one is; None without limits.
    """

    duplicates: tuple[tuple[int, ...], ...]
    hubs: tuple[Hub, ...]
    hub_limit: int
    one_identity: tuple[OneIdentity, ...] | None
    misfits: tuple[Misfit, ...] | None


def audit(
    vectors: NDArray[np.float32],
    owner: NDArray[np.int64],
    *,
    limits: Limits | None = None,
    images: Sequence[Sequence[Hashable]] = (),
    progress: Callable[[int, int], object] | None = None,
) -> Findings:
    """Return what does not look right among templates.

    All pairs are compared: time grows with the square of G. What is found in one list is kept out
    of the next: of duplicates only the first counts, hubs are nobody's, and two identities that are
    probably one explain each other's misfits.

    Args:
        vectors: (G, D) unit rows.
        owner: (G,) codes of their identities, from 0 to C - 1.
        limits: without any, only duplicates and hubs are looked for.
        images: of each template what names its image, such as digests; rows that share one are of
            one image.
        progress: called with (templates compared, G).
    """
    order = np.argsort(owner, kind="stable")
    unit, codes = vectors[order], owner[order]
    line = np.inf if limits is None else limits.search
    compared = _compared(unit, codes, line, progress)
    named = [images[row] for row in order] if images else []
    groups = _duplicates(unit, codes, compared.equal, named)
    hub_rows, hub_limit = _hubs(compared.reached)
    dropped = np.zeros(len(unit), bool)
    for group in groups:
        dropped[sorted(group, key=lambda row: order[row])[1:]] = True
    dropped[hub_rows] = True
    one_identity = misfits = None
    if limits is not None:
        one_identity = _one_identity(unit, codes, compared.pairs, dropped, limits.search)
        explained = {two for one in one_identity for two in (one.codes, one.codes[::-1])}
        misfits = tuple(
            replace(one, row=int(order[one.row]), nearest=int(order[one.nearest]))
            for one in _misfits(unit, codes, compared, dropped, explained, limits)
        )
    return Findings(
        duplicates=tuple(sorted(tuple(sorted(order[group].tolist())) for group in groups)),
        hubs=tuple(Hub(int(order[row]), int(compared.reached[row])) for row in hub_rows),
        hub_limit=hub_limit,
        one_identity=one_identity,
        misfits=misfits,
    )


@dataclass(frozen=True, eq=False)
class _Compared:
    """All templates compared with those of others.

    Attributes:
        closest: (G, K) rows of the closest of others, closest first; -1 where there are fewer.
        similarity: (G, K) cosines to them.
        reached: (G,) of how many identities each is among the nearest.
        equal: pairs of rows of different identities that may be equal.
        pairs: pairs of codes, of identities of which some templates reach the threshold.
    """

    closest: NDArray[np.int64]
    similarity: NDArray[np.float32]
    reached: NDArray[np.int64]
    equal: list[tuple[int, int]]
    pairs: set[tuple[int, int]]


def _compared(
    unit: NDArray[np.float32],
    codes: NDArray[np.int64],
    line: float,
    progress: Callable[[int, int], object] | None,
) -> _Compared:
    """Compare all templates, which are in the order of their codes."""
    count = len(unit)
    first, last = np.searchsorted(codes, codes), np.searchsorted(codes, codes, side="right")
    kept = min(_KEPT, count)
    near = min(count, max(10, round(NEIGHBOURHOOD * count)))
    closest = np.full((count, kept), -1)
    similarity = np.full((count, kept), -np.inf, np.float32)
    reached = np.zeros(count, np.int64)
    equal: list[tuple[int, int]] = []
    pairs: set[tuple[int, int]] = set()
    carried, of = np.zeros(count, bool), -1  # the nearest of an identity that goes on
    step = max(1, _BLOCK // max(1, count))
    for start in range(0, count, step):
        stop = min(count, start + step)
        products = unit[start:stop] @ unit.T
        for row in range(start, stop):
            products[row - start, first[row] : last[row]] = -np.inf
        top = np.argpartition(products, count - kept, axis=1)[:, count - kept :]
        values = np.take_along_axis(products, top, axis=1)
        best = np.argsort(-values, axis=1, kind="stable")
        similarity[start:stop] = np.take_along_axis(values, best, axis=1)
        closest[start:stop] = np.take_along_axis(top, best, axis=1)
        cut = np.partition(products, count - near, axis=1)[:, count - near]
        nearest = (products >= cut[:, None]) & (products > -np.inf)
        starts = np.flatnonzero(np.diff(codes[start:stop], prepend=-1))
        for place, by_identity in zip(starts, np.logical_or.reduceat(nearest, starts), strict=True):
            code = int(codes[start + place])
            if code != of:
                reached += carried
                carried, of = by_identity, code
            else:
                carried = carried | by_identity
        rows, others = np.nonzero(products >= line)
        pairs |= set(zip(codes[start + rows].tolist(), codes[others].tolist(), strict=True))
        rows, others = np.nonzero(products >= DUPLICATE - 1e-5)  # rounding is looked at later
        equal += zip((start + rows).tolist(), others.tolist(), strict=True)
        if progress is not None:
            progress(stop, count)
    reached += carried
    closest[similarity == -np.inf] = -1
    return _Compared(closest, similarity, reached, equal, {(a, b) for a, b in pairs if a < b})


def _duplicates(
    unit: NDArray[np.float32],
    codes: NDArray[np.int64],
    equal: Sequence[tuple[int, int]],
    images: Sequence[Sequence[Hashable]],
) -> list[list[int]]:
    """Return groups of rows of one vector or one image."""
    parent = list(range(len(unit)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def cosines(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return (a * b).sum(axis=-1) / np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))

    for a, b in equal:
        if a < b and cosines(unit[a].astype(np.float64), unit[b].astype(np.float64)) >= DUPLICATE:
            parent[root(b)] = root(a)
    for rows in _by_identity(codes):
        own = unit[rows].astype(np.float64)
        for place in range(len(rows) - 1):
            for other in np.flatnonzero(cosines(own[place], own[place + 1 :]) >= DUPLICATE):
                parent[root(int(rows[place + 1 + other]))] = root(int(rows[place]))
    seen: dict[Hashable, int] = {}
    for row, names in enumerate(images):
        for name in names:
            parent[root(row)] = root(seen.setdefault(name, row))
    groups: dict[int, list[int]] = {}
    for row in range(len(unit)):
        groups.setdefault(root(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def _hubs(reached: NDArray[np.int64]) -> tuple[list[int], int]:
    """Return the rows of hubs, that of most identities first, and the limit they exceed."""
    if len(reached) < _FEWEST:
        return [], 0
    mean, variance = float(reached.mean()), float(reached.var())
    if variance > mean:
        size = mean * mean / (variance - mean)
        limit = scipy.stats.nbinom.isf(HUB_RATE, size, size / (size + mean))
    else:
        limit = scipy.stats.poisson.isf(HUB_RATE, mean)
    rows = np.flatnonzero(reached > limit)
    return rows[np.argsort(-reached[rows], kind="stable")].tolist(), int(limit)


def _one_identity(
    unit: NDArray[np.float32],
    codes: NDArray[np.int64],
    pairs: set[tuple[int, int]],
    dropped: NDArray[np.bool_],
    line: float,
) -> tuple[OneIdentity, ...]:
    starts = np.searchsorted(codes, np.arange(codes.max(initial=-1) + 2))
    found = []
    for pair in sorted(pairs):
        a, b = (
            unit[starts[code] : starts[code + 1]][~dropped[starts[code] : starts[code + 1]]]
            for code in pair
        )
        if not len(a) or not len(b):
            continue
        products = a @ b.T
        both = min(float(products.max(axis=axis).mean()) for axis in (0, 1))
        if both >= line:
            larger = pair if len(a) >= len(b) else pair[::-1]
            found.append(OneIdentity(larger, both))
    return tuple(sorted(found, key=lambda one: (-one.similarity, one.codes)))


def _misfits(
    unit: NDArray[np.float32],
    codes: NDArray[np.int64],
    compared: _Compared,
    dropped: NDArray[np.bool_],
    explained: set[tuple[int, int]],
    limits: Limits,
) -> list[Misfit]:
    found = []
    for every in _by_identity(codes):
        rows = every[~dropped[every]]
        if len(rows) < 2:
            continue
        products = unit[rows] @ unit[rows].T
        own = (products.sum(axis=1) - np.diagonal(products)) / (len(rows) - 1)
        for row, mean in zip(rows.tolist(), own.tolist(), strict=True):
            if mean >= limits.pair:
                continue
            for nearest, other in zip(
                compared.closest[row].tolist(), compared.similarity[row].tolist(), strict=True
            ):
                if nearest >= 0 and not dropped[nearest]:
                    pair = (int(codes[row]), int(codes[nearest]))
                    if other > mean and pair not in explained:
                        found.append(Misfit(row, mean, nearest, other, other >= limits.search))
                    break
    return sorted(found, key=lambda one: (not one.anothers, one.own - one.other, one.row))


def _by_identity(codes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of each identity with several, of codes in order."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
    for start, stop in pairwise(starts):
        if stop - start > 1:
            yield np.arange(start, stop)
