"""Galleries and the probes that search them: as the `split` states, or drawn by the seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Identification, MateGap, Retrieval, TwoGalleries
from arcwise.protocols.template_set import GALLERY, PROBES, TWO_GALLERIES, TemplateSet


@dataclass(frozen=True, eq=False)
class SearchProtocol:
    """Which templates search which.

    Attributes:
        galleries: (G,) int64 templates: one gallery or, as IJB has it, two.
        probes: (P,) int64, the templates that search.
        enrolled: the (E,) templates of the only gallery that stay when half of the identities are
            to be unknown; None where the data set states who is unknown.
        media: (U,) the medium of each template; None where that is not known.
        description: which templates the gallery is, in words.
        note: why it is these, where others would do as well; empty otherwise.
    """

    galleries: tuple[np.ndarray, ...]
    probes: np.ndarray
    enrolled: np.ndarray | None
    media: np.ndarray | None
    description: str
    note: str = ""

    @property
    def stated(self) -> bool:
        """Whether the data set says what gallery and probes are."""
        return self.enrolled is None

    def mated(self, ids: np.ndarray) -> np.ndarray:
        """Return (P,) bool, whether each probe's identity is in the gallery (in either of two).

        Args:
            ids: (U,) the identities of the templates.
        """
        entries = np.concatenate(self.galleries) if self.stated else self.enrolled
        return np.isin(ids[self.probes], ids[entries])

    def retrieve(
        self, vectors: np.ndarray, ids: np.ndarray, seed: int, gap: MateGap | None = None
    ) -> Retrieval:
        """Return retrieval of the probes in the stated gallery, otherwise leave one out.

        Args:
            vectors: (U, D) unit vectors of the templates.
            ids: (U,) their identities.
            seed: of the intervals.
            gap: which mates are to be found, with the number of every template; all without it.
        """
        if not self.stated:
            return evaluation.retrieval(vectors, ids, media=self.media, gap=gap, seed=seed)
        entries = np.concatenate(self.galleries)
        if gap is not None:
            values, gallery_values = gap.values[self.probes], gap.values[entries]
            gap = replace(gap, values=values, gallery_values=gallery_values)
        return evaluation.retrieval(
            vectors[self.probes],
            ids[self.probes],
            gallery=vectors[entries],
            gallery_ids=ids[entries],
            media=None if self.media is None else self.media[self.probes],
            gallery_media=None if self.media is None else self.media[entries],
            gap=gap,
            seed=seed,
        )

    def identify(
        self, vectors: np.ndarray, ids: np.ndarray, seed: int
    ) -> tuple[Identification | TwoGalleries | None, Identification | TwoGalleries | None]:
        """Return closed-set and open-set identification.

        The first is None where no probe has a mate in the gallery, the second where all of them
        have one, or none.

        Args:
            vectors: (U, D) unit vectors of the templates.
            ids: (U,) their identities.
            seed: of the intervals.
        """

        def in_gallery(entries: np.ndarray) -> Identification:
            return evaluation.identification_from_embeddings(
                vectors[self.probes], ids[self.probes], vectors[entries], ids[entries], seed=seed
            )

        if not len(self.probes):
            return None, None
        results = [in_gallery(entries) for entries in self.galleries]
        if len(results) == 2:
            both = evaluation.two_galleries(*results)
            return both, both
        (whole,) = results
        part = whole if self.enrolled is None else in_gallery(self.enrolled)
        closed = whole if len(whole.rank_of_mate) else None
        return closed, part if len(part.unknown) and len(part.rank_of_mate) else None


def search_protocol(templates: TemplateSet, seed: int) -> SearchProtocol:
    """Return the galleries that the `split` states; otherwise the rarer domain, or one each.

    The rarer domain is the gallery where every identity has a template in it (studio images of
    products, passports), and a seeded half of the identities is left out to be unknown.

    Raises:
        ArcwiseError: a gallery is stated, and no query's identity is in it.
    """
    ids = templates.ids
    media = None if templates.template_of_row is not None else templates.media
    splits = templates.column("split") or []
    places = {value: np.flatnonzero([one == value for one in splits]) for value in set(splits)}
    gallery_splits = [name for name in (GALLERY, *TWO_GALLERIES) if name in places]
    probe_splits = [name for name in PROBES if name in places]
    if gallery_splits or probe_splits:
        _check_both_are_left(templates, gallery_splits, probe_splits)
        galleries = tuple(places[name] for name in gallery_splits)
        probes = np.sort(np.concatenate([places[name] for name in probe_splits]))
        if not all(np.isin(ids[probes], ids[entries]).any() for entries in galleries):
            raise ArcwiseError(
                f"{templates.manifest.name}: no query is of an identity in the gallery; expected "
                "some: are the identities spelt alike in both?"
            )
        description = f"the rows of split {', '.join(gallery_splits)}"
        return SearchProtocol(galleries, probes, None, media, description)
    rng = np.random.default_rng(seed)
    gallery, note = _rare_domain(templates), ""
    if gallery is None:
        order = rng.permutation(len(ids))
        gallery = np.sort(order[np.unique(ids[order], return_index=True)[1]])
        description = f"one {templates.singular} each"
    else:
        domains = [str(one) for one in templates.column("domain") or []]
        domain = domains[int(gallery[0])]
        description = f"{domain} {templates.kind}"
        if Counter(domains).most_common()[0][1] == len(gallery):
            note = (
                f"the gallery is {description}, the domain of the first row, as all are equally "
                "frequent; to choose, add a column split with gallery and query"
            )
    identities = np.unique(ids[gallery])
    enrolled = rng.permutation(identities)[: (len(identities) + 1) // 2]
    probes = np.setdiff1d(np.arange(len(ids)), gallery)
    return SearchProtocol(
        (gallery,), probes, gallery[np.isin(ids[gallery], enrolled)], media, description, note
    )


def _check_both_are_left(
    templates: TemplateSet, gallery_splits: list[str], probe_splits: list[str]
) -> None:
    """Refuse where no gallery, or no query, is left among the rows that can be measured."""
    if not gallery_splits or not probe_splits:
        raise ArcwiseError(
            f"{templates.manifest.name}: no row of split "
            f"{'query' if gallery_splits else 'gallery'} is left; expected some that are readable, "
            "and of identities that no model was made with"
        )


def _rare_domain(templates: TemplateSet) -> np.ndarray | None:
    """Return the templates of the rarest domain; None where it lacks an identity.

    Of several that are equally rare, it is that of the earliest row.
    """
    domains = templates.column("domain")
    if domains is None:
        return None
    counts = Counter(map(str, domains))  # in the order of the rows
    rarest = min(counts, key=counts.__getitem__)
    rare = np.flatnonzero([str(domain) == rarest for domain in domains])
    complete = len(counts) > 1 and set(templates.ids[rare]) == set(templates.ids)
    return rare if complete else None
