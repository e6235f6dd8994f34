"""The path of a new table, checked before any work is done for it."""

from __future__ import annotations

from pathlib import Path

from arcwise.errors import ArcwiseError


def table_path(out: str | Path) -> Path:
    """Return the path of a table that is about to be written.

    Raises:
        ArcwiseError: it ends otherwise than .parquet or .csv, it is there, or its folder is not.
    """
    path = Path(out)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ArcwiseError(f"{out}: expected a table, ending in .parquet or .csv")
    if path.exists():
        raise ArcwiseError(f"{out} exists; name another table with --out, or remove it")
    if not path.absolute().parent.is_dir():
        raise ArcwiseError(f"{out}: no folder {path.parent}; make it first")
    return path
