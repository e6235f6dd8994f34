"""Search by example: is the nearest one of the same identity, and are all the others near too?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS, Rate, mean_over_identities

_BLOCK = 2**22  # similarities in one block


@dataclass(frozen=True, eq=False, repr=False)
class Retrieval:
    """What retrieval measured; prints itself. Intervals are 95 %, from drawing identities.

    Attributes:
        rank: (Q,) position of the first right answer, 1 is the nearest.
        average_precision: (Q,) average precision at R, R being the right answers a query has.
        owner: (Q,) int64, the query's identity.
        left_out: queries that have no right answer to find, and are therefore not counted.
        gallery: pictures searched in.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    rank: np.ndarray
    average_precision: np.ndarray
    owner: np.ndarray
    left_out: int
    gallery: int
    draws: int
    seed: int

    @property
    def queries(self) -> int:
        """How many queries were counted."""
        return len(self.rank)

    @property
    def precision_at_1(self) -> Rate:
        """How often the nearest is right; the same number as `recall_at(1)`."""
        return self.recall_at(1)

    @property
    def map_at_r(self) -> Rate:
        """Mean average precision at R (Musgrave et al., ECCV 2020, section 3.2)."""
        return self._mean(self.average_precision)

    def recall_at(self, k: int) -> Rate:
        """Return how often a right answer is among the k nearest."""
        if k < 1:
            raise ArcwiseError(
                f"k is {k}, expected 1 or more: how many neighbours may be looked at"
            )
        return self._mean(self.rank <= k)

    def _mean(self, values: np.ndarray) -> Rate:
        return mean_over_identities(values, self.owner, draws=self.draws, seed=self.seed)

    def __str__(self) -> str:
        return "\n".join(
            [
                f"retrieval: {self.queries} queries in {self.gallery} pictures"
                f" ({self.left_out} left out: no other picture of theirs)",
                f"  recall@1    {self.recall_at(1)}",
                f"  recall@5    {self.recall_at(5)}",
                f"  MAP@R       {self.map_at_r}",
            ]
        )

    __repr__ = __str__


def retrieval(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    *,
    gallery: np.ndarray | None = None,
    gallery_ids: inputs.Identities | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Retrieval:
    """Return how well a search by cosine finds the other pictures of an identity.

    Without a gallery every embedding is searched among all others. Of equal similarities the wrong
    one comes first, so that duplicates and a collapsed model gain nothing by their order.

    Args:
        embeddings: (N, D) queries; scaled to unit length here.
        ids: (N,) identities.
        gallery: (G, D) embeddings to search in; the queries themselves where it is not given.
        gallery_ids: (G,) identities.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no query has anything to find; or bad input.
    """
    queries = inputs.embeddings("embeddings", embeddings)
    names = inputs.identities("ids", ids, len(queries))
    if (gallery is None) != (gallery_ids is None):
        raise ArcwiseError("one of gallery and gallery_ids is missing, expected both or neither")
    alone = gallery is None or gallery_ids is None
    if gallery is None or gallery_ids is None:
        searched, searched_names = queries, names
    else:
        searched = inputs.embeddings("gallery", gallery)
        searched_names = inputs.identities("gallery_ids", gallery_ids, len(searched))
    if searched.shape[1] != queries.shape[1]:
        raise ArcwiseError(
            f"queries have {queries.shape[1]} dimensions and the gallery {searched.shape[1]}, "
            "expected the same: embed both with one model"
        )
    both = np.concatenate([names, searched_names])
    codes = np.unique(both, return_inverse=True)[1].astype(np.int64)
    owner, codes = codes[: len(names)], codes[len(names) :]
    answers = np.bincount(codes, minlength=int(owner.max()) + 1)[owner] - int(alone)
    asked = np.flatnonzero(answers > 0)
    if not len(asked):
        raise ArcwiseError(
            f"none of {len(queries)} queries has a picture of its own identity to find, "
            "expected some: at least one identity with two pictures"
        )

    rank = np.empty(len(asked), dtype=np.int64)
    precision = np.empty(len(asked))
    rows = max(1, _BLOCK // len(searched))
    for start in range(0, len(asked), rows):
        part = asked[start : start + rows]
        same = owner[part, None] == codes[None, :]
        keys = _keys(queries[part] @ searched.T, same)
        if alone:
            keys[np.arange(len(part)), part] = np.iinfo(np.int64).min  # not itself
            same[np.arange(len(part)), part] = False
        block = slice(start, start + len(part))
        rank[block] = _first(keys, same)
        precision[block] = _average_precision(keys, answers[part])
    left_out = len(queries) - len(asked)
    return Retrieval(rank, precision, owner[asked], left_out, len(searched), draws, seed)


def _keys(similarity: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return (B, G) int64 that sort as the similarities do, right answers last among equals.

    The bits of a float, read as an integer, keep its order (negative ones reversed); the lowest bit
    then says "wrong", so that one sort of plain integers carries both.
    """
    bits = (similarity + np.float32(0)).view(np.int32).astype(np.int64)  # -0.0 becomes 0.0
    ordered = np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
    return 2 * ordered + ~same


def _first(keys: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Return (B,) the rank of each row's best right answer."""
    best = np.where(same, keys, np.iinfo(np.int64).min).max(axis=1)
    return 1 + (keys > best[:, None]).sum(axis=1)


def _average_precision(keys: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """Return (B,) average precision at R, R = answers (B,)."""
    depth = int(answers.max())
    split = keys.shape[1] - depth
    nearest = np.sort(np.partition(keys, split, axis=1)[:, split:], axis=1)[:, ::-1]
    position = np.arange(1, depth + 1)
    right = (nearest % 2 == 0) & (position <= answers[:, None])
    return (right * np.cumsum(right, axis=1) / position).sum(axis=1) / answers
