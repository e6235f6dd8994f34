"""Images that a `metadata.csv` in their folder names: the imagefolder of Hugging Face.

The table lies in the folder (or `.zip`), or in each split's folder, and its `file_name` starts from
where it lies. Images may lie flat in `train/` and `test/`: these are splits, and no identities.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from arcwise.data.containers.zipped import ZipContainer
from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.file_kinds import (
    OWN_TABLES,
    hidden_part,
    is_hidden,
    is_image,
    printable,
    spelled_in_any_case,
    split_of,
)
from arcwise.data.formats.folder_walk import walk
from arcwise.data.formats.manifest_columns import validated
from arcwise.data.formats.parquet_table import parse_parquet
from arcwise.data.formats.table import with_reachable_images
from arcwise.data.image_files import open_container
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import read_file

NAMES = spelled_in_any_case("metadata.csv", "metadata.jsonl", "metadata.parquet")
_IMAGE = ("file_name", "image", "filename", "file", "path", "image_path")
_IDENTITY = ("identity", "label", "class", "person", "subject")


def tables_in(path: Path, image_column: str | None = None) -> dict[str, pa.Table]:
    """Return the tables that name the images of a folder or `.zip`, by their path; often none.

    Raises:
        ArcwiseError: one of them is no table.
    """
    if path.is_dir():
        names = _in_folder(path)
    else:
        members = _archive(path).members
        names = [] if any(one in members for one in OWN_TABLES) else _in_archive(members)
    tables = {name: _table(path, name) for name in names}
    columns = _IMAGE if image_column is None else (image_column,)
    fit = all(set(columns) & set(one.column_names) for one in tables.values())
    return tables if fit else {}


def read(
    path: Path,
    tables: dict[str, pa.Table],
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
) -> Manifest:
    """Return the manifest of all rows; images that no table names are counted and ignored.

    The identity is the column `identity`, `label`, `class`, `person` or `subject`, the first there
    is, or else the folder that holds the image. The split is that of the folder.

    Raises:
        ArcwiseError: a column is lacking, or what it holds is of the wrong kind.
    """
    title = str(path / min(tables))
    parts = [_named(table, name, image_column) for name, table in tables.items()]
    table = pa.concat_tables(parts, promote_options="permissive")
    table = _with_folders(table, identity_column)
    table = validated(table, title, identity_column=identity_column, identities=identities)
    table = with_reachable_images(table, path, title)
    listed = {posixpath.normpath(one) for one in table.column("image").to_pylist()}
    names = [*_archive(path).members] if path.is_file() else walk(path).files
    others = [one for one in names if one not in listed and one not in tables]
    left_out = sorted(one for one in others if is_image(one))
    notes = ()
    if left_out:
        notes = (
            f"{len(left_out):,} images are left out: {' and '.join(sorted(tables))} does not "
            f"list them ({printable(left_out[0])}{' …' if len(left_out) > 1 else ''})",
        )
    name = path.stem if path.is_file() else path.resolve().name
    ignored = sorted(
        {printable(hidden_part(one) or one) for one in others if not one.endswith("/")}
    )
    understood = f"the table {' and '.join(sorted(tables))}"
    return Manifest(table, path, name, tuple(ignored), understood, notes=notes)


def _in_folder(path: Path) -> list[str]:
    """Return the tables in a folder, or in its splits' folders; a folder around all is passed."""
    if any((path / one).is_file() for one in OWN_TABLES):
        return []
    prefix = ""
    while True:
        place = path / prefix
        name = next((one for one in NAMES if (place / one).is_file()), None)
        if name is not None:
            return [prefix + name]
        try:
            with os.scandir(place) as entries:
                tops = sorted(one.name for one in entries if one.is_dir())
        except OSError:
            return []
        tops = [one for one in tops if not is_hidden(one)]
        if len(tops) != 1 or split_of(tops[0]):
            break
        prefix += f"{tops[0]}/"
    inside = [f"{prefix}{top}/{one}" for top in tops if split_of(top) for one in NAMES]
    return _one_each([one for one in inside if (path / one).is_file()])


def _in_archive(members: Iterable[str]) -> list[str]:
    """Return the tables in an archive, or in its splits' folders."""
    names = [one for one in members if one.rpartition("/")[2] in NAMES and hidden_part(one) is None]
    if not names:
        return []
    depth = min(one.count("/") for one in names)
    top = [one for one in names if one.count("/") == depth]
    splits = [one for one in top if split_of(posixpath.basename(posixpath.dirname(one)))]
    return _one_each(splits or top[:1])


def _one_each(names: list[str]) -> list[str]:
    """Return one table of each folder."""
    return list({posixpath.dirname(one): one for one in reversed(names)}.values())[::-1]


def _table(path: Path, name: str) -> pa.Table:
    title = f"{path}/{name}"
    if path.is_dir():
        try:
            data = read_file(path / name)
        except OSError as problem:
            raise ArcwiseError(f"{title}: {problem.strerror}") from None
    else:
        data = _archive(path).read(name, name)
    if name.lower().endswith(".csv"):
        return parse_csv(data, title)
    return parse_parquet(data, title) if name.lower().endswith(".parquet") else _lines(data, title)


def _lines(data: bytes, title: str) -> pa.Table:
    """Return the table of a text with a JSON object a line."""
    rows = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise ArcwiseError(f"{title}: line {number} is no JSON object; expected {{...}}")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    try:
        return pa.table({name: [row.get(name) for row in rows] for name in names})
    except (pa.ArrowException, OverflowError) as problem:
        line = str(problem).partition("\n")[0]
        raise ArcwiseError(f"{title}: values of one name are of several kinds ({line})") from None


def _named(table: pa.Table, name: str, image_column: str | None) -> pa.Table:
    """Return the table with a column `image` relative to the data set."""
    columns = _IMAGE if image_column is None else (image_column,)
    column = next(one for one in columns if one in table.column_names)
    folder = posixpath.dirname(name)
    images = [
        one and posixpath.join(folder, str(one).replace("\\", "/"))
        for one in table.column(column).to_pylist()
    ]
    if column != "image" and "image" in table.column_names:
        table = table.drop_columns("image")
    place = table.column_names.index(column)
    return table.set_column(place, "image", pa.array(images, pa.string()))


def _with_folders(table: pa.Table, identity_column: str | None) -> pa.Table:
    """Return the table with `split` and `identity` from the folders, where no column has them."""
    folders = [posixpath.dirname(one or "") for one in table.column("image").to_pylist()]
    common = posixpath.commonpath(folders) if folders else ""
    if split_of(posixpath.basename(common)):
        common = posixpath.dirname(common)
    folders = [one[len(common) :].strip("/") for one in folders]
    splits = [split_of(one.partition("/")[0]) for one in folders]
    if all(splits) and splits:
        folders = [one.partition("/")[2] for one in folders]
        if "split" not in table.column_names:
            table = table.append_column("split", pa.array(splits, pa.string()))
    names = table.column_names
    if identity_column is None and "identity" not in names:
        column = next((one for one in _IDENTITY if one in names), None)
        if column is not None:
            return table.rename_columns(["identity" if one == column else one for one in names])
        if folders and all(folders):
            return table.append_column("identity", pa.array(folders, pa.string()))
    return table


def _archive(path: Path) -> ZipContainer:
    archive = open_container(str(path))
    assert isinstance(archive, ZipContainer), "its ending was checked"
    return archive
