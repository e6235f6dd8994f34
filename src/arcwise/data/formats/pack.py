"""A `.bin` verification pack: images in pairs, and whether each pair shows one identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.containers.pack import PackContainer
from arcwise.data.image_files import open_container
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

FOLDS = 10
"""As many contiguous ones as LFW's protocol has, and all that is published on packs."""


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of a pack: images `lfw.bin/0` …, and its pairs.

    The folds are those of scikit-learn's `KFold(10, shuffle=False)`, counted from 1; with fewer
    than two pairs a fold there are none.

    Raises:
        ArcwiseError: it is no pack, or identities are asked for.
    """
    if identities:
        raise ArcwiseError(
            f"{path}: a verification pack lists pairs, not identities; 'arcwise evaluate' takes it"
        )
    pack = open_container(str(path))
    assert isinstance(pack, PackContainer), "its ending was checked"
    numbers = pa.array(np.arange(len(pack))).cast(pa.string())
    images = pc.binary_join_element_wise(path.name, numbers, "/")
    pairs = pa.table({"a": images[0::2], "b": images[1::2], "same": pa.array(pack.same)})
    count = len(pack.same)
    understood = f"a verification pack of {count:,} pairs"
    if count >= 2 * FOLDS:
        pairs = pairs.append_column("fold", pa.array(contiguous_folds(count)))
        understood += f" in {FOLDS} folds"
    notes = ()
    if pack.same.all() or not pack.same.any():
        kind = "the same identity" if pack.same.all() else "different identities"
        notes = (
            f"all {count:,} pairs of {path.name} are of {kind}; no error rate follows from it",
        )
    return Manifest(
        pa.table({"image": images}),
        path.parent,
        path.stem,
        understood=understood,
        pairs=pairs,
        notes=notes,
    )


def contiguous_folds(count: int) -> np.ndarray:
    """Return (count,) int64: the fold of each pair, from 1 on; the first may hold one pair more."""
    sizes = [len(part) for part in np.array_split(np.arange(count), FOLDS)]
    return np.repeat(np.arange(1, FOLDS + 1), sizes)
