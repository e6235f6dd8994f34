"""Tar shards: a `.tar`, a folder of them, or a pattern: `train-{000000..000012}.tar`, `*.tar`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.data.containers.tarred import offset_table as tar_index
from arcwise.data.formats.file_kinds import is_hidden, split_of
from arcwise.data.formats.folder_identities import TopFolders
from arcwise.data.formats.manifest_columns import validated
from arcwise.data.formats.numbered_files import missing_notes
from arcwise.data.formats.shards.samples import ShardRows, read_samples
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_BRACES = re.compile(r"\{(\d+)\.\.(\d+)\}")
_PLACE = (tar_index.SHARD, tar_index.OFFSET, tar_index.BYTES)
_DAMAGED = (OSError, pa.ArrowException, KeyError, UnicodeDecodeError)
_MOST = 10**6  # shards that a pattern may name


def recognises(path: Path) -> bool:
    """Return whether a folder holds shards, and no folders."""
    inside = [one for one in path.iterdir() if not is_hidden(one.name)]
    return any(one.suffix == ".tar" for one in inside) and not any(one.is_dir() for one in inside)


def names_shards(path: Path) -> bool:
    """Return whether a path is no file but a pattern, or an offset table lies there for it."""
    if path.suffix != ".tar":
        return False
    return (
        bool(_BRACES.search(path.name)) or "*" in path.name or tar_index.index_path(path).is_file()
    )


def read(path: Path, *, identities: bool = True, top_folders: TopFolders | None = None) -> Manifest:
    """Return the manifest of tar shards; its images are `shard.tar/member`, in their order.

    An offset table `train.index.parquet` beside shards of the sizes it states is believed.
    Otherwise the shards are read: see `arcwise.data.formats.shards.samples`.
    """
    folder, shards = _shards(path)
    sets = groupby(shards, tar_index.index_path)
    parts = {
        index.name.removesuffix(".index.parquet"): _rows(index, some, top_folders)
        for index, some in sets
    }
    table = pa.concat_tables(_with_splits(parts), promote_options="permissive")
    if identities and "identity" not in table.column_names:
        raise ArcwiseError(
            f"{path}: the images lie in no folder and have no .json, .cls or .txt, so their "
            "identities are unknown"
        )
    return Manifest(
        validated(table, str(path), identities=identities),
        folder,
        path.resolve().name if path.is_dir() else " ".join(parts),
        ignored=tuple(one for part in parts.values() for one in part.ignored),
        understood=f"{len(shards):,} tar shard{'s' if len(shards) > 1 else ''}, "
        + " and ".join(sorted({part.understood for part in parts.values()})),
        notes=(
            *missing_notes(one.name for one in shards),
            *(note for part in parts.values() for note in part.notes),
        ),
    )


def _shards(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder and the shards in it, in order."""
    if path.is_dir():
        return path, sorted(path.glob("*.tar"))
    if path.is_file():
        return path.parent, [path]
    if "*" in path.name:
        shards = sorted(path.parent.glob(path.name))
        if not shards:
            raise ArcwiseError(f"{path}: no shard has a name like this")
        return path.parent, shards
    if not (braces := _BRACES.search(path.name)):
        names = _shards_of(tar_index.index_path(path))
    else:
        first, last = braces.groups()
        numbers = range(int(first), int(last) + 1)
        if not 0 < len(numbers) <= _MOST:
            raise ArcwiseError(f"{path}: {braces[0]} names {len(numbers):,} shards")
        start, end = path.name[: braces.start()], path.name[braces.end() :]
        names = [f"{start}{number:0{len(first)}d}{end}" for number in numbers]
    shards = [path.parent / name for name in names]
    missing = [one.name for one in shards if not one.is_file()]
    if missing or not shards:
        raise ArcwiseError(
            f"{path}: {len(missing)} of {len(shards)} shards are not there: "
            f"{', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}"
        )
    return path.parent, shards


def _shards_of(index: Path) -> list[str]:
    """Return the shards of an offset table; of a damaged one those that lie beside it."""
    try:
        with pq.ParquetFile(index) as file:
            names = list(tar_index.sizes_in(file))
    except _DAMAGED:
        names = []
    neighbours = sorted(
        one for one in index.parent.glob("*.tar") if tar_index.index_path(one) == index
    )
    return names or [one.name for one in neighbours]


def _rows(index: Path, some: Iterable[Path], top_folders: TopFolders | None) -> ShardRows:
    """Return the rows of shards that share an offset table, from it or from the shards."""
    shards = list(some)
    if not index.is_file():
        return read_samples(shards, top_folders)
    note = f"{index.name} is damaged or of other shards, and is not used: remove it"
    try:
        with pq.ParquetFile(index) as file:
            sizes, names = tar_index.sizes_in(file), file.schema_arrow.names
            fits = all(sizes.get(one.name) == one.stat().st_size for one in shards)
            if fits and {tar_index.IMAGE, *_PLACE} <= set(names):
                columns = [one for one in names if one not in _PLACE]
                groups = range(file.num_row_groups)  # as chunks: no second copy of the names
                parts = [file.read_row_group(one, columns, use_threads=False) for one in groups]
                table = pa.concat_tables(parts).replace_schema_metadata()
                places = file.read(list(_PLACE), use_threads=False)
                if len(shards) < len(sizes):
                    kept = pc.is_in(places[tar_index.SHARD], pa.array([one.name for one in shards]))
                    table, places = table.filter(kept), places.filter(kept)
                if (wrong := _misfit(shards, places)) is None:
                    return ShardRows(table, f"listed in {index.name}", notes=_missing(index, sizes))
                note = f"{index.name} {wrong}, and is not used: remove it"
    except _DAMAGED:
        pass
    rows = read_samples(shards, top_folders)
    return replace(rows, notes=(note, *rows.notes))


def _misfit(shards: list[Path], places: pa.Table) -> str | None:
    """Return what is wrong with an offset table, about the first shard that it does not fit."""
    for shard in shards:
        own = places.filter(pc.equal(places[tar_index.SHARD], shard.name))
        offsets, sizes = (
            own[one].cast(pa.int64()).to_numpy() for one in (tar_index.OFFSET, tar_index.BYTES)
        )
        if (wrong := tar_index.misfit(shard, offsets, sizes)) is not None:
            return wrong
    return None


def _missing(index: Path, sizes: dict[str, int]) -> tuple[str, ...]:
    """Return a note on shards that an offset table names and that do not lie beside it."""
    missing = [one for one in sizes if not (index.parent / one).is_file()]
    if not missing:
        return ()
    return (
        f"{index.name} names {len(sizes):,} shards, of which {len(missing):,} are not there: "
        f"{', '.join(missing[:3])}{' …' if len(missing) > 3 else ''}",
    )


def _with_splits(parts: dict[str, ShardRows]) -> list[pa.Table]:
    """Return the tables; where the names of the sets are exactly splits, these are a column."""
    names = [split_of(re.split(r"[-_.]", name)[-1]) for name in parts]
    tables = [part.table for part in parts.values()]
    if len(parts) < 2 or None in names or any("split" in one.column_names for one in tables):
        return tables
    return [
        one.append_column("split", pa.array([name] * len(one), pa.string()))
        for name, one in zip(names, tables, strict=True)
    ]
