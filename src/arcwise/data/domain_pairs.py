"""Identities seen in two domains, and batches of one image from either (bisample learning)."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.samplers import check_identities
from arcwise.errors import ArcwiseError

DEEP = 3
"""Images from which an identity belongs to the deep set."""

NAMED = 3


@dataclass(frozen=True)
class DomainPairs:
    """The identities of a data set by the domains of their images.

    Attributes:
        domains: the values of the column, sorted; an empty value is no domain.
        paired: identities with images of two domains.
        lacking: identities with images of one domain only.
        exact: how many of `paired` have two images.
        deep: identities with `DEEP` images or more.
    """

    domains: tuple[str, ...]
    paired: tuple[str, ...]
    lacking: tuple[str, ...]
    exact: int
    deep: tuple[str, ...]

    @property
    def bisample(self) -> bool:
        """Whether ordinary training has little to go by: most pairs are all there is of somebody.

        There are two domains, and at least half of the identities in them have one image of each.
        """
        return len(self.domains) == 2 and 2 * self.exact >= len(self.paired) + len(self.lacking) > 0


def domain_pairs(images: Manifest) -> DomainPairs:
    """Return which identities have images of two domains; rows without an identity do not count."""
    domains = images.column("domain") or [""] * len(images)
    there: dict[str, set[str]] = defaultdict(set)
    counts: Counter[str] = Counter()
    identities = images.column("identity") or [""] * len(images)
    for identity, domain in zip(identities, domains, strict=True):
        if identity:
            counts[identity] += 1
            there[identity] |= {str(domain)} if domain else set()
    paired = tuple(sorted(one for one, found in there.items() if len(found) > 1))
    return DomainPairs(
        domains=tuple(sorted(set[str]().union(*there.values()))),
        paired=paired,
        lacking=tuple(sorted(one for one, found in there.items() if len(found) == 1)),
        exact=sum(counts[one] == 2 for one in paired),
        deep=tuple(sorted(one for one, count in counts.items() if count >= DEEP)),
    )


def check_pairs(images: Manifest) -> DomainPairs:
    """Return the pairs of a data set whose every identity with a domain has images of both.

    Raises:
        ArcwiseError: there is no such column, it has not two values, or identities lack one of
            them.
    """
    needed = (
        "bisample training needs a column domain with two values, such as studio and shop; images "
        "that are in no pair may have an empty one"
    )
    if images.column("domain") is None:
        raise ArcwiseError(f"{images.name}: no column 'domain'; {needed}")
    found = domain_pairs(images)
    if len(found.domains) != 2:
        count = len(found.domains)
        names = ", ".join(map(repr, found.domains[:NAMED])) + (" …" if count > NAMED else "")
        got = f"{count} values ({names})" if count > 1 else f"one value ({names})"
        raise ArcwiseError(
            f"{images.name}: the column domain has {got if count else 'no value'}; {needed}"
        )
    if found.lacking:
        raise ArcwiseError(f"{images.name}: {lacking_in_words(found)}")
    return found


def lacking_in_words(found: DomainPairs) -> str:
    """Return which identities lack one of the two domains, and what to do."""
    count = len(found.lacking)
    few = ", ".join(found.lacking[:NAMED]) + (" …" if count > NAMED else "")
    who = f"{count:,} identities have" if count > 1 else "1 identity has"
    first, second = found.domains
    return (
        f"{who} images of {first} or of {second} only, and the recipe bisample takes none of "
        f"these: {few}; bring the others, or leave their domain empty"
    )


class Bisample:
    """P identities × one image of either domain: first all of one domain, then their mates.

    Identities come in shuffled rounds. With dominant queues half of them do, and each of the others
    is drawn from the queue of one of those: DP-softmax's batches (arXiv 1806.03018), as
    yizt/keras-lbl-IvS draws its classes. Which images these are is drawn too. A pure function of
    (seed, step) and the queues.
    """

    def __init__(
        self, images: Manifest, identities: int, seed: int, queues: np.ndarray | None = None
    ) -> None:
        """Take what is drawn from.

        Args:
            images: every identity of them with a domain has images of both.
            identities: P.
            seed: of the draws.
            queues: (C, Q) labels, -1 for none: the dominant queue of every label; None to draw
                all identities in rounds.

        Raises:
            ArcwiseError: the domains are not two, identities lack one, or there are fewer than P.
        """
        domains = check_pairs(images).domains
        column = np.array([str(one or "") for one in images.column("domain") or ()])
        labels = images.labels
        self.rows_of = [
            dict(_grouped(np.flatnonzero(column == domain), labels)) for domain in domains
        ]
        self.labels = np.array(sorted(self.rows_of[0]))
        if identities < 2:
            raise ArcwiseError(f"--batch {2 * identities}: expected pairs of at least 2 identities")
        check_identities(identities, 2, len(self.labels), " with images of both domains")
        self.identities = identities
        self.seed = seed
        self.queues = queues

    def batch(self, step: int) -> np.ndarray:
        """Return (2P,) rows: P of the first domain, then P of the second, in the same order."""
        rng = np.random.default_rng((self.seed, 4, step))
        drawn = self.identities if self.queues is None else -(-self.identities // 2)
        a_round = len(self.labels) // drawn  # the rest of a round is left out
        round_, number = divmod(step, a_round)
        order = np.random.default_rng((self.seed, 5, round_)).permutation(self.labels)
        chosen = order[number * drawn : (number + 1) * drawn].tolist()
        if self.queues is not None:
            chosen += self._dominant(rng, chosen)
        return np.array([rng.choice(rows[one]) for rows in self.rows_of for one in chosen])

    def _dominant(self, rng: np.random.Generator, first: list[int]) -> list[int]:
        """Return as many others as are missing, from the queues; at random once these are empty."""
        assert self.queues is not None
        taken, found, sources = set(first), [], list(first)
        while len(first) + len(found) < self.identities:
            options: list[int] = []
            if sources:
                place = int(rng.integers(len(sources)))
                queue = self.queues[sources[place]].tolist()
                options = [one for one in queue if one in self.rows_of[0] and one not in taken]
                if not options:
                    del sources[place]
                    continue
            else:
                options = [one for one in self.labels.tolist() if one not in taken]
            found.append(options[int(rng.integers(len(options)))])
            taken.add(found[-1])
        return found


def _grouped(rows: np.ndarray, labels: np.ndarray):
    """Yield each label of these rows, and its rows."""
    order = rows[np.argsort(labels[rows], kind="stable")]
    found, first = np.unique(labels[order], return_index=True)
    return zip(found.tolist(), np.split(order, first[1:]), strict=True)
