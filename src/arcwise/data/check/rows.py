"""The rows of several data sets as one: what each is called, whose it is, and where it lies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from arcwise.data.manifest import Manifest


class Described(NamedTuple):
    """Some rows, in words.

    Attributes:
        images: what they are called.
        identities: whose they are, each once.
        places: the data sets and splits they lie in, each once.
    """

    images: tuple[str, ...]
    identities: tuple[str, ...]
    places: tuple[str, ...]


class Rows:
    """N rows, numbered through; eight bytes each.

    Attributes:
        manifests: the data sets.
        identities: all there are, sorted.
        owner: (N,) int32, the number of each row's identity; -1 where it has none.
    """

    def __init__(self, manifests: Sequence[Manifest]) -> None:
        self.manifests = manifests
        self._starts = np.cumsum([0, *map(len, manifests)])
        nothing = [pa.nulls(len(one), pa.string()) for one in manifests]
        columns = [
            one.table.column("identity") if "identity" in one.table.column_names else none
            for one, none in zip(manifests, nothing, strict=True)
        ]
        self.identities, self.owner = _coded(columns)
        self._places, self._place = _coded(map(_places, range(len(manifests)), manifests))

    def __len__(self) -> int:
        return int(self._starts[-1])

    def name(self, row: int) -> str:
        """What a row is called: its picture or number; after its data set where that is another."""
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        own = int(row - self._starts[number])
        manifest = self.manifests[number]
        name = manifest.image(own) if manifest.has_images else f"row {own + 1}"
        return f"{manifest.name}: {name}" if number else name

    def identity(self, row: int) -> str:
        """Whose a row is, which has an identity."""
        return self.identities[self.owner[row]]

    def nobody(self) -> list[str]:
        """The rows without an identity, of data sets that have any."""
        found = []
        for start, manifest in zip(self._starts, self.manifests, strict=False):
            if "identity" in manifest.table.column_names:
                owners = self.owner[start : start + len(manifest)]
                found += [self.name(int(start + row)) for row in np.flatnonzero(owners < 0)]
        return found

    def described(self, rows: Iterable[int]) -> Described:
        """What some rows are called, whose they are, and where they lie."""
        chosen = np.fromiter(rows, np.int64)
        owners = np.unique(self.owner[chosen])
        return Described(
            tuple(map(self.name, chosen)),
            tuple(self.identities[one] for one in owners if one >= 0),
            tuple(self._places[one] for one in np.unique(self._place[chosen])),
        )

    def shared(self) -> list[str]:
        """The identities that are in more than one place: a leak."""
        owned = self.owner >= 0
        both = np.stack([self.owner[owned], self._place[owned]])
        owners, places = np.unique(np.unique(both, axis=1)[0], return_counts=True)
        return [self.identities[one] for one in owners[places > 1]]


def _places(number: int, manifest: Manifest) -> pa.Array:
    """(N,) text: data set and split of each row."""
    title = f"{manifest.name} ({number + 1})" if number else manifest.name
    if "split" not in manifest.table.column_names:
        return pa.repeat(title, len(manifest))
    splits = manifest.table.column("split").combine_chunks().dictionary_encode()
    words = [f"{title}, {split}" if split else title for split in splits.dictionary.to_pylist()]
    codes = splits.indices.fill_null(len(words))
    return pa.DictionaryArray.from_arrays(codes, pa.array([*words, title])).cast(pa.string())


def _coded(columns: Iterable[pa.Array | pa.ChunkedArray]) -> tuple[list[str], np.ndarray]:
    """The values there are, sorted, and (N,) int32 which one each row has; -1 for none."""
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
