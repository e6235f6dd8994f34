"""The first pass of an exact search over codes of 8 bits: a quarter of the bytes to read.

A unit vector x is kept as whole numbers c from -127 to 127 and a scale s, and so is a query q as d
and t. With r_x = ‖x - s c‖ and r_q = ‖q - t d‖, which are known,

    |q·x - s t (c·d)| ≤ r_q ‖x‖ + ‖t d‖ r_x ≤ r_q + (1 + r_q) r_x,

so that a product of codes, which is exact, says between which limits a similarity lies. Rows whose
upper limit is below the K-th best lower limit cannot be among the K best; the few that remain are
scored again from the vectors. ONNX Runtime multiplies the codes.

Shapes: N queries, D dimensions, G gallery entries (templates).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

WIDTH = 16_448
"""Rows of a block, which are multiplied at once. Columns that are a power of two bytes apart would
push each other out of the cache."""

ROUNDING = np.float32(1e-5)  # more than what float32 can add to a limit
_MOST, ZERO = 127, 128
_ARRAYS = "codes", "scales", "wrong", "zero"
_CACHED = 512  # rows that are coded at once

# q (N, D) uint8 times c (D, G) int8: p (N, G) int32, as ONNX.
_PRODUCT = (
    b'\x08\x08:b\n\x18\n\x01q\n\x01c\x12\x01p"\rMatMulInteger\x12\x01gZ\x15\n\x01q\x12\x10\n\x0e'
    b"\x08\x02\x12\n\n\x03\x12\x01n\n\x03\x12\x01dZ\x15\n\x01c\x12\x10\n\x0e\x08\x03\x12\n\n\x03"
    b"\x12\x01d\n\x03\x12\x01gb\x15\n\x01p\x12\x10\n\x0e\x08\x06\x12\n\n\x03\x12\x01n\n\x03\x12"
    b"\x01gB\x04\n\x00\x10\r"
)


@cache
def product(threads: int = 0) -> InferenceSession | None:
    """Return what multiplies codes exactly; None where ONNX Runtime is not there, or does not.

    Processors without instructions for it add pairs of products in 16 bits, which overflow.

    Args:
        threads: of one product; 0 for what OMP_NUM_THREADS says, or else all cores.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the model needs them
    options.intra_op_num_threads = threads or int(os.environ.get("OMP_NUM_THREADS", "0") or 0)
    session = onnxruntime.InferenceSession(_PRODUCT, options, providers=["CPUExecutionProvider"])
    largest = np.full((64, 256), _MOST, np.int8)
    for queries in (1, 8):
        found = multiplied(session, np.full((queries, 64), 255, np.uint8), largest)
        if (found != 64 * 255 * _MOST).any():
            return None
    return session


def multiplied(
    session: InferenceSession, queries: NDArray[np.uint8], codes: NDArray[np.int8]
) -> NDArray[np.int32]:
    """Return the product (N, G) of queries (N, D) with codes (D, G)."""
    return np.asarray(session.run(None, {"q": queries, "c": codes})[0])


class TemplateCodes:
    """The codes of G unit vectors, in blocks; row by row what the matrix of vectors is."""

    def __init__(self, dim: int, session: InferenceSession) -> None:
        self._dim = dim
        self._session = session
        self._size = 0
        self._blocks: list[_Block] = []

    @classmethod
    def of_arrays(
        cls, dim: int, session: InferenceSession, arrays: Mapping[str, NDArray[Any]], size: int
    ) -> TemplateCodes:
        """Return the codes of some rows that `arrays` are of."""
        codes = cls(dim, session)
        codes._size = size
        parts = (arrays[name] for name in _ARRAYS)
        codes._blocks = [_Block(*block) for block in zip(*parts, strict=True)]
        return codes

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the codes as arrays, a block in a row."""
        return {
            name: np.stack(part)
            for name, part in zip(_ARRAYS, zip(*self._blocks, strict=True), strict=True)
        }

    def append(self, vectors: NDArray[np.float32]) -> None:
        """Add unit vectors (N, D)."""
        done = 0
        while done < len(vectors):
            block, place = divmod(self._size, WIDTH)
            if block == len(self._blocks):
                self._blocks.append(_Block.empty(self._dim))
            count = min(WIDTH - place, len(vectors) - done)
            self._blocks[block].put(slice(place, place + count), vectors[done : done + count])
            self._size, done = self._size + count, done + count

    def move(self, movers: NDArray[np.int64], holes: NDArray[np.int64], size: int) -> None:
        """Put the codes of some rows into others, and keep the first rows only."""
        for mover, hole in zip(movers.tolist(), holes.tolist(), strict=True):
            (a, i), (b, j) = divmod(mover, WIDTH), divmod(hole, WIDTH)
            for source, target in zip(self._blocks[a], self._blocks[b], strict=True):
                target[..., j] = source[..., i]
        del self._blocks[-(-size // WIDTH) :]
        self._size = size

    def candidates(
        self,
        queries: NDArray[np.float32],
        owners: NDArray[np.int64],
        k: int,
        width: int,
        takes_part: NDArray[np.bool_] | None = None,
    ) -> list[NDArray[np.int64] | None]:
        """Return for each query the rows that may be among its K best owners' best, ascending.

        Args:
            queries: unit vectors (N, D).
            owners: (G,) whose each row is.
            k: how many owners, 1 or more.
            width: rows of the first block among which the K owners are looked for, K or more.
            takes_part: (G,) whether each row does; None where all do.

        Returns:
            N arrays; None where those rows are of fewer than K owners.
        """
        codes, scales, wrong = coded(queries)
        shifted = (codes.astype(np.int16) + ZERO).astype(np.uint8)
        found = [_Best(owners, k, width) for _ in queries]
        for number, block in enumerate(self._blocks):
            first = number * WIDTH
            used = min(WIDTH, self._size - first)
            products = multiplied(self._session, shifted, block.codes)
            largest = block.wrong[:used].max()
            similarities = np.empty(used, np.float32)
            part = None if takes_part is None else takes_part[first : first + used]
            for query, one in enumerate(found):
                # A query at a time, which stays in the cache.
                similarities[:] = products[query, :used] - block.zero[:used]
                similarities *= block.scales[:used]
                similarities *= scales[query]
                near = similarities >= one.cut - _wrong(wrong[query], largest)
                rows = np.flatnonzero(near if part is None else near & part)
                limits = _wrong(wrong[query], block.wrong[rows])
                if not number:
                    one.begin(rows, similarities[rows], limits)
                elif one.known and len(rows):
                    one.add(first + rows, similarities[rows], limits)
        return [one.rows() for one in found]


class _Block(NamedTuple):
    """Codes (D, WIDTH), their scales (WIDTH,), what they are wrong by, and what 128 adds."""

    codes: NDArray[np.int8]
    scales: NDArray[np.float32]
    wrong: NDArray[np.float32]
    zero: NDArray[np.int32]

    @classmethod
    def empty(cls, dim: int) -> _Block:
        return cls(
            np.zeros((dim, WIDTH), np.int8),
            np.zeros(WIDTH, np.float32),
            np.zeros(WIDTH, np.float32),
            np.zeros(WIDTH, np.int32),
        )

    def put(self, places: slice, vectors: NDArray[np.float32]) -> None:
        codes, self.scales[places], self.wrong[places] = coded(vectors)
        self.codes[:, places] = codes.T
        self.zero[places] = ZERO * codes.sum(axis=1, dtype=np.int32)


def coded(
    vectors: NDArray[np.float32],
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.float32]]:
    """Return codes (N, D) of vectors, their scales (N,), and what they are wrong by (N,)."""
    codes = np.empty(vectors.shape, np.int8)
    scales, wrong = np.empty(len(vectors), np.float32), np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _CACHED):
        part = slice(start, start + _CACHED)
        some = vectors[part]
        largest = np.maximum(some.max(axis=1, initial=0), -some.min(axis=1, initial=0))
        scales[part] = np.maximum(largest / np.float32(_MOST), np.float32(1e-30))
        whole = np.rint(some / scales[part, None])
        codes[part] = whole
        whole *= scales[part, None]
        whole -= some
        wrong[part] = np.sqrt(np.einsum("nd,nd->n", whole, whole))
    return codes, scales, wrong


def _wrong(of_query: np.float32, of_rows: Any) -> Any:
    """Return by how much similarities of codes are wrong at most."""
    return of_query + (1 + of_query) * of_rows + ROUNDING


class _Best:
    """The rows that may be among one query's best, as far as was looked."""

    def __init__(self, owners: NDArray[np.int64], k: int, width: int) -> None:
        self._owners, self._k, self._width = owners, k, width
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]] = []
        self._held = self._after_shrinking = 0
        self.cut = np.float32(-np.inf)  # the K-th best owner has a row of at least this similarity

    @property
    def known(self) -> bool:
        """Whether the first rows were of K owners; if not, nothing is looked for."""
        return bool(self.cut > -np.inf)

    def begin(
        self, rows: NDArray[np.int64], similarities: NDArray[np.float32], wrong: NDArray[np.float32]
    ) -> None:
        """Take in the first rows."""
        lower = similarities - wrong
        few = min(self._width, len(lower))
        top = np.argpartition(lower, len(lower) - few)[len(lower) - few :] if few else rows
        self._cut(rows[top], lower[top])
        if self.known:
            kept = similarities + wrong >= self.cut
            self.add(rows[kept], similarities[kept], wrong[kept])

    def add(
        self, rows: NDArray[np.int64], similarities: NDArray[np.float32], wrong: NDArray[np.float32]
    ) -> None:
        """Take in further rows."""
        self._parts.append((rows, similarities - wrong, similarities + wrong))
        self._held += len(rows)
        if self._held > 2 * self._after_shrinking + self._width:
            self._shrink()

    def rows(self) -> NDArray[np.int64] | None:
        """Return the rows, ascending; None where nothing was looked for."""
        if not self.known:
            return None
        self._shrink()
        return np.sort(self._parts[0][0])

    def _shrink(self) -> None:
        """Leave out what cannot be among the best."""
        rows, lower, upper = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        few = min(self._width, len(rows))
        top = np.argpartition(lower, len(rows) - few)[len(rows) - few :]
        self._cut(rows[top], lower[top])
        kept = upper >= self.cut
        self._parts = [(rows[kept], lower[kept], upper[kept])]
        self._held = self._after_shrinking = int(kept.sum())

    def _cut(self, rows: NDArray[np.int64], lower: NDArray[np.float32]) -> None:
        """Raise the cut to the K-th best owner's best lower limit among some rows."""
        order = np.argsort(-lower, kind="stable")
        _, firsts = np.unique(self._owners[rows[order]], return_index=True)
        if len(firsts) >= self._k:
            place = order[np.partition(firsts, self._k - 1)[self._k - 1]]
            self.cut = max(self.cut, lower[place])
