"""Thresholds for searches: how rarely an unknown picture is answered, in a gallery of one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import CONFIDENCE, DRAWS, multiplicities
from arcwise.evaluation.mates import Roster
from arcwise.evaluation.plain import from_plain
from arcwise.evaluation.thresholds import resolved, weighted_threshold

FPIRS = (1e-1, 1e-2)

_BLOCK = 2**22  # similarities in one block
_KEEP = 2**25  # similarities kept; with more, a part of the pictures is searched with
_NEVER = 1e-9  # the chance, for a picture, that its closest enrolled identity was not kept
_REACH = 4.0  # how far below the largest rate a draw of identities may have to look


@dataclass(frozen=True)
class SearchThreshold:
    """A similarity from which on a search answers, and how that was measured.

    Answered means at or above `threshold`.

    Attributes:
        fpir: false-positive identification rate, the fraction of unknown pictures that get any
            answer, at most.
        gallery: identities in the gallery that it holds for; in a smaller one fewer are answered.
        threshold: cosine, the lowest that keeps the rate.
        low: lower end of the threshold's 95 % interval, from drawing identities.
        high: upper end of it.
        resolved: whether the pictures suffice for this rate: at least ten answered by chance.
        probes: unknown pictures it was measured on.
        identities: identities these came from.
        dir: how often a picture of an enrolled identity is answered with it; None when no identity
            has two pictures.
    """

    fpir: float
    gallery: int
    threshold: float
    low: float
    high: float
    resolved: bool
    probes: int
    identities: int
    dir: float | None

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> SearchThreshold:
        """Return the threshold that `as_dict` described.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is of another kind.
        """
        return from_plain(cls, values, "a search threshold")

    def __str__(self) -> str:
        mark = "" if self.resolved else ", NOT RESOLVED: too few pictures for this rate"
        found = "" if self.dir is None else f", finds {self.dir:.2%} of enrolled ones"
        return (
            f"FPIR {self.fpir:g} in a gallery of {self.gallery} identities: similarity >= "
            f"{self.threshold:.4f} [{self.low:.4f}, {self.high:.4f}]{found}{mark}"
        )


def calibrate_search(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    fpirs: Sequence[float] = FPIRS,
    gallery_size: int | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[SearchThreshold, ...]:
    """Return one threshold for each false-positive identification rate, for one gallery size.

    Every picture in turn is the unknown one, searched in a gallery of G of the other identities;
    an identity is enrolled with all its pictures and its best one counts. The rate is the mean
    over the pictures and over all galleries of that size: not over some drawn ones, because the
    chance that the k-th closest identity is the closest enrolled one is known,
    C(I-1-k, G-1) / C(I-1, G).

    The interval comes from drawing identities with replacement. An identity drawn twice fills two
    places of a gallery, which has then fewer different ones and a lower threshold: so it is the
    draws' spread about their own median that is put around the threshold.

    Args:
        embeddings: (N, D) embeddings; scaled to unit length here.
        ids: (N,) identities, none of them used in training.
        fpirs: false-positive identification rates, above 0 and below 1.
        gallery_size: identities enrolled, G; half of those given where it is not.
        seed: of the draws, and of the pictures searched with where not all are.
        draws: of identities.

    Raises:
        ArcwiseError: fewer than two identities, a gallery that leaves nobody unknown, or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    people = int(codes.max()) + 1
    if people < 2:
        raise ArcwiseError(
            f"{len(unit)} picture(s) of {people} identity, expected at least two identities: "
            "an unknown picture is searched among other identities"
        )
    gallery = people // 2 if gallery_size is None else gallery_size
    if not 1 <= gallery < people:
        raise ArcwiseError(
            f"a gallery of {gallery} identities out of {people}, expected 1 to {people - 1}: "
            "whoever is searched for must not be in it. Bring more identities for a larger one"
        )
    rates = tuple(inputs.fraction("fpir", fpir) for fpir in fpirs)
    if not rates or max(rates) >= 1:
        raise ArcwiseError(f"fpirs is {tuple(fpirs)}, expected one or more rates between 0 and 1")

    depth = _depth(people - 1, gallery)
    asked = np.arange(len(unit))
    if len(asked) * depth > _KEEP:
        generator = np.random.default_rng(seed)
        asked = np.sort(generator.choice(asked, max(1, _KEEP // depth), replace=False))
    near = _Neighbours.of(unit, codes, asked, depth)
    closest = near.closest(gallery, max(rates))
    spread = _spread(closest, rates, draws, seed)
    found = []
    for rate, (below, above) in zip(rates, spread, strict=True):
        threshold = closest.threshold(rate)
        found.append(
            SearchThreshold(
                fpir=rate,
                gallery=gallery,
                threshold=threshold,
                low=max(-1.0, threshold - below),
                high=max(threshold, min(1.0, threshold + above)),
                resolved=resolved(rate, len(asked)),
                probes=len(asked),
                identities=people,
                dir=near.found(gallery, threshold),
            )
        )
    return tuple(found)


@dataclass(frozen=True)
class _Neighbours:
    """The closest other identities of each searching picture, K of them.

    Attributes:
        owner: (P,) int64, the picture's identity, of I.
        similarity: (P, K) float32, falling.
        other: (P, K) int64, whose it is.
        own: (P,) similarity to the other pictures of its own identity; minus infinity without any.
        rivals: (P,) how many other identities are as close as that.
        people: I.
    """

    owner: np.ndarray
    similarity: np.ndarray
    other: np.ndarray
    own: np.ndarray
    rivals: np.ndarray
    people: int

    @classmethod
    def of(cls, unit: np.ndarray, codes: np.ndarray, asked: np.ndarray, depth: int) -> _Neighbours:
        """Return the neighbours of the rows `asked`, a block at a time."""
        roster = Roster.of(codes)
        entries = unit[roster.order]
        place = np.argsort(roster.order)  # of each picture among the entries
        parts = []
        rows = max(1, _BLOCK // len(unit))
        for start in range(0, len(asked), rows):
            block = asked[start : start + rows]
            line = np.arange(len(block))
            scores = unit[block] @ entries.T
            scores[line, place[block]] = -np.inf  # not itself
            best = roster.best(scores)
            own = best[line, codes[block]]
            best[line, codes[block]] = -np.inf
            rivals = np.count_nonzero(best >= own[:, None], axis=1)
            other = np.argpartition(-best, depth - 1, axis=1)[:, :depth]
            similarity = np.take_along_axis(best, other, axis=1)
            order = np.argsort(-similarity, axis=1, kind="stable")
            near = (np.take_along_axis(part, order, axis=1) for part in (similarity, other))
            parts.append((codes[block], *near, own, rivals))
        owner, similarity, other, own, rivals = map(np.concatenate, zip(*parts, strict=True))
        return cls(owner, similarity, other, own, rivals, len(roster.names))

    def closest(self, gallery: int, rate: float) -> _Closest:
        """Return the upper end of the similarities, as far as the rate may ever look."""
        row, column = np.nonzero(np.isfinite(self.similarity))
        score = self.similarity[row, column]
        falling = np.argsort(-score, kind="stable")
        absent = _absent(self.people - 1, gallery)
        weight = absent[column] - absent[column + 1]
        passed = np.cumsum(weight[falling])
        last = int(np.searchsorted(passed, _REACH * rate * len(self.owner), side="right")) + 1
        # A row falls, so that what is kept of it is its beginning, and ranks stay what they are.
        kept = score >= score[falling[min(last, len(falling)) - 1]]
        row, column, score = row[kept], column[kept], score[kept]
        return _Closest(
            score, row, self.owner, self.other[row, column], np.argsort(-score, kind="stable"),
            self.people, absent,
        )  # fmt: skip

    def found(self, gallery: int, threshold: float) -> float | None:
        """Return how often a picture is answered with its own identity, enrolled among G."""
        known = np.isfinite(self.own)
        if not known.any():
            return None
        alone = _absent(self.people - 1, gallery - 1)[self.rivals[known]]
        return float(np.mean(alone * (self.own[known] >= threshold)))


@dataclass(frozen=True)
class _Closest:
    """The most similar wrong identities, picture by picture, S of them.

    Attributes:
        score: (S,) similarities, falling within a picture.
        row: (S,) the picture, rising.
        owner: (P,) the pictures' identities.
        other: (S,) whose each similarity is.
        falling: (S,) the order of the scores from the highest.
        people: identities in all.
        absent: (I,) the chance that none of the k closest is enrolled, k from 0.
    """

    score: np.ndarray
    row: np.ndarray
    owner: np.ndarray
    other: np.ndarray
    falling: np.ndarray
    people: int
    absent: np.ndarray

    def threshold(self, rate: float, times: np.ndarray | None = None) -> float:
        """Return the lowest threshold that keeps the rate.

        Args:
            rate: the false-positive identification rate.
            times: (I,) how often each identity was drawn; once where it is not given.
        """
        drawn = np.ones(self.people, np.int64) if times is None else times
        copies = drawn[self.other]
        upto = np.cumsum(copies)
        begin = np.searchsorted(self.row, np.arange(len(self.owner)))
        upto -= np.concatenate([[0], upto])[begin][self.row]
        last = len(self.absent) - 1
        closer = self.absent[np.minimum(upto - copies, last)]
        weight = (closer - self.absent[np.minimum(upto, last)]) * drawn[self.owner][self.row]
        total = float(drawn[self.owner].sum())
        return weighted_threshold(self.score[self.falling], weight[self.falling], rate, total)


def _spread(
    closest: _Closest, rates: Sequence[float], draws: int, seed: int
) -> list[tuple[float, float]]:
    """Return how far below and above its median each threshold goes when identities are drawn."""
    drawn = [
        [closest.threshold(rate, times) for rate in rates]
        for times in multiplicities(closest.people, draws, seed)
        if np.count_nonzero(times) > 1 and times[closest.owner].any()
    ]
    if closest.people == 2 or not drawn:
        return [(2.0, 2.0)] * len(rates)  # nobody to draw: a cosine may be any
    tail = (1 - CONFIDENCE) / 2
    low, middle, high = np.quantile(np.array(drawn), [tail, 0.5, 1 - tail], axis=0)
    return list(zip((middle - low).tolist(), (high - middle).tolist(), strict=True))


def _absent(pool: int, gallery: int) -> np.ndarray:
    """Return (pool + 1,) the chance that none of the k closest is among G enrolled of `pool`."""
    hazard = np.minimum(1.0, gallery / np.arange(pool, 0, -1))
    return np.concatenate([[1.0], np.cumprod(1 - hazard)])


def _depth(pool: int, gallery: int) -> int:
    """Return how many of the closest identities matter: beyond them one enrolled is closer."""
    return min(pool, int(np.count_nonzero(_absent(pool, gallery) > _NEVER)))
