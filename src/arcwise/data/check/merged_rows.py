"""The rows of several data sets as one: image, identity and place of each."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.manifest import Manifest
from arcwise.identity import identity_key

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


_BETWEEN_WORDS = re.compile(r"[\W_]+")


class Described(NamedTuple):
    """The names of some rows, of their identities and of their places.

    Attributes:
        images: names of the rows.
        identities: of the rows, each once.
        places: data sets and splits of the rows, each once.
    """

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]


class MergedRows:
    """N rows of several data sets, numbered from 0; eight bytes per row.

    Attributes:
        manifests: the data sets.
        identities: sorted; of several written forms of one identity, the first.
        owner: (N,) int32, the number of each row's identity; -1 where it has none.

    Args:
        manifests: the data sets.
        other_identities: whether the identities of further data sets are distinct from those of
            the first, even where they have the same names; they are then named with their data set.
    """

    def __init__(self, manifests: Sequence[Manifest], *, other_identities: bool = False) -> None:
        self.manifests = manifests
        self._starts = np.cumsum([0, *map(len, manifests)])
        nothing = [pa.nulls(len(one), pa.string()) for one in manifests]
        columns = [
            one.table.column("identity") if "identity" in one.table.column_names else none
            for one, none in zip(manifests, nothing, strict=True)
        ]
        if other_identities:
            titles = [f"{_title(number, one)}: " for number, one in enumerate(manifests)]
            columns = [
                pc.binary_join_element_wise(title, one, "") if number else one
                for number, (title, one) in enumerate(zip(titles, columns, strict=True))
            ]
        self.identities, self.owner = _as_one(*_coded(columns))
        self._places, self._place = _coded(map(_places, range(len(manifests)), manifests))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def name(self, row: int) -> str:
        """Return the name of a row: its image or number, after the name of a further data set."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        own = int(row - self._starts[number])
        manifest = self.manifests[number]
        name = manifest.image(own) if manifest.has_images else f"row {own + 1}"
        return f"{manifest.name}: {name}" if number else name

    def identity(self, row: int) -> str:
        """Return the identity of a row that has one."""
        return self.identities[self.owner[row]]

    def nobody(self) -> list[str]:
        """Return the names of rows without an identity, in data sets with identities."""
        names = []
        for start, manifest in zip(self._starts, self.manifests, strict=False):
            if "identity" in manifest.table.column_names:
                owners = self.owner[start : start + len(manifest)]
                names += [self.name(int(start + row)) for row in np.flatnonzero(owners < 0)]
        return names

    def described(self, rows: Iterable[int]) -> Described:
        """Return the names of some rows, of their identities and of their places."""
        chosen = np.fromiter(rows, np.int64)
        owners = np.unique(self.owner[chosen])
        return Described(
            tuple(map(self.name, chosen)),
            tuple(self.identities[one] for one in owners if one >= 0),
            tuple(self._places[one] for one in np.unique(self._place[chosen])),
        )

    def shared(self) -> list[str]:
        """Return the identities that are in more than one place: a leak."""
        owned = self.owner >= 0
        both = np.stack([self.owner[owned], self._place[owned]])
        owners, places = np.unique(np.unique(both, axis=1)[0], return_counts=True)
        return [self.identities[one] for one in owners[places > 1]]


def _places(number: int, manifest: Manifest) -> pa.Array:
    """Return (N,) text: data set and split of each row."""
    title = _title(number, manifest)
    if "split" not in manifest.table.column_names:
        return pa.repeat(title, len(manifest))
    splits = manifest.table.column("split").combine_chunks().dictionary_encode()
    words = [f"{title}, {split}" if split else title for split in splits.dictionary.to_pylist()]
    codes = splits.indices.fill_null(len(words))
    return pa.DictionaryArray.from_arrays(codes, pa.array([*words, title])).cast(pa.string())


def _title(number: int, manifest: Manifest) -> str:
    return f"{manifest.name} ({number + 1})" if number else manifest.name


def _as_one(words: list[str], codes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Return the first form of each identity, and (N,) int32 the identity of each row."""
    numbers: dict[str, int] = {}
    kept: list[str] = []
    rank = np.full(len(words) + 1, -1, np.int32)  # the last for -1
    for place, word in enumerate(words):
        rank[place] = numbers.setdefault(identity_key(word) or word, len(numbers))
        if len(numbers) > len(kept):
            kept.append(word)
    return kept, rank[codes]


def _coded(columns: Iterable[pa.Array | pa.ChunkedArray]) -> tuple[list[str], np.ndarray]:
    """Return the distinct values, sorted, and (N,) int32 the one of each row; -1 for none."""
    chunks = [
        chunk
        for one in columns
        for chunk in (one.chunks if isinstance(one, pa.ChunkedArray) else [one])
    ]
    encoded = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    words = encoded.dictionary.to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    rank = np.empty(len(words) + 1, np.int32)
    rank[order] = np.arange(len(words), dtype=np.int32) - (bool(words) and words[order[0]] == "")
    rank[-1] = -1
    codes = np.asarray(encoded.indices.fill_null(-1), np.int64)
    return [words[one] for one in order if words[one]], rank[codes]


def suspects(identities: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of identities that differ only in case, accents, separators or word order.

    `Coca Cola` and `coca-cola`; `Müller` composed and decomposed; `Choi_Sung-hong` and
    `Sung_Hong_Choi`. They may be different: a person has to decide.
    """
    groups: dict[str, set[str]] = defaultdict(set)
    for identity in set(identities):
        words = _words(identity)
        groups["".join(words)].add(identity)
        groups[" ".join(sorted(words))].add(identity)
    candidates = {tuple(sorted(group)) for key, group in groups.items() if key and len(group) > 1}
    return sorted(
        group for group in candidates if not any(set(group) < set(more) for more in candidates)
    )


def _words(identity: str) -> list[str]:
    parts = unicodedata.normalize("NFKD", identity.casefold())
    plain = "".join(part for part in parts if not unicodedata.combining(part))
    return [word for word in _BETWEEN_WORDS.split(plain) if word]
