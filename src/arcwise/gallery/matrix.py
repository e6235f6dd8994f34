"""The templates of a gallery in memory, and whose they are.

Shapes: N queries, D dimensions, K neighbours, G gallery entries (templates).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.codes import TemplateCodes, product
from arcwise.gallery.contract import EnrolledTemplate, Hit
from arcwise.gallery.exact import ExactSearch, ScoredRow
from arcwise.gallery.filters import Condition, MetadataColumn, keys, rows_that_match
from arcwise.gallery.snapshot import GROWING, Arrays
from arcwise.identity import identity_key, written_form

Names = dict[str, list[Any]]

_CODED = 20_000  # rows from which their codes pay


class TemplateMatrix:
    """A matrix (G, D) of unit vectors without holes, and who owns each row.

    All written forms of an identity (`arcwise.identity`) are one owner, whichever was enrolled.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._size = 0
        self._vectors = np.empty((0, dim), np.float32)
        self._templates = np.empty(0, np.int64)
        self._qualities = np.empty(0, np.float64)  # NaN where there is none
        self._owners = np.empty(0, np.int64)  # a number for each identity, never used again
        self._metadata: list[str] = []
        self._numbers = itertools.count()
        self._number_of: dict[str, int] = {}  # by `identity_key`: what all written forms share
        self._identity_of: dict[int, str] = {}  # the form that was enrolled first
        self._others_of: dict[int, set[str]] = {}  # further forms, of the few that have some
        self._count_of: dict[int, int] = {}
        self._most = 0  # at least the templates of the identity that has most
        self._search: ExactSearch | None = None
        self._columns: dict[str, MetadataColumn] = {}  # of the keys that were asked for
        self._codes: TemplateCodes | None = None

    @classmethod
    def of_arrays(cls, dim: int, arrays: Arrays, names: Names) -> TemplateMatrix:
        """Return the matrix that `arrays` and `names` are of."""
        matrix = cls(dim)
        matrix._size = len(arrays["texts"])
        for name in GROWING:
            setattr(matrix, f"_{name}", arrays[name])
        distinct = names["metadata"]
        matrix._metadata = [distinct[place] for place in arrays["texts"].tolist()]
        for number, key, form, others in names["identities"]:
            matrix._number_of[form if form == key else key] = number  # one text for both
            matrix._identity_of[number] = form
            if others:
                matrix._others_of[number] = set(others)
        owners, counts = np.unique(arrays["owners"][: matrix._size], return_counts=True)
        matrix._count_of = dict(zip(owners.tolist(), counts.tolist(), strict=True))
        matrix._most = int(counts.max(initial=0))
        matrix._numbers = itertools.count(int(owners.max(initial=-1)) + 1)
        session = product() if "codes" in arrays else None
        if session is not None:
            matrix._codes = TemplateCodes.of_arrays(dim, session, arrays, matrix._size)
        return matrix

    def arrays(self) -> Arrays:
        """Return everything but names and texts, as arrays; they are not to be changed."""
        places: dict[str, int] = {}
        texts = [places.setdefault(one, len(places)) for one in self._metadata]
        found: Arrays = {name: getattr(self, f"_{name}")[: self._size] for name in GROWING}
        found["texts"] = np.array(texts, np.int64)
        self._searching()  # with its codes
        return found | ({} if self._codes is None else self._codes.arrays())

    def names(self) -> Names:
        """Return the identities, by their numbers, and the distinct texts of metadata."""
        key_of = {number: key for key, number in self._number_of.items()}
        identities = [
            [number, key_of[number], form, sorted(self._others_of.get(number, ()))]
            for number, form in self._identity_of.items()
        ]
        return {"identities": identities, "metadata": list(dict.fromkeys(self._metadata))}

    def __len__(self) -> int:
        return self._size

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and identity_key(identity) in self._number_of

    def identities(self) -> list[str]:
        """Return every identity once, sorted."""
        return sorted(self._identity_of.values())

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written, the first enrolled form first, or nothing."""
        number = self._number_of.get(identity_key(identity))
        if number is None:
            return []
        return [self._identity_of[number], *sorted(self._others_of.get(number, ()))]

    def counts(self) -> dict[str, int]:
        """Return how many templates each identity has, in the order of `identities`."""
        named = ((self._identity_of[one], count) for one, count in self._count_of.items())
        return dict(sorted(named))

    def templates(self, identity: str) -> list[int]:
        """Return the ids of an identity's templates, ascending; none for an unknown identity."""
        return np.sort(self._templates[self.rows(identity)]).tolist()

    def newest(self) -> int:
        """Return the largest template id; 0 without any."""
        return int(self._templates[: self._size].max(initial=0))

    def metadata_of(self, identity: str) -> list[str]:
        """Return the JSON texts of an identity's templates, in the order of their ids."""
        rows = self.rows(identity)
        return [self._metadata[row] for row in rows[np.argsort(self._templates[rows])].tolist()]

    def identity(self, row: int) -> str:
        """Return who owns a row, in the form that was enrolled first."""
        return self._identity_of[int(self._owners[row])]

    def template(self, row: int) -> int:
        """Return the id of a row's template."""
        return int(self._templates[row])

    def row(self, template: int) -> int | None:
        """Return the row of a template; None where it is not there."""
        found = np.flatnonzero(self._templates[: self._size] == template)
        return int(found[0]) if len(found) else None

    def metadata(self, row: int) -> str:
        """Return the JSON text of a row's template."""
        return self._metadata[row]

    def quality(self, row: int) -> float | None:
        """Return the quality of a row's template; None where there is none."""
        quality = float(self._qualities[row])
        return None if math.isnan(quality) else quality

    def enrolled(self, row: int) -> EnrolledTemplate:
        """Return a row's template, without its vector."""
        metadata = json.loads(self._metadata[row])
        return EnrolledTemplate(self.template(row), self.identity(row), metadata, self.quality(row))

    def hit(self, scored: ScoredRow) -> Hit:
        """Return what a search found."""
        similarity, row = scored
        metadata = json.loads(self._metadata[row])
        return Hit(self.identity(row), similarity, self.template(row), metadata)

    def joined(self, identities: Iterable[str]) -> list[str]:
        """Return what to say of identities that are enrolled in another written form, or will be.

        Args:
            identities: to enrol.
        """
        first: dict[str, str] = {}
        joined = []
        for one in dict.fromkeys(identities):
            form = (self.forms(one) or [first.setdefault(identity_key(one), one)])[0]
            if form != one:
                joined.append(f"{one!r} goes to {form!r}")
        return joined

    def reserve(self, size: int) -> None:
        """Make room for that many templates in all, in one allocation."""
        if size > len(self._templates):
            self._resize(size)

    def append(
        self,
        templates: NDArray[np.int64],
        identities: Sequence[str],
        vectors: NDArray[np.float32],
        metadata: Sequence[str],
        qualities: NDArray[np.float64] | float = math.nan,
    ) -> None:
        """Add the unit vectors (N, D) of N templates whose ids are new."""
        start, stop = self._size, self._size + len(templates)
        if stop > len(self._templates):
            self._resize(stop + stop // 4)
        self._vectors[start:stop] = vectors
        self._templates[start:stop] = templates
        self._qualities[start:stop] = qualities
        self._owners[start:stop] = [self._owner(identity) for identity in identities]
        self._metadata.extend(metadata)
        self._size = stop
        if self._codes is not None:
            self._codes.append(vectors)
        self._changed()

    def remove(self, templates: Sequence[int]) -> None:
        """Drop those of the templates that are there; fill the holes with the last rows."""
        dead = np.isin(self._templates[: self._size], np.asarray(templates, np.int64))
        for owner in self._owners[: self._size][dead].tolist():
            self._count_of[owner] -= 1
            if not self._count_of[owner]:
                del self._count_of[owner]
                del self._number_of[identity_key(self._identity_of.pop(owner))]
                self._others_of.pop(owner, None)
        size = self._size - int(dead.sum())
        holes = np.flatnonzero(dead[:size])
        movers = size + np.flatnonzero(~dead[size:])
        for array in (self._vectors, self._templates, self._owners, self._qualities):
            array[holes] = array[movers]
        for hole, mover in zip(holes.tolist(), movers.tolist(), strict=True):
            self._metadata[hole] = self._metadata[mover]
        del self._metadata[size:]
        self._size = size
        if self._codes is not None:
            self._codes.move(movers, holes, size)
        self._changed()
        if size < len(self._templates) // 4:
            self._resize(size)

    def similarities(self, identity: str, query: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cosines of one unit query (D,) with every template of an identity."""
        return self._searching().similarities(self.rows(identity), query)

    def matching(self, where: Condition) -> NDArray[np.int64]:
        """Return the rows whose metadata meet a condition, ascending."""
        missing = keys(where) - self._columns.keys()
        if missing:
            every = [json.loads(one) for one in self._metadata]
            for key in missing:
                self._columns[key] = MetadataColumn([one.get(key) for one in every])
        return np.flatnonzero(rows_that_match(where, self._columns))

    def search(
        self, queries: NDArray[np.float64], k: int, among: NDArray[np.int64] | None = None
    ) -> list[list[ScoredRow]]:
        """Return each of the K closest identities' best row, closest first, for queries (N, D).

        Args:
            queries: unit vectors.
            k: how many identities at most.
            among: the rows that take part; None for all.
        """
        return self._searching().search(queries, min(k, len(self._number_of)), among)

    def above(
        self,
        queries: NDArray[np.float64],
        threshold: float,
        among: NDArray[np.int64] | None = None,
    ) -> list[list[ScoredRow]]:
        """Return every identity's best row whose similarity reaches a threshold, closest first.

        Args:
            queries: unit vectors (N, D).
            threshold: the least similarity.
            among: the rows that take part; None for all.
        """
        return self._searching().above(queries, threshold, among)

    def rows(self, identity: str) -> NDArray[np.int64]:
        """Return the rows of an identity; none for an unknown one."""
        number = self._number_of.get(identity_key(identity), -1)
        return np.flatnonzero(self._owners[: self._size] == number)

    def _searching(self) -> ExactSearch:
        """Return the search among the rows as they are; codes are made when they first pay."""
        if self._search is None:
            vectors, owners = self._vectors[: self._size], self._owners[: self._size]
            if self._codes is None and self._size >= _CODED:
                session = product()
                if session is not None:
                    self._codes = TemplateCodes(self._dim, session)
                    self._codes.append(vectors)
            self._search = ExactSearch(vectors, owners, self._most, self._name, self._codes)
        return self._search

    def _name(self, row: int) -> tuple[str, int]:
        return self.identity(row), self.template(row)

    def _changed(self) -> None:
        self._search = None
        self._columns = {}

    def _owner(self, identity: str) -> int:
        identity = written_form(identity) or identity  # older galleries hold what was given
        key = identity_key(identity)
        number = self._number_of.get(key)
        if number is None:
            number = next(self._numbers)
            self._number_of[key] = number
            self._identity_of[number] = identity
        elif identity != self._identity_of[number]:
            self._others_of.setdefault(number, set()).add(identity)
        count = self._count_of.get(number, 0) + 1
        self._count_of[number] = count
        self._most = max(self._most, count)
        return number

    def _resize(self, capacity: int) -> None:
        for name in ("_vectors", "_templates", "_owners", "_qualities"):
            old = getattr(self, name)
            new = np.empty((capacity, *old.shape[1:]), old.dtype)
            new[: self._size] = old[: self._size]
            setattr(self, name, new)
