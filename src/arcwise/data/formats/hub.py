"""Parquet shards as the Hugging Face hub lays them out: a folder of them, or a pattern.

`data/train-00000-of-00005.parquet`, `train.parquet`, `default/train/0000.parquet`: the split is in
the name of the file, or in that of a folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.data.containers import KINDS
from arcwise.data.containers.parquet import holds_images, open_table
from arcwise.data.containers.parquet.footer import Footer
from arcwise.data.containers.parquet.thrift import Malformed
from arcwise.data.formats.file_kinds import OWN_TABLES, SPLITS, is_image, printable, unlisted_notes
from arcwise.data.formats.folder_walk import walk
from arcwise.data.formats.numbered_files import missing_notes, stem_of
from arcwise.data.formats.table import read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_ENDING = ".parquet"
_OTHERS = (".index.parquet", ".manifest.parquet")  # tables of ours beside shards and records
_DEEPEST = 3  # folders around a shard
_MOST_FOLDERS = 64  # beside one another; more are identities
_WILD = re.compile(r"[*?\[]|\{\d+\.\.\d+\}")
_SPLITS = SPLITS | {"training": "train", "testing": "test", "eval": "test", "evaluation": "test"}


def recognises(path: Path) -> bool:
    """Return whether a folder holds Parquet files, in itself or a few folders.

    Where images lie there too, the files must lie in the folder itself or in `data/`. Their names
    must be those of splits, or they must name images that lie elsewhere.
    """
    if any((path / name).is_file() for name in OWN_TABLES):
        return False
    shards = False
    for one in _files(path):
        if is_image(one.name) or one.is_dir():
            near = (file for place in (path, path / "data") for file in place.glob(f"*{_ENDING}"))
            return any(_is_shard(file) and _describes_images(file) for file in near)
        shards = shards or _is_shard(one)
    return shards


def _describes_images(shard: Path) -> bool:
    try:
        image_columns = [one.name for one in pq.read_schema(shard) if holds_images(one)]
        footer = Footer(shard)
    except (pa.ArrowException, OSError, Malformed):
        return False
    outside = any(footer.without(f"{one}.bytes") for one in image_columns)
    return bool(image_columns) and (outside or _split_of(shard.name) is not None)


def names_shards(path: Path) -> bool:
    """Return whether a path is a pattern for Parquet files, with their ending or without."""
    if not _WILD.search(str(path)) or path.exists():
        return False
    suffix = path.suffix.lower()
    return suffix == _ENDING if suffix in KINDS else bool(_matching(path)[2])


def read(path: Path, *, identities: bool = True, **columns: Any) -> Manifest:
    """Return the manifest of all shards, their images relative to the folder.

    Args:
        path: the folder, or a pattern.
        identities: whether every row must have one.
        columns: what columns are called, as of `read_table`.

    Raises:
        ArcwiseError: there is none, they are of several configurations, or do not go together.
    """
    root, shards, others = _shards(path)
    names = [shard.relative_to(root).as_posix() for shard in shards]
    if path.is_dir():
        _one_configuration(path, names)
    tables, notes, understood = [], list(missing_notes(names)), ""
    for shard, name in zip(shards, names, strict=True):
        manifest = read_table(shard, identities=identities, **columns)
        tables.append(_relative_to_root(manifest, name, moved=columns.get("images") is not None))
        notes += manifest.notes
        if "holds its images" in manifest.understood:
            understood = ", which hold their images" if len(shards) > 1 else ", with its images"
    tables, splits = _with_splits(tables, names)
    if None in splits and any(splits):
        without = [name for name, split in zip(names, splits, strict=True) if split is None]
        notes.append(f"the names of {len(without):,} files say no split, the first is {without[0]}")
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as problem:
        line = str(problem).partition("\n")[0]
        raise ArcwiseError(f"{path}: its files do not have the same columns ({line})") from None
    if any(is_image(one.name) or one.is_dir() for one in others):
        listed: set[str] = set()
        if columns.get("images") is None:
            listed.update(*map(_paths, shards, names))
            notes += unlisted_notes(
                walk(path).files, names[0] if len(names) == 1 else "Parquet", listed
            )
        others = [one for one in others if not is_image(one.name) and not one.is_dir()]
    split_names = ", ".join(dict.fromkeys(split for split in splits if split))
    files = f"{len(shards):,} Parquet file{'s' if len(shards) > 1 else ''}{understood}"
    return Manifest(
        table,
        root if columns.get("images") is None else columns["images"],
        path.resolve().name if path.is_dir() else root.resolve().name,
        ignored=tuple(printable(one.relative_to(root).as_posix()) for one in others),
        understood=files + (f", the splits in their names ({split_names})" if split_names else ""),
        notes=tuple(notes),
    )


def _paths(shard: Path, name: str) -> Iterator[str]:
    """Yield the paths in a shard's columns of images, relative to the folder of all shards."""
    folder = PurePosixPath(name).parent
    with open_table(shard) as file:
        image_columns = [one for one in file.schema_arrow if holds_images(one)]
        for one in image_columns:
            if one.type.get_field_index("path") >= 0:
                table = file.read([f"{one.name}.path"], use_threads=False)
                for place in pc.struct_field(table.column(one.name), "path").to_pylist():
                    yield str(folder / (place or "").replace("\\", "/"))


def _files(folder: Path, depth: int = 0) -> Iterator[Path]:
    """Yield the files of a folder and of the few in it; where these are many, they themselves."""
    try:
        with os.scandir(folder) as inside:
            entries = sorted((one for one in inside if not one.name.startswith(".")), key=_by_name)
    except OSError:  # another reader of the folder reports it
        return
    yield from (folder / one.name for one in entries if one.is_file())
    folders = [folder / one.name for one in entries if one.is_dir()]
    if depth == _DEEPEST or len(folders) > _MOST_FOLDERS:
        yield from folders
        return
    for one in folders:
        yield from _files(one, depth + 1)


def _by_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _is_shard(file: Path) -> bool:
    name = file.name.lower()
    return name.endswith(_ENDING) and not name.endswith(_OTHERS) and not name.startswith("_")


def _shards(path: Path) -> tuple[Path, list[Path], list[Path]]:
    """Return the folder of all shards, the shards, and the other files in a folder."""
    if path.is_dir():
        files = list(_files(path))
        shards = [one for one in files if _is_shard(one)]
        return path, shards, [one for one in files if not _is_shard(one)]
    root, patterns, shards = _matching(path)
    if not shards:
        raise ArcwiseError(f"{path}: no file has a name like this")
    if lacking := len(patterns) - len(shards):
        missing = [one for one in patterns if not (root / one).is_file()]
        if len(patterns) > 1 and missing:
            raise ArcwiseError(
                f"{path}: {lacking:,} of {len(patterns):,} files are not there: {missing[0]}"
            )
    return root, shards, []


def _matching(path: Path) -> tuple[Path, list[str], list[Path]]:
    """Return the folder a pattern starts from, a pattern for each number in it, and the shards."""
    root, parts = path, list[str]()
    while _WILD.search(str(root)):
        parts.insert(0, root.name)
        root = root.parent
    patterns = list(_expanded("/".join(parts)))
    files = sorted({one for pattern in patterns for one in root.glob(pattern) if one.is_file()})
    return root, patterns, [one for one in files if _is_shard(one)]


def _expanded(pattern: str) -> Iterator[str]:
    """Yield a pattern for every number between braces (`{000..012}`)."""
    braces = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if braces is None:
        yield pattern
        return
    first, last = braces.groups()
    for number in range(int(first), min(int(last), int(first) + 10**6) + 1):
        text = f"{number:0{len(first)}d}"
        yield from _expanded(pattern[: braces.start()] + text + pattern[braces.end() :])


def _one_configuration(path: Path, names: list[str]) -> None:
    """Raise an error where the folders around shards are several data sets."""
    tops = sorted({name.partition("/")[0] for name in names if "/" in name})
    several = [one for one in tops if one != "data" and _split_in(one) is None]
    if len(several) > 1:
        raise ArcwiseError(
            f"{path}: holds {len(several):,} configurations ({', '.join(several[:5])}); name one "
            f"of them: {path / several[0]}"
        )


def _relative_to_root(manifest: Manifest, name: str, *, moved: bool) -> pa.Table:
    """Return the table of a shard, its images relative to the folder of all shards."""
    table, folder = manifest.table, name.rpartition("/")[0]
    if moved or not folder or not manifest.has_images:
        return table
    images = table.column("image")
    whole = pc.match_substring_regex(images, r"^(/|[A-Za-z]:[/\\])")
    images = pc.if_else(whole, images, pc.binary_join_element_wise(folder, images, "/"))
    return table.set_column(table.column_names.index("image"), "image", images)


def _with_splits(
    tables: list[pa.Table], names: list[str]
) -> tuple[list[pa.Table], list[str | None]]:
    """Return the tables with a column `split`, where only the names state one, and the splits."""
    splits = [_split_of(name) for name in names]
    if not any(splits) or any("split" in one.column_names for one in tables):
        return tables, []
    return [
        one.append_column("split", pa.array([split] * len(one), pa.string()))
        for one, split in zip(tables, splits, strict=True)
    ], splits


def _split_of(name: str) -> str | None:
    """Return the split in a shard's own name, else in that of the nearest folder."""
    *folders, file = name.split("/")
    stem = stem_of(file)
    if stem:  # of a numbered file, whatever stands before the number
        return _split_in(stem) or stem
    for one in (file.rpartition(".")[0], *reversed(folders)):
        if (split := _split_in(one)) is not None:
            return split
    return None


def _split_in(name: str) -> str | None:
    words = re.split(r"[\W_\d]+", name.lower())
    return next((_SPLITS[one] for one in words if one in _SPLITS), None)
