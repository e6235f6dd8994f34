"""Data sets to measure on: they know whose their pictures are, or list pairs to verify."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.verbs.vectors_of import System

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


def open_to_measure(
    data: str | Path | Manifest, *, pairs: bool = False, **columns: Any
) -> Manifest:
    """The manifest of a data set; identities are asked for unless there are pairs to verify.

    Args:
        data: anything `open_manifest` takes.
        pairs: whether pairs are listed elsewhere.
        columns: how a table calls things, as of `open_manifest`.

    Raises:
        ArcwiseError: what `open_manifest` says.
    """
    found = open_manifest(data, identities=False, **columns)
    if not has_identities(found):
        enough = pairs or found.pairs is not None
    else:
        identity = pc.fill_null(found.table.column("identity"), "")
        enough = not pc.any(pc.equal(identity, "")).as_py()
    return found if enough else open_manifest(data, **columns)  # which says what is missing


def has_identities(manifest: Manifest) -> bool:
    """Whether a data set says whose its pictures are."""
    return "identity" in manifest.table.column_names


def notes(manifest: Manifest, systems: Sequence[System]) -> list[str]:
    """What a reader of numbers measured on these data has to know, a line each."""
    found = []
    if not has_identities(manifest):
        found.append(
            "whose these are is not known, so people that a model was made with may be among "
            "them, and intervals take the pairs for independent"
        )
    columns = manifest.table.column_names
    if "landmarks" in columns and manifest.has_images and "vector" not in columns:
        found += [
            f"{one.name} does not align faces, and these are not aligned (they come with "
            "landmarks): arcwise data align makes pictures that are"
            for one in systems
            if one.model is not None and not one.model.aligns
        ]
    return found
