"""Galleries and those who search them: as the `split` states, or chosen here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Identification, Retrieval, TwoGalleries
from arcwise.protocols.layout import Layout
from arcwise.protocols.result import Items
from arcwise.protocols.rows import GALLERY, QUERY, TWO


@dataclass(frozen=True, eq=False)
class Search:
    """Who is looked for where.

    Attributes:
        galleries: (G,) int64 items, once or, as IJB has it, twice.
        probes: (P,) int64, the items that search.
        enrolled: of the only gallery, the (E,) items that stay when half of the identities are to
            be unknown; None where the data set states who is unknown.
        media: (U,) what each item comes from; None where that is not known.
        words: which items the gallery is.
    """

    galleries: tuple[np.ndarray, ...]
    probes: np.ndarray
    enrolled: np.ndarray | None
    media: np.ndarray | None
    words: str

    @property
    def stated(self) -> bool:
        """Whether the data set says what gallery and probes are."""
        return self.enrolled is None

    def known(self, ids: np.ndarray) -> np.ndarray:
        """(P,) bool: whether each probe's identity is in (every) gallery that there is to know it.

        Args:
            ids: (U,) the items' identities.
        """
        entries = np.concatenate(self.galleries) if self.stated else self.enrolled
        return np.isin(ids[self.probes], ids[entries])

    def retrieve(self, items: Items, seed: int) -> Retrieval:
        """Retrieval: of the probes in the stated gallery, otherwise leave one out."""
        if not self.stated:
            return evaluation.retrieval(items.vectors, items.ids, media=self.media, seed=seed)
        entries = np.concatenate(self.galleries)
        return evaluation.retrieval(
            items.vectors[self.probes],
            items.ids[self.probes],
            gallery=items.vectors[entries],
            gallery_ids=items.ids[entries],
            media=None if self.media is None else self.media[self.probes],
            gallery_media=None if self.media is None else self.media[entries],
            seed=seed,
        )

    def identify(
        self, items: Items, seed: int
    ) -> tuple[Identification | TwoGalleries | None, Identification | TwoGalleries | None]:
        """Closed and open identification; None where nobody, or everybody, is unknown."""
        if not len(self.probes):
            return None, None
        found = [self._in(entries, items, seed) for entries in self.galleries]
        if len(found) == 2:
            both = evaluation.two_galleries(*found)
            return both, both
        closed = found[0] if len(found[0].rank_of_mate) else None
        open_ = found[0]
        if self.enrolled is not None:
            open_ = self._in(self.enrolled, items, seed)
        return closed, open_ if len(open_.unknown) and len(open_.rank_of_mate) else None

    def _in(self, entries: np.ndarray, items: Items, seed: int) -> Identification:
        return evaluation.identification_from_embeddings(
            items.vectors[self.probes],
            items.ids[self.probes],
            items.vectors[entries],
            items.ids[entries],
            seed=seed,
        )


def search(layout: Layout, seed: int) -> Search:
    """The galleries that the `split` states; otherwise the rarer domain, or one item each.

    The rarer domain is the gallery where every identity has an item in it (studio pictures of
    products, passports), and a seeded half of the identities is left out to be unknown.

    Raises:
        ArcwiseError: a gallery is stated, and no query's identity is in it.
    """
    ids, media = layout.ids, None if layout.template is not None else layout.media
    splits = layout.column("split") or []
    places = {value: np.flatnonzero([one == value for one in splits]) for value in set(splits)}
    stated = [name for name in (GALLERY, *TWO) if name in places]
    asking = [name for name in QUERY if name in places]
    if stated or asking:
        _complete(layout, stated, asking)
        found = tuple(places[name] for name in stated)
        probes = np.sort(np.concatenate([places[name] for name in asking]))
        if not all(np.isin(ids[probes], ids[entries]).any() for entries in found):
            raise ArcwiseError(
                f"{layout.manifest.name}: no query is of an identity in the gallery; expected "
                "some: are the identities spelt alike in both?"
            )
        return Search(found, probes, None, media, f"the rows of split {', '.join(stated)}")
    rng = np.random.default_rng(seed)
    gallery = _rare_domain(layout)
    if gallery is None:
        order = rng.permutation(len(ids))
        gallery = np.sort(order[np.unique(ids[order], return_index=True)[1]])
        words = f"one {layout.kind.removesuffix('s')} each"
    else:
        words = f"{(layout.column('domain') or [])[int(gallery[0])]} {layout.kind}"
    names = np.unique(ids[gallery])
    stay = rng.permutation(names)[: (len(names) + 1) // 2]
    probes = np.setdiff1d(np.arange(len(ids)), gallery)
    return Search((gallery,), probes, gallery[np.isin(ids[gallery], stay)], media, words)


def _complete(layout: Layout, stated: list[str], asking: list[str]) -> None:
    """Nothing, if there still are a gallery and queries among the rows that can be measured."""
    if not stated or not asking:
        raise ArcwiseError(
            f"{layout.manifest.name}: no row of split {'query' if stated else 'gallery'} is left; "
            "expected some that are readable, and of identities that no model was made with"
        )


def _rare_domain(layout: Layout) -> np.ndarray | None:
    """The items of the rarest domain, if that has every identity."""
    domains = layout.column("domain")
    if domains is None:
        return None
    names, codes, counts = np.unique(
        [str(domain) for domain in domains], return_inverse=True, return_counts=True
    )
    rare = np.flatnonzero(codes == counts.argmin())
    whole = len(names) > 1 and set(layout.ids[rare]) == set(layout.ids)
    return rare if whole else None
