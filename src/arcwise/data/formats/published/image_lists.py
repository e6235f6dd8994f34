"""Image lists of published data sets: lines of words, and images that lie beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from arcwise.data.formats.file_kinds import OWN_TABLES
from arcwise.data.formats.manifest_columns import with_nobody_empty
from arcwise.data.formats.word_lines import decode_text
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import read_file

Columns = dict[str, list[str]]


def folder_with(path: Path, names: Iterable[str], folders: Sequence[str] = ("",)) -> Path | None:
    """Return the first of these folders below `path` that holds all the files; None for none.

    Also None where a table of ours lies in `path`: that one is believed.
    """
    if any((path / name).is_file() for name in OWN_TABLES):
        return None
    files = tuple(names)
    for folder in folders:
        if all((path / folder / name).is_file() for name in files):
            return path / folder
    return None


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file.

    Raises:
        ArcwiseError: it cannot be read, or is not UTF-8 text; the message names the line.
    """
    try:
        data = read_file(path)
    except OSError as problem:
        raise ArcwiseError(f"{path}: {problem.strerror}") from None
    return decode_text(data, str(path)).split("\n")


def read_words(
    path: Path, names: Sequence[str], *, skip: int = 0, numbers: Sequence[str] = ()
) -> Columns:
    """Return the columns of a list whose lines are words with blanks between.

    Empty lines are left out. The last column takes the rest of the line, blanks included.

    Args:
        path: of the list.
        names: what to call the columns.
        skip: lines above the first one that counts.
        numbers: the columns that hold finite numbers.

    Raises:
        ArcwiseError: there is no line, or one with other words than these; the message names it.
    """
    columns: Columns = {name: [] for name in names}
    wrong: list[tuple[int, str]] = []
    for number, line in enumerate(read_lines(path)[skip:], skip + 1):
        words = line.split(maxsplit=len(names) - 1)
        if not words:
            continue
        row = dict(zip(names, (word.strip() for word in words), strict=False))
        if len(row) < len(names) or not all(_is_number(row[name]) for name in numbers):
            wrong.append((number, line))
            continue
        for name, word in row.items():
            columns[name].append(word)
    if wrong:
        number, line = wrong[0]
        raise ArcwiseError(
            f"{path}: line {number} is {line[:60]!r}; expected {' '.join(names)}"
            f" ({len(wrong)} such lines)"
        )
    if not columns[names[0]]:
        raise ArcwiseError(f"{path}: holds no line of {' '.join(names)}")
    return columns


def rows_with(path: Path, keys: Sequence[str], columns: Columns, key: str) -> NDArray[np.int64]:
    """Return, for each of `keys`, the row of a list that has it in the column `key`.

    Raises:
        ArcwiseError: a key is there twice, or one is missing; the message names it.
    """
    rows = {value: row for row, value in enumerate(columns[key])}
    if len(rows) < len(columns[key]):
        twice = next(value for row, value in enumerate(columns[key]) if rows[value] != row)
        raise ArcwiseError(f"{path}: has {key} {twice!r} more than once")
    missing = [value for value in keys if value not in rows]
    if missing:
        raise ArcwiseError(f"{path}: lacks {key} {missing[0]!r} ({len(missing)} such)")
    return np.fromiter((rows[value] for value in keys), np.int64, len(keys))


def fixed_lists(numbers: NDArray[np.floating]) -> pa.FixedSizeListArray:
    """Return boxes (N, 4) or landmarks (N, 10) as a column of lists; a row with a NaN is null."""
    flat = np.ascontiguousarray(numbers, np.float32)
    absent = pa.array(~np.isfinite(flat).all(axis=1))
    values = pa.array(np.nan_to_num(flat).ravel())
    return pa.FixedSizeListArray.from_arrays(values, flat.shape[1], mask=absent)


def manifest_of_list(
    path: Path,
    columns: Mapping[str, Sequence[str] | pa.Array],
    *,
    root: Path,
    understood: str,
    list_name: str,
) -> Manifest:
    """Return the manifest of the rows whose images are there; the others are counted and ignored.

    Args:
        path: the data set, as the user named it.
        columns: with `image`, relative to `root`.
        root: what images start from.
        understood: how the layout was read.
        list_name: of the file that lists the images.

    Raises:
        ArcwiseError: an image is said to lie outside of `root`, is listed twice, or none is
            there.
    """
    images = list(columns["image"])
    outside = next((image for image in images if _leaves(image)), None)
    if outside is not None:
        raise ArcwiseError(f"{root / list_name}: image {outside[:60]!r} lies outside of {root}")
    if len(set(images)) < len(images):
        twice = next(image for row, image in enumerate(images) if images.index(image) != row)
        raise ArcwiseError(f"{root / list_name}: lists {twice!r} more than once")
    there = _present(root, images)
    if not there.any():
        raise ArcwiseError(
            f"{root / list_name}: none of its {len(images):,} images is in {root} (looked for "
            f"{images[0]}); unpack them there"
        )
    table = pa.table(dict(columns)).filter(pa.array(there))
    missing = tuple(image for image, is_there in zip(images, there, strict=True) if not is_there)
    notes = ()
    if missing:
        notes = (
            f"{len(missing):,} of the {len(images):,} images that {list_name} names are not "
            f"there and left out ({missing[0]}{' …' if len(missing) > 1 else ''})",
        )
    table = with_nobody_empty(table, str(root / list_name), identities=False)
    return Manifest(table, root, path.resolve().name, missing, understood, notes=notes)


def _present(root: Path, images: Sequence[str]) -> NDArray[np.bool_]:
    """Return which images exist; each folder is listed once, which is quicker than many tests."""
    names: dict[str, set[str]] = {}
    present = np.zeros(len(images), bool)
    for row, image in enumerate(images):
        folder, _, name = image.rpartition("/")
        if folder not in names:
            try:
                with os.scandir(root / folder) as entries:
                    names[folder] = {entry.name for entry in entries if not entry.is_dir()}
            except (OSError, ValueError):
                names[folder] = set()
        present[row] = name in names[folder]
    return present


def _leaves(image: str) -> bool:
    """Return whether a path leads out of the folder that it starts from."""
    path = PurePosixPath(image)
    return path.is_absolute() or ".." in path.parts or "\\" in image or "\0" in image


def _is_number(word: str) -> bool:
    try:
        return bool(np.isfinite(float(word)))
    except ValueError:
        return False
