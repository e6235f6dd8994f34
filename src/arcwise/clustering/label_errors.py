"""Labels that the embeddings contradict: identities to merge, to split, or to relieve of a member.

Three votes that know different things, and no limit that `links` and `impostors` do not find:

- neighbours: where the links of an image go, by weight: to its own identity, or to another one;
- clusters: the map equation, which sees no label. Most images of an identity are in its home
  cluster; the question is which are not, and which identities share one;
- sub-centre: the dominant sub-centre of an identity (Deng et al., ECCV 2020), of K = 3. Members are
  noise where they are not as similar to it as neighbours are (`NeighbourLinks.around`; the paper
  says 75°). Two identities are one where their dominant sub-centres are as similar as a linked pair
  (`NeighbourLinks.threshold`). There the sub-centres are trained; here they are spherical k-means of
  the embeddings. Where two would be dominant with equal right there is no vote: two images.

A label is an error where most of the votes say so. A fourth vote, "copy", is for near-duplicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

from arcwise.clustering.clusters import DOUBTFUL, Clusters
from arcwise.clustering.dominant import DominantCentres, dominant_centres
from arcwise.clustering.links import AGREEMENT
from arcwise.clustering.methods import LEAST_WEIGHT
from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

Kind = Literal["same image", "member", "split", "merge"]
Vote = Literal["neighbours", "clusters", "sub-centre", "copy"]


@dataclass(frozen=True)
class LabelError:
    """One suspected error.

    Attributes:
        kind: "same image": copies of one image have two identities; "member": an image is not of
            its identity; "split": some images of an identity are of another one that has no name;
            "merge": two identities are one.
        identities: codes, the own one first. The second of a "member" is what it looks like, where
            that is known.
        rows: the images in question; of a "merge" the typical one of each identity, of a
            "same image" those of the first identity and then those of the second.
        votes: those that say so.
        against: those that say otherwise. The others cannot tell.
        similarity: of a "member" to the dominant sub-centre of its identity, of a "split" between
            its images and that; of the others between the two identities.
    """

    kind: Kind
    identities: tuple[int, ...]
    rows: tuple[int, ...]
    votes: tuple[Vote, ...]
    against: tuple[Vote, ...]
    similarity: float


def label_errors(
    embeddings: np.ndarray,
    identities: np.ndarray,
    found: Clusters,
    copies: Sequence[Sequence[int]] | np.ndarray = (),
) -> list[LabelError]:
    """Return what the embeddings say against their labels, the surest first.

    The order is by votes for less votes against, and then by how far the similarity is beyond its
    limit. All of it comes from one set of embeddings, so that no vote is independent of the others.

    Args:
        embeddings: (N, D), of any length.
        identities: (N,) codes 0 … C - 1, each of which occurs.
        found: the clusters of the embeddings, without labels.
        copies: (P, 2) rows that are nearly the same image.

    Raises:
        ArcwiseError: a value is NaN or infinite, or there are not two identities.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    identities = np.asarray(identities, np.int64)
    if identities.shape != (len(unit),) or len(found.labels) != len(unit):
        raise ArcwiseError(
            f"{len(unit)} embeddings have {len(identities)} identities and {len(found.labels)} "
            "clusters, expected one each"
        )
    codes = np.unique(identities)
    if len(codes) < 2 or codes[0] != 0 or codes[-1] != len(codes) - 1:
        raise ArcwiseError(
            f"got {len(codes)} identities; expected two or more, as codes from 0 without gaps"
        )
    evidence = _evidence(unit, identities, found)
    pairs = np.asarray(copies, np.int64).reshape(-1, 2)
    pairs = pairs[identities[pairs[:, 0]] != identities[pairs[:, 1]]]
    copied = np.zeros(len(unit), bool)
    copied[pairs] = True
    errors = _same_images(evidence, pairs)
    of_members, flagged = _members_and_splits(evidence, copied)
    errors += of_members
    errors += _merges(evidence, ~(copied | flagged | evidence.away))
    limits = {"merge": found.links.threshold, "same image": found.links.threshold}
    return sorted(
        errors,
        key=lambda one: (
            len(one.against) - len(one.votes),
            -abs(one.similarity - limits.get(one.kind, found.links.around)),
            one.rows,
        ),
    )


class _Evidence(NamedTuple):
    """What the votes are taken from.

    Attributes:
        unit: (N, D).
        owner: (N,) identities.
        sizes: (C,) images of each identity.
        found: the clusters.
        home: (C,) cluster that holds most images of each identity.
        away: (N,) bool, whether an image is in another cluster.
        own: (N,) weight of the links of an image to its own identity.
        other: (N,) weight to the other identity of most weight.
        looks_like: (N,) that identity; -1 without any.
        agreement: (N, N) sparse, symmetric, of the pairs of neighbours.
        centres: the dominant sub-centres.
    """

    unit: np.ndarray
    owner: np.ndarray
    sizes: np.ndarray
    found: Clusters
    home: np.ndarray
    away: np.ndarray
    own: np.ndarray
    other: np.ndarray
    looks_like: np.ndarray
    agreement: csr_array
    centres: DominantCentres

    def votes(self, row: int) -> dict[Vote, bool]:
        """Return what each vote that can tell says: whether an image is not of its identity."""
        owner = self.owner[row]
        said: dict[Vote, bool] = {}
        if self.sizes[owner] > 1:
            alone = self.own[row] == 0
            said["neighbours"] = bool(alone or self.other[row] > self.own[row])
            said["clusters"] = bool(self.away[row])
            if self.centres.clear[owner]:
                said["sub-centre"] = bool(
                    self.centres.similarity[row] < self.found.links.around
                )
        return said


def _evidence(unit: np.ndarray, owner: np.ndarray, found: Clusters) -> _Evidence:
    sizes = np.bincount(owner)
    home = _homes(owner, found)
    linked = found.links.linked
    pairs, weight = found.links.pairs[linked], found.links.agreement[linked] + LEAST_WEIGHT
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]])
    to = owner[np.concatenate([pairs[:, 1], pairs[:, 0]])]
    total = coo_array((np.tile(weight, 2), (rows, to)), (len(unit), len(sizes))).tocsr().tocoo()
    rows, to = total.coords
    own, other = np.zeros(len(unit)), np.zeros(len(unit))
    mine = owner[rows] == to
    own[rows[mine]] = total.data[mine]
    rows, to, weight = rows[~mine], to[~mine], total.data[~mine]
    order = np.argsort(weight, kind="stable")  # the largest is set last
    looks_like = np.full(len(unit), -1)
    other[rows[order]], looks_like[rows[order]] = weight[order], to[order]
    both = np.concatenate([found.links.pairs, found.links.pairs[:, ::-1]]).T
    shape = len(unit), len(unit)
    agreement = csr_array(coo_array((np.tile(found.links.agreement, 2), tuple(both)), shape))
    return _Evidence(
        unit, owner, sizes, found, home, found.labels != home[owner], own, other, looks_like,
        agreement, dominant_centres(unit, owner),
    )  # fmt: skip


def _homes(owner: np.ndarray, found: Clusters) -> np.ndarray:
    """Return (C,) clusters: of most images of each identity, of equals the one it shares least."""
    key, count = np.unique(owner * found.count + found.labels, return_counts=True)
    identity, cluster = key // found.count, key % found.count
    share = count / found.sizes[cluster]
    order = np.lexsort((cluster, -share, -count, identity))
    return cluster[order[np.unique(identity[order], return_index=True)[1]]]


def _split(said: dict[Vote, bool]) -> tuple[tuple[Vote, ...], tuple[Vote, ...]]:
    """Return the votes for an error, and those against it."""
    return (
        tuple(vote for vote, yes in said.items() if yes),
        tuple(vote for vote, yes in said.items() if not yes),
    )


def _same_images(evidence: _Evidence, pairs: np.ndarray) -> list[LabelError]:
    """Return an error for every two identities that have copies of one image."""
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for a, b in pairs.tolist():
        if evidence.owner[a] > evidence.owner[b]:
            a, b = b, a
        groups.setdefault((int(evidence.owner[a]), int(evidence.owner[b])), []).append((a, b))
    errors = []
    for identities, several in groups.items():
        first, second = (sorted({pair[side] for pair in several}) for side in (0, 1))
        votes: list[Vote] = ["copy"]
        for vote in ("neighbours", "clusters", "sub-centre"):
            if any(evidence.votes(row).get(vote) for row in (*first, *second)):
                votes.append(vote)
        closest = max(float(evidence.unit[a] @ evidence.unit[b]) for a, b in several)
        errors.append(
            LabelError("same image", identities, (*first, *second), tuple(votes), (), closest)
        )
    return errors


def _members_and_splits(
    evidence: _Evidence, copied: np.ndarray
) -> tuple[list[LabelError], np.ndarray]:
    """Return the images that are not of their identity, and (N,) bool: which these are."""
    owner, found, around = evidence.owner, evidence.found, evidence.found.links.around
    lives_in = np.full(found.count, -1)  # an identity whose home a cluster is
    lives_in[evidence.home[::-1]] = np.arange(len(evidence.home))[::-1]
    errors: list[LabelError] = []
    flagged = np.zeros(len(owner), bool)
    parts: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(evidence.away & ~copied).tolist():
        parts.setdefault((int(owner[row]), int(found.labels[row])), []).append(row)
    for (identity, cluster), rows in parts.items():
        if lives_in[cluster] >= 0 or (len(rows) == 1 and evidence.sizes[identity] > 2):
            continue
        said = _apart(evidence, identity, np.array(rows))
        votes, against = _split(said)
        if len(votes) > len(against):
            mean = evidence.unit[rows].sum(axis=0)
            near = float(evidence.centres.centre[identity] @ mean / np.linalg.norm(mean))
            errors.append(LabelError("split", (identity,), tuple(rows), votes, against, near))
            flagged[rows] = True
    suspects = evidence.away | (evidence.other > evidence.own) | (evidence.own == 0)
    suspects |= evidence.centres.clear[owner] & (evidence.centres.similarity < around)
    for row in np.flatnonzero(suspects & ~copied & ~flagged).tolist():
        votes, against = _split(evidence.votes(row))
        if len(votes) <= len(against):
            continue
        identity = int(owner[row])
        like = int(evidence.looks_like[row]) if evidence.other[row] > evidence.own[row] else -1
        if like < 0 and evidence.away[row]:
            like = int(lives_in[found.labels[row]])
        identities = (identity,) if like < 0 else (identity, like)
        near = float(evidence.centres.similarity[row])
        errors.append(LabelError("member", identities, (row,), votes, against, near))
        flagged[row] = True
    return errors, flagged


def _apart(evidence: _Evidence, identity: int, rows: np.ndarray) -> dict[Vote, bool]:
    """Return the votes on whether a part of an identity, in a cluster of its own, is another."""
    rest = np.setdiff1d(np.flatnonzero(evidence.owner == identity), rows)
    said: dict[Vote, bool] = {
        "neighbours": _confidence(evidence, rows, rest) >= DOUBTFUL,
        "clusters": True,
    }
    if evidence.centres.clear[identity]:
        far = evidence.centres.similarity[rows] < evidence.found.links.around
        said["sub-centre"] = bool(far.mean() > 0.5)
    return said


def _merges(evidence: _Evidence, usable: np.ndarray) -> list[LabelError]:
    """Return the pairs of identities that are one.

    Args:
        evidence: of all.
        usable: (N,) bool, the images that speak for their identity: not those that are errors
            themselves, or copies.
    """
    owner, links, sizes = evidence.owner, evidence.found.links, evidence.sizes
    ends = owner[links.pairs]
    across = links.linked & usable[links.pairs].all(axis=1) & (ends[:, 0] != ends[:, 1])
    errors = []
    for a, b in np.unique(np.sort(ends[across], axis=1), axis=0).tolist():
        first, second = (np.flatnonzero((owner == one) & usable) for one in (a, b))
        similarity = float(evidence.centres.centre[a] @ evidence.centres.centre[b])
        said: dict[Vote, bool] = {
            "neighbours": _confidence(evidence, first, second) < DOUBTFUL,
            "clusters": bool(evidence.home[a] == evidence.home[b]),
        }
        if evidence.centres.clear[a] and evidence.centres.clear[b]:
            said["sub-centre"] = similarity >= links.threshold
        votes, against = _split(said)
        if len(votes) > len(against):
            if sizes[a] < sizes[b]:
                a, b, first, second = b, a, second, first
            typical = (
                int(rows[evidence.centres.similarity[rows].argmax()]) for rows in (first, second)
            )
            errors.append(LabelError("merge", (a, b), tuple(typical), votes, against, similarity))
    return errors


def _confidence(evidence: _Evidence, first: np.ndarray, second: np.ndarray) -> float:
    """Return a / (a + b) of two sets: mean agreement a of pairs inside them, b of pairs across."""
    inside = [evidence.agreement[one][:, one].sum() for one in (first, second)]
    pairs = sum(len(one) * (len(one) - 1) for one in (first, second))
    a = sum(inside) / pairs if pairs else AGREEMENT
    b = evidence.agreement[first][:, second].sum() / (len(first) * len(second))
    return float(a / (a + b)) if a + b > 0 else 1.0
