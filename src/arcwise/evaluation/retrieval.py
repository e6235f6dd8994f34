"""Retrieval: recall@k, R-precision and MAP@R of a search by cosine (Musgrave et al., ECCV 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS, Rate, mean_over_identities
from arcwise.evaluation.nearest import BLOCK, unit_rows
from arcwise.evaluation.rerank import KReciprocal, QueryExpansion


@dataclass(frozen=True, eq=False)
class MateGap:
    """Which mates are to be found: those whose number is so far from the query's.

    Attributes:
        values: (N,) a number for each query, such as an age; NaN where it is not known.
        gallery_values: (G,) likewise; None where the queries are searched among themselves.
        above: the gap has to be larger than this; below 0 for any from 0.
        up_to: the largest gap.
    """

    values: np.ndarray
    gallery_values: np.ndarray | None = None
    above: float = -1.0
    up_to: float = np.inf

    def check(self, queries: int, entries: int) -> None:
        """Refuse numbers that are not one for each query and each entry.

        Raises:
            ArcwiseError: they are not.
        """
        there = self.values if self.gallery_values is None else self.gallery_values
        if len(self.values) != queries or len(there) != entries:
            raise ArcwiseError(
                f"gap has numbers of {len(self.values)} queries and {len(there)} images in the "
                f"gallery, expected {queries} and {entries}: one for each"
            )

    def holds(self, rows: np.ndarray) -> np.ndarray:
        """Return (B, G) bool for the queries of these rows; False where a number is not known."""
        entries = self.values if self.gallery_values is None else self.gallery_values
        gap = np.abs(self.values[rows, None] - entries)
        return (gap > self.above) & (gap <= self.up_to)


@dataclass(frozen=True, eq=False, repr=False)
class Retrieval:
    """The result of retrieval; prints itself. Intervals are 95 %, from drawing identities.

    Every metric follows from the ranks of the right answers, R of them for a query.

    Attributes:
        ranks: (A,) int64 rank of every right answer, 1 is the nearest; ascending, query by query.
        answers: (Q,) int64 how many of them are each query's: its R.
        owner: (Q,) int64, the query's identity.
        left_out: queries that have no right answer to find, and are therefore not counted.
        gallery: number of images in the gallery.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    ranks: np.ndarray
    answers: np.ndarray
    owner: np.ndarray
    left_out: int
    gallery: int
    draws: int
    seed: int

    @property
    def queries(self) -> int:
        """How many queries were counted."""
        return len(self.answers)

    @property
    def rank(self) -> np.ndarray:
        """(Q,) rank of the first right answer."""
        return self.ranks[self._starts]

    @property
    def precision_at_1(self) -> Rate:
        """Share of queries whose nearest neighbour is right; equal to `recall_at(1)`."""
        return self.recall_at(1)

    @property
    def r_precision(self) -> Rate:
        """Share of right answers among the R nearest (Musgrave et al., ECCV 2020, section 3.2)."""
        return self._mean(self._sum(self._within_r) / self.answers)

    @property
    def map_at_r(self) -> Rate:
        """Mean average precision at R (Musgrave et al., ECCV 2020, section 3.2)."""
        return self._mean(self._sum(self._precision * self._within_r) / self.answers)

    @property
    def map(self) -> Rate:
        """Mean average precision over all right answers, however far down they are."""
        return self._mean(self._sum(self._precision) / self.answers)

    def recall_at(self, k: int) -> Rate:
        """Return how often a right answer is among the k nearest."""
        return self._mean(self.rank <= _neighbours(k))

    def precision_at(self, k: int) -> Rate:
        """Return the share of right answers among the k nearest; below 1 where R < k."""
        return self._mean(self._sum(self.ranks <= _neighbours(k)) / k)

    @property
    def _starts(self) -> np.ndarray:
        return np.cumsum(self.answers) - self.answers

    @property
    def _precision(self) -> np.ndarray:
        """(A,) share of right answers down to each right answer."""
        return (1 + np.arange(len(self.ranks)) - np.repeat(self._starts, self.answers)) / self.ranks

    @property
    def _within_r(self) -> np.ndarray:
        return self.ranks <= np.repeat(self.answers, self.answers)

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Return (Q,) sums over each query's right answers, (A,)."""
        return np.add.reduceat(values.astype(np.float64), self._starts)

    def _mean(self, values: np.ndarray) -> Rate:
        return mean_over_identities(values, self.owner, draws=self.draws, seed=self.seed)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"retrieval: {self.queries} queries in {self.gallery} images"
                f" ({self.left_out} left out: no other image of theirs)",
                f"  recall@1    {self.recall_at(1)}",
                f"  recall@5    {self.recall_at(5)}",
                f"  R-precision {self.r_precision}",
                f"  MAP@R       {self.map_at_r}",
                f"  mAP         {self.map}",
            ]
        )

    __repr__ = __str__


def retrieval(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    *,
    gallery: np.ndarray | None = None,
    gallery_ids: inputs.Identities | None = None,
    media: inputs.Identities | None = None,
    gallery_media: inputs.Identities | None = None,
    expand: QueryExpansion | None = None,
    rerank: KReciprocal | None = None,
    gap: MateGap | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Retrieval:
    """Return how well a search by cosine ranks the other images of an identity.

    Without a gallery every embedding is searched among all others. Of equal similarities the wrong
    one comes first, so that duplicates and a collapsed model gain nothing by their order.

    Args:
        embeddings: (N, D) queries; scaled to unit length.
        ids: (N,) identities.
        gallery: (G, D) embeddings to search in; by default the queries themselves.
        gallery_ids: (G,) identities.
        media: (N,) which medium (video, burst, web page) each query is from. What the gallery has
            of the same medium is a near-duplicate, neither right nor wrong: it is left out of that
            query's ranking, not of what expands or re-ranks it. An image that has no duplicates
            has a medium of its own.
        gallery_media: (G,) the gallery's media.
        expand: query expansion by a first search; the gallery stays.
        rerank: re-ranking by neighbourhoods.
        gap: which mates are to be found. The others are left out of the query's ranking: they are
            neither right nor wrong.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no query has another image of its identity; or bad input.
    """
    if (gallery is None) != (gallery_ids is None):
        raise ArcwiseError("one of gallery and gallery_ids is missing, expected both or neither")
    alone = gallery is None
    queries, unit_gallery = unit_rows(embeddings, gallery)
    owner, gallery_codes = _codes("ids", ids, len(queries), gallery_ids, len(unit_gallery))
    medium, gallery_medium = _media(media, gallery_media, len(queries), len(unit_gallery), alone)
    if gap is not None:
        gap.check(len(queries), len(unit_gallery))
    parts = np.split(np.arange(len(queries)), range(0, len(queries), _block(unit_gallery))[1:])

    def masks(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which entries are of the identity of each of these queries, and which are left out."""
        same, absent = owner[rows, None] == gallery_codes, medium[rows, None] == gallery_medium
        return same, absent if gap is None else absent | (same & ~gap.holds(rows))

    if gap is None:
        answers = _occurrences(owner, gallery_codes) - _occurrences(
            np.stack([owner, medium], axis=1), np.stack([gallery_codes, gallery_medium], axis=1)
        )
    else:
        answers = np.concatenate([(same & ~out).sum(1) for same, out in map(masks, parts)])
    counted = np.flatnonzero(answers)
    if not len(counted):
        raise ArcwiseError(
            f"none of {len(queries)} queries has an image of its own identity to find, "
            "expected some: at least one identity with two images, not of one medium"
        )

    if expand is not None:
        queries = expand.expand(embeddings, gallery)
        embeddings, gallery = queries, embeddings if gallery is None else gallery
    reranked = None if rerank is None else rerank.fit(embeddings, gallery)
    ranks = []
    for part in np.split(counted, range(0, len(counted), _block(unit_gallery))[1:]):
        score = queries[part] @ unit_gallery.T if reranked is None else -reranked.distance(part)
        ranks.append(_ranks(score, *masks(part)))
    return Retrieval(
        np.concatenate(ranks), answers[counted], owner[counted], len(queries) - len(counted),
        len(unit_gallery), draws, seed,
    )  # fmt: skip


def _block(gallery: np.ndarray) -> int:
    """Return how many queries are scored at once."""
    return max(1, BLOCK // len(gallery))


def _codes(
    name: str,
    query_ids: inputs.Identities,
    queries: int,
    gallery_ids: inputs.Identities | None,
    entries: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (Q,) and (G,) int64 numbers, the same for the same name; one side twice alone."""
    own = inputs.identities(name, query_ids, queries)
    other = (
        own if gallery_ids is None else inputs.identities(f"gallery_{name}", gallery_ids, entries)
    )
    both = inputs.codes(name, np.concatenate([own, other]), queries + entries)
    return both[:queries], both[queries:]


def _media(
    media: inputs.Identities | None,
    gallery_media: inputs.Identities | None,
    queries: int,
    entries: int,
    alone: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return (Q,) and (G,) int64 media; the query's own medium is left out of its ranking."""
    if media is not None and (gallery_media is None) == alone:
        for labels in (media, () if gallery_media is None else gallery_media):
            if lacking := int(np.sum(np.asarray(labels, dtype=str) == "")):
                raise ArcwiseError(
                    f"{lacking} of {len(labels)} images have no medium, expected one each: an "
                    "image with no duplicates has one of its own"
                )
        return _codes("media", media, queries, gallery_media, entries)
    if media is not None or gallery_media is not None:
        raise ArcwiseError(
            "gallery_media is given without a gallery, expected media alone"
            if alone
            else "one of media and gallery_media is missing, expected both or neither"
        )
    if alone:  # only the query itself is left out
        return np.arange(queries), np.arange(entries)
    return np.full(queries, -1), np.full(entries, -2)


def _occurrences(rows: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return (Q,) how often each row of the one occurs in the other; (Q, …) and (G, …) int64."""
    both = np.unique(np.concatenate([rows, table]), axis=0, return_inverse=True)[1].reshape(-1)
    return np.bincount(both[len(rows) :], minlength=int(both.max()) + 1)[both[: len(rows)]]


def _ranks(score: np.ndarray, same: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Return (A,) the places of the right answers, ascending in each row, row by row.

    Only the wrong ones at or above a row's last right one are sorted: few, for a good model.

    Args:
        score: (B, G) higher is closer.
        same: (B, G) bool, of the query's identity.
        absent: (B, G) bool, left out of the ranking; some right answer stays in each row.
    """
    wrong, right = np.where(same | absent, -np.inf, score), same & ~absent
    places = []
    for row in range(len(score)):
        good = np.sort(score[row, right[row]])[::-1]
        above = np.sort(wrong[row, wrong[row] >= good[-1]])
        places.append(len(above) - np.searchsorted(above, good) + np.arange(1, len(good) + 1))
    return np.concatenate(places)


def _neighbours(k: int) -> int:
    if k < 1:
        raise ArcwiseError(f"k is {k}, expected 1 or more: a number of neighbours")
    return k
