"""Exact mean rates over all galleries of G identities with M templates each.

A probe gets an answer when a template of an enrolled identity is at least as similar as a
threshold. For an identity of which a of n images are that similar, M templates drawn from the n are
all less similar with chance C(n - a, M) / C(n, M), its chance of no match. The chance that a whole
gallery has no match, averaged over every choice of G identities of a pool of N, is the elementary
symmetric mean of order G of the identities' chances.

Shapes: N images, I identities, P probes, S kept similarities, E identities near a probe.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

_CELLS = 2**22  # similarities in one block of the search
_ROWS = 2**20  # numbers in the table of one group of probes
_NEVER = 1e-12  # chances too small to matter
_RANKS = 64  # images of a probe's own identity computed one by one


def no_match_chances(images: np.ndarray, matching: np.ndarray, templates: int | None) -> np.ndarray:
    """Return the chance that no template of an identity is one of its matching images.

    Args:
        images: (E,) images of each identity, at least M.
        matching: (E,) how many of these are at or above the threshold.
        templates: M, drawn without replacement; None for all of them.
    """
    if templates is None:
        return (matching == 0).astype(np.float64)
    no_match = np.ones(len(images))
    for drawn in range(templates):
        no_match *= np.maximum(images - matching - drawn, 0) / (images - drawn)
    return no_match


def mean_no_match(
    no_match: np.ndarray, count: np.ndarray, pool: np.ndarray, enrolled: int
) -> np.ndarray:
    """Return (P,) the chance that a gallery gives no match, averaged over all galleries; exact.

    The identities near a probe are taken in turn: the next of N - k that are left is enrolled with
    chance (G - j) / (N - k) when j are already. No other identity of the pool matches.

    Args:
        no_match: (E,) chances of no match, the E identities grouped by probe.
        count: (P,) number of near identities of each probe.
        pool: (P,) identities that may be enrolled, N.
        enrolled: G, at most N.
    """
    mean = np.ones(len(count))
    starts = np.concatenate([[0], np.cumsum(count)[:-1]])
    order = np.argsort(-count, kind="stable")
    order = order[count[order] > 0]
    while len(order):
        longest = int(count[order[0]])
        expected = longest * enrolled / pool[order[0]]
        # More enrolled of those near than this has a chance below 1e-16 (Chernoff's bound).
        width = min(longest, enrolled, int(expected + 10 * expected**0.5 + 25)) + 1
        rows = max(1, _ROWS // width)
        group, order = order[:rows], order[rows:]
        group_count = count[group]
        chance = np.zeros((len(group), width))  # of each number enrolled, none of them matching
        chance[:, 0] = 1.0
        left = np.maximum(enrolled - np.arange(width), 0.0)
        for k in range(longest):
            active = int(np.searchsorted(-group_count, -k, side="left"))
            current = chance[:active]
            taken = current * (left / (pool[group[:active], None] - k))
            current -= taken
            current[:, 1:] += taken[:, :-1] * no_match[starts[group[:active]] + k, None]
        mean[group] = chance.sum(axis=1)
    return mean


def best_template(images: np.ndarray, rank: np.ndarray, templates: int | None) -> np.ndarray:
    """Return the chance that an identity's most similar template is its image of this rank.

    M templates are drawn from n images, ranked by similarity from 0: C(n - 1 - r, M - 1) / C(n, M).

    Args:
        images: (S,) images that may be enrolled, n, at least M.
        rank: (S,) the rank of one of them, r.
        templates: M, drawn without replacement; None for all of them.
    """
    if templates is None:
        return (rank == 0).astype(np.float64)
    chance = templates / images
    for drawn in range(templates - 1):
        chance = chance * np.maximum(images - 1 - rank - drawn, 0) / (images - 1 - drawn)
    return chance


def rank_strata(row: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return entries that represent all of a row, and their weights; rows of up to 64 stay whole.

    Longer ones are cut into 64 parts of nearly equal weight, each represented by its middle.
    A mean of something that falls along the row is then wrong by 1/64 at most, and a mean over many
    rows by much less.

    Args:
        row: (S,) rising.
        weight: (S,) of each entry, above 0.
    """
    count = np.bincount(row)[row] if len(row) else row
    if not len(row) or count.max() <= _RANKS:
        return np.arange(len(row)), weight
    start = np.searchsorted(row, row)
    cumulative = np.cumsum(weight)
    middle = cumulative - weight / 2 - (cumulative[start] - weight[start])
    part = np.minimum(_RANKS - 1, middle / np.bincount(row, weight)[row] * _RANKS).astype(np.int64)
    part = np.where(count <= _RANKS, np.arange(len(row)) - start, part)
    new = np.flatnonzero(np.diff(row * _RANKS + part, prepend=-1))
    end = np.append(new[1:], len(row))
    return (new + end - 1) // 2, np.add.reduceat(weight, new)


@dataclass(frozen=True)
class ProbeSimilarities:
    """Similarities of P probes to images of other identities, down to a floor, and of their own.

    Attributes:
        probe: (P,) the image that each probe is.
        codes: (N,) identity of each image, 0 to I - 1.
        sizes: (I,) images of each identity.
        row: (S,) probe of each similarity to another identity, rising.
        image: (S,) the other image; within a probe by identity.
        similarity: (S,) float32; within a probe and identity falling.
        own_row: (O,) probe of each similarity to another image of its own identity, rising.
        own_image: (O,) that image.
        own_similarity: (O,) float32, within a probe falling.
        floor: every similarity to another identity at or above it is kept.
    """

    probe: np.ndarray
    codes: np.ndarray
    sizes: np.ndarray
    row: np.ndarray
    image: np.ndarray
    similarity: np.ndarray
    own_row: np.ndarray
    own_image: np.ndarray
    own_similarity: np.ndarray
    floor: float

    @classmethod
    def of(
        cls, unit: np.ndarray, codes: np.ndarray, probe: np.ndarray, floor: float
    ) -> ProbeSimilarities:
        """Return the similarities of the images `probe`, computed a block at a time.

        Args:
            unit: (N, D) unit rows.
            codes: (N,) identities, 0 to I - 1.
            probe: (P,) the images searched with.
            floor: lowest similarity to other identities that is kept.
        """
        order = np.argsort(codes, kind="stable")
        entries, owners = unit[order], codes[order]
        near, own = [], []
        step = max(1, _CELLS // len(unit))
        for start in range(0, len(probe), step):
            queries = probe[start : start + step]
            scores = unit[queries] @ entries.T
            same = owners[None, :] == codes[queries, None]
            for parts, kept, by_owner in ((near, (scores >= floor) & ~same, 1), (own, same, 0)):
                row, place = np.nonzero(kept)
                score = scores[row, place]
                falling = np.lexsort((-score, owners[place] * by_owner, row))
                row, place, score = row[falling], place[falling], score[falling]
                parts.append((row + start, order[place], score))
        row, image, score = (np.concatenate(part) for part in zip(*near, strict=True))
        own_row, own_image, own_score = (np.concatenate(part) for part in zip(*own, strict=True))
        other = own_image != probe[own_row]
        return cls(
            probe, codes, np.bincount(codes), row, image, score,
            own_row[other], own_image[other], own_score[other], floor,
        )  # fmt: skip

    def above(self, threshold: float) -> ProbeSimilarities:
        """Return the similarities at or above a threshold."""
        near, own = self.similarity >= threshold, self.own_similarity >= threshold
        return replace(
            self,
            row=self.row[near],
            image=self.image[near],
            similarity=self.similarity[near],
            own_row=self.own_row[own],
            own_image=self.own_image[own],
            own_similarity=self.own_similarity[own],
            floor=max(self.floor, threshold),
        )

    def impostors_only(self) -> ProbeSimilarities:
        """Return the similarities to other identities only."""
        row, image, score = self.own_row[:0], self.own_image[:0], self.own_similarity[:0]
        return replace(self, own_row=row, own_image=image, own_similarity=score)

    def subset(self, probes: np.ndarray) -> ProbeSimilarities:
        """Return the similarities of some of the probes, (R,) rising rows of `probe`."""
        place = np.full(len(self.probe), -1)
        place[probes] = np.arange(len(probes))
        near, own = place[self.row] >= 0, place[self.own_row] >= 0
        return replace(
            self,
            probe=self.probe[probes],
            row=place[self.row[near]],
            image=self.image[near],
            similarity=self.similarity[near],
            own_row=place[self.own_row[own]],
            own_image=self.own_image[own],
            own_similarity=self.own_similarity[own],
        )

    def enrollable(self, templates: int | None) -> np.ndarray:
        """Return (I,) bool: the identities that have M images."""
        return self.sizes >= (templates or 1)

    def near_identities(self, templates: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the identities near each probe that may be enrolled, E in all.

        Returns:
            (E,) probes, rising; (E,) identities; (E,) the chance that none of M templates of
            each is among the similarities kept.
        """
        owner = self.codes[self.image]
        new = np.ones(len(owner), dtype=bool)
        new[1:] = (owner[1:] != owner[:-1]) | (self.row[1:] != self.row[:-1])
        first = np.flatnonzero(new)
        matching = np.diff(np.append(first, len(owner)))
        usable = self.enrollable(templates)[owner[first]]
        first, matching = first[usable], matching[usable]
        no_match = no_match_chances(self.sizes[owner[first]], matching, templates)
        return self.row[first], owner[first], no_match

    def pool_sizes(self, templates: int | None) -> np.ndarray:
        """Return (P,) how many identities other than its own may be enrolled for each probe."""
        enrollable = self.enrollable(templates)
        return np.count_nonzero(enrollable) - enrollable[self.codes[self.probe]]

    def no_match(self, enrolled: int, templates: int | None) -> np.ndarray:
        """Return (P,) the chance that none of G enrolled identities matches, over all galleries."""
        row, _, no_match = self.near_identities(templates)
        pool = self.pool_sizes(templates)
        return mean_no_match(no_match, np.bincount(row, minlength=len(pool)), pool, enrolled)

    def detection(self, enrolled: int, templates: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Return how often a probe of an enrolled identity is answered with that identity.

        That is where its identity's most similar template is kept, and more similar than all
        templates of the G - 1 other identities enrolled.

        Returns:
            (Q,) the identities of the probes that have M other images of their own; (Q,) the
            chance, over all galleries with that identity.
        """
        others = self.sizes[self.codes[self.probe]] - 1
        mated = others >= (templates or 1)
        starts = np.searchsorted(self.own_row, np.arange(len(self.probe)))
        rank = np.arange(len(self.own_row)) - starts[self.own_row]
        pairs = np.flatnonzero(mated[self.own_row])
        weight = best_template(others[self.own_row[pairs]], rank[pairs], templates)
        pairs, weight = pairs[weight > _NEVER], weight[weight > _NEVER]
        place, weight = rank_strata(self.own_row[pairs], weight)
        pairs = pairs[place]
        first = self._no_match_at(pairs, enrolled - 1, templates)
        chance = np.bincount(self.own_row[pairs], weight * first, minlength=len(self.probe))
        return self.codes[self.probe[mated]], chance[mated]

    def _no_match_at(self, pairs: np.ndarray, enrolled: int, templates: int | None) -> np.ndarray:
        """Return the chance that no enrolled identity is as similar as each of these own images."""
        begin, end = (
            np.searchsorted(self.row, self.own_row[pairs], side=side) for side in ("left", "right")
        )
        no_match = np.ones(len(pairs))
        rivalled = np.flatnonzero(end > begin)
        total = np.cumsum((end - begin)[rivalled])
        blocks = np.searchsorted(total, np.arange(_CELLS, int(total[-1:].sum()), _CELLS))
        for part in np.split(rivalled, blocks):
            length = (end - begin)[part]
            pair = np.repeat(np.arange(len(part)), length)
            start = np.cumsum(length) - length
            place = np.arange(len(pair)) + np.repeat(begin[part] - start, length)
            rival = self.similarity[place] >= self.own_similarity[pairs[part[pair]]]
            at = replace(
                self,
                probe=self.probe[self.own_row[pairs[part]]],
                row=pair[rival],
                image=self.image[place[rival]],
                similarity=self.similarity[place[rival]],
            )
            no_match[part] = at.no_match(enrolled, templates)
        return no_match
