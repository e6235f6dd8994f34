"""Labels that the embeddings contradict: what most of the votes of `label_votes` call an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arcwise.clustering.clusters import Clusters
from arcwise.clustering.label_votes import LabelEvidence, Vote, Votes, label_evidence
from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

Kind = Literal["same image", "member", "split", "merge"]
KINDS: tuple[Kind, ...] = ("same image", "member", "split", "merge")


@dataclass(frozen=True)
class LabelError:
    """One suspected error.

    Attributes:
        kind: "same image": two identities have one image, or nearly one; "member": an image is not
            of its identity; "split": some images of an identity are of another one, which has no
            name; "merge": two identities are one.
        identities: codes, the own one first; of a "merge" the larger. The second one of a "member"
            is what the image looks like, where that is known.
        rows: the images in question; of a "merge" the most typical of each identity.
        votes: those that say so.
        against: those that say otherwise; the others cannot tell.
        similarity: of the images to the dominant sub-centre of their identity; of a "merge" and a
            "same image" that between the two.
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

    There is an error where more votes say so than not. Copies come first, as one of their labels
    is wrong. The others are in the order of the votes less those against, then of how far the
    similarity is beyond its limit.

    Args:
        embeddings: (N, D), of any length.
        identities: (N,) codes 0 … C - 1, each of which occurs.
        found: the clusters of the embeddings, without labels.
        copies: (P, 2) rows that are nearly the same image.

    Raises:
        ArcwiseError: a value is NaN or infinite, or there are not two identities.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    owner = np.asarray(identities, np.int64)
    if owner.shape != (len(unit),) or len(found.labels) != len(unit):
        raise ArcwiseError(
            f"{len(unit)} embeddings with {len(owner)} identities and {len(found.labels)} "
            "clusters; expected one each"
        )
    codes = np.unique(owner)
    if len(codes) < 2 or codes[0] != 0 or codes[-1] != len(codes) - 1:
        raise ArcwiseError(
            f"labels of {len(codes)} identities; expected two or more, coded from 0 without gaps"
        )
    evidence = label_evidence(unit, owner, found)
    pairs = np.asarray(copies, np.int64).reshape(-1, 2)
    pairs = pairs[owner[pairs[:, 0]] != owner[pairs[:, 1]]]
    pairs = np.where((owner[pairs[:, 0]] < owner[pairs[:, 1]])[:, None], pairs, pairs[:, ::-1])
    explained = np.zeros(len(unit), bool)  # images that are in an error already
    explained[pairs] = True
    errors = _same_images(evidence, pairs)
    for find in (_splits, _members):
        some = find(evidence, explained)
        explained[[row for one in some for row in one.rows]] = True
        errors += some
    errors += _merges(evidence, ~(explained | evidence.away))
    links = found.links
    limit = {"same image": links.threshold, "merge": links.threshold}

    def order(one: LabelError) -> tuple[bool, int, float, tuple[int, ...]]:
        beyond = abs(one.similarity - limit.get(one.kind, links.around))
        return "copy" not in one.votes, len(one.against) - len(one.votes), -beyond, one.rows

    return sorted(errors, key=order)


def _decided(votes: Votes) -> tuple[tuple[Vote, ...], tuple[Vote, ...]] | None:
    """Return the votes for an error and those against it; None where these are as many."""
    yes, no = (tuple(vote for vote, said in votes.items() if said is one) for one in (True, False))
    return (yes, no) if len(yes) > len(no) else None


def _same_images(evidence: LabelEvidence, pairs: np.ndarray) -> list[LabelError]:
    """Return an error for every two identities with copies, the lower one first in each pair."""
    errors = []
    ends = evidence.owner[pairs]
    for a, b in np.unique(ends, axis=0).tolist():
        several = pairs[(ends[:, 0] == a) & (ends[:, 1] == b)]
        rows = np.concatenate([np.unique(several[:, 0]), np.unique(several[:, 1])]).tolist()
        said = [evidence.on_member(row) for row in rows]
        votes: list[Vote] = ["copy"]
        votes += [one for one in ("neighbours", "clusters", "sub-centre")
                  if any(of_row.get(one) for of_row in said)]  # fmt: skip
        cosine = (evidence.unit[several[:, 0]] * evidence.unit[several[:, 1]]).sum(axis=1).max()
        errors.append(
            LabelError("same image", (a, b), tuple(rows), tuple(votes), (), cosine.item())
        )
    return errors


def _splits(evidence: LabelEvidence, explained: np.ndarray) -> list[LabelError]:
    """Return parts of identities in clusters that are no identity's home.

    A single image is one only where it is half of its identity: neither then is the wrong one.
    """
    found, owner, errors = evidence.found, evidence.owner, []
    is_home = np.zeros(found.count, bool)
    is_home[evidence.home] = True
    parts: dict[tuple[int, int], list[int]] = {}
    for row in np.flatnonzero(evidence.away & ~explained & ~is_home[found.labels]).tolist():
        parts.setdefault((int(owner[row]), int(found.labels[row])), []).append(row)
    for (identity, _), rows in parts.items():
        if len(rows) == 1 and evidence.sizes[identity] != 2:
            continue
        votes = _decided(evidence.on_part(identity, np.array(rows)))
        if votes is not None:
            mean = evidence.unit[rows].sum(axis=0)
            near = float(evidence.centres.centre[identity] @ mean / np.linalg.norm(mean))
            errors.append(LabelError("split", (identity,), tuple(rows), *votes, near))
    return errors


def _members(evidence: LabelEvidence, explained: np.ndarray) -> list[LabelError]:
    """Return images that are not of their identity, with the one that each looks like."""
    owner, errors = evidence.owner, []
    lives_in = np.full(evidence.found.count, -1)
    lives_in[evidence.home[::-1]] = np.arange(len(evidence.home))[::-1]  # the first of several
    elsewhere = evidence.other > evidence.own
    suspect = evidence.away | elsewhere | (evidence.own == 0) | evidence.far
    for row in np.flatnonzero(suspect & ~explained).tolist():
        votes = _decided(evidence.on_member(row))
        if votes is None:
            continue
        like = int(evidence.looks_like[row]) if elsewhere[row] else -1
        if like < 0 and evidence.away[row]:
            like = int(lives_in[evidence.found.labels[row]])
        identities = (int(owner[row]),) if like < 0 else (int(owner[row]), like)
        near = float(evidence.centres.similarity[row])
        errors.append(LabelError("member", identities, (row,), *votes, near))
    return errors


def _merges(evidence: LabelEvidence, usable: np.ndarray) -> list[LabelError]:
    """Return pairs of identities that are one.

    Args:
        evidence: on all images.
        usable: (N,) bool, images that speak for their identity.
    """
    owner, links, nearest = evidence.owner, evidence.found.links, evidence.centres.similarity
    ends = np.sort(owner[links.pairs], axis=1)
    across = links.linked & usable[links.pairs].all(axis=1) & (ends[:, 0] != ends[:, 1])
    errors = []
    for pair in np.unique(ends[across], axis=0).tolist():
        a, b = sorted(pair, key=lambda one: (-evidence.sizes[one], one))
        of_a, of_b = (np.flatnonzero((owner == one) & usable) for one in (a, b))
        votes = _decided(evidence.on_pair(a, b, of_a, of_b))
        if votes is not None:
            typical = tuple(int(rows[nearest[rows].argmax()]) for rows in (of_a, of_b))
            errors.append(LabelError("merge", (a, b), typical, *votes, evidence.between(a, b)))
    return errors
