"""Tables of downloaded data sets, which refer to images inside their archives."""

from __future__ import annotations

import csv
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pyarrow as pa

from arcwise.data.catalogue import DataSet
from arcwise.data.formats.file_kinds import IMAGE_ENDINGS
from arcwise.errors import ArcwiseError
from arcwise.files import atomic_write

Tables = tuple[pa.Table, pa.Table | None]
"""The rows of a data set, and its pairs if it states any but in a file of pairs."""

HELD_OUT = 5
"""Grocery products whose number this divides are in the test split."""

_UNEXPECTED = (KeyError, ValueError, csv.Error)  # a table with other columns, or other text
_LARGEST = 2**27  # bytes of one image


def from_download(dataset: DataSet, folder: Path) -> Tables:
    """Return the tables of a data set whose files were downloaded into the folder.

    Raises:
        ArcwiseError: an archive is damaged, or does not hold what it should.
    """
    try:
        return _READERS[dataset.name](folder)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, *_UNEXPECTED) as problem:
        raise ArcwiseError(
            f"{folder}: what was downloaded is not the {dataset.name} known here ({problem}); "
            "remove the folder and run this again"
        ) from None


def grocery_table(
    *,
    images: Sequence[str],
    names: Sequence[str],
    coarse: Sequence[str],
    numbers: Sequence[str],
    domains: Sequence[str],
    official: Sequence[str | None],
) -> pa.Table:
    """Return the rows of the grocery set.

    `split` is by product: no product is in both. The official split, which has every product on
    both sides, is `official_split`.
    """
    return pa.table(
        {
            "image": images,
            "identity": names,
            "split": ["train" if int(number) % HELD_OUT else "test" for number in numbers],
            "domain": domains,
            "superclass": coarse,
            "class_id": numbers,
            "official_split": pa.array(official, pa.string()),
        }
    )


def _grocery(folder: Path) -> Tables:
    with zipfile.ZipFile(folder / "grocery.zip") as archive:
        members = _image_members(archive)
        listed = next((n for n in archive.namelist() if n.endswith("dataset/classes.csv")), None)
        if listed is None:
            raise KeyError("it has no dataset/classes.csv")
        text = io.TextIOWrapper(archive.open(listed), "utf-8-sig")
        classes = {row["Class Name (str)"]: row for row in csv.DictReader(text)}
    top = listed.removesuffix("classes.csv")
    rows: list[tuple[str, str, str | None, str]] = []
    for member in members:
        split, _, rest = member.removeprefix(top).partition("/")
        name = PurePosixPath(rest).parent.name
        if member.startswith(top) and split in ("train", "val", "test") and name in classes:
            rows.append((member, name, split, "shop"))
    member_set = set(members)
    for name, row in classes.items():
        iconic = top + row["Iconic Image Path (str)"].lstrip("/")
        if iconic in member_set:
            rows.append((iconic, name, None, "studio"))
    if not rows:
        raise KeyError("it has no images of its classes")
    paths, names, official, domains = zip(*rows, strict=True)
    return grocery_table(
        images=[f"grocery.zip/{path}" for path in paths],
        names=names,
        coarse=[classes[name]["Coarse Class Name (str)"] for name in names],
        numbers=[classes[name]["Class ID (int)"] for name in names],
        domains=domains,
        official=official,
    ), None


def _omniglot(folder: Path) -> Tables:
    columns: dict[str, list[str]] = {
        name: [] for name in ("image", "identity", "split", "superclass", "drawer")
    }
    for file, split in (("images_background.zip", "train"), ("images_evaluation.zip", "test")):
        with zipfile.ZipFile(folder / file) as archive:
            members = _image_members(archive)
        for member in members:
            *_, alphabet, character, name = ("", "", *member.split("/"))
            drawer = re.search(r"_(\d+)\.png$", name)
            values = (
                f"{file}/{member}",
                f"{alphabet}/{character}",
                split,
                alphabet,
                str(int(drawer[1])) if drawer else "",
            )
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    return _non_empty(columns), None


def _lfw(folder: Path) -> Tables:
    """Repack the images into an uncompressed `lfw.zip`; a `.tgz` has no random access."""
    packed, place = folder / "lfw.tgz", folder / "lfw.zip"
    if not place.is_file():
        repack(packed, place)
        packed.unlink()
    with zipfile.ZipFile(place) as archive:
        members = _image_members(archive)
    return _non_empty(
        {
            "image": [f"lfw.zip/{member}" for member in members],
            "identity": [PurePosixPath(member).parent.name for member in members],
        }
    ), None


def _fruits(folder: Path) -> Tables:
    splits = {"Training": "train", "Test": "test"}
    columns: dict[str, list[str]] = {
        name: [] for name in ("image", "identity", "split", "superclass")
    }
    with zipfile.ZipFile(folder / "fruits.zip") as archive:
        members = _image_members(archive)
    for member in members:
        parts = PurePosixPath(member).parts
        at = next((place for place, part in enumerate(parts) if part in splits), None)
        if at is None or len(parts) < at + 3:
            continue
        variety = parts[-2]
        kind = parts[at + 1] if len(parts) > at + 3 else variety.split()[0]
        values = (f"fruits.zip/{member}", variety, splits[parts[at]], kind)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return _non_empty(columns), None


def repack(packed: Path, place: Path) -> None:
    """Repack the images of a compressed tar archive into an uncompressed zip.

    Only plain files with the ending of an image are taken. A name that leads out of the archive is
    refused, since unpacking the zip would write elsewhere.

    Raises:
        ArcwiseError: a name leads out of the archive, or an image is absurdly large.
        tarfile.TarError, EOFError, zlib.error: it is damaged.
    """
    with (
        tarfile.open(packed, "r|gz") as source,
        atomic_write(place) as part,
        zipfile.ZipFile(part, "w") as target,
    ):
        for member in source:
            path = PurePosixPath(member.name)
            if not member.isreg() or path.suffix.lower() not in IMAGE_ENDINGS:
                continue
            if path.is_absolute() or ".." in path.parts or "\\" in member.name:
                raise ArcwiseError(f"{packed}: {member.name[:80]!r} leads out of the archive")
            if member.size > _LARGEST:
                raise ArcwiseError(f"{packed}: {member.name[:80]!r} has {member.size:,} bytes")
            data = source.extractfile(member)
            assert data is not None, "it is a plain file"
            target.writestr(zipfile.ZipInfo(str(path)), data.read())


def _image_members(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the images in an archive, sorted."""
    return sorted(
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and PurePosixPath(info.filename).suffix.lower() in IMAGE_ENDINGS
    )


def _non_empty(columns: dict[str, list[str]]) -> pa.Table:
    if not columns["image"]:
        raise KeyError("it has no images")
    return pa.table(columns)


_READERS: dict[str, Callable[[Path], Tables]] = {
    "grocery": _grocery,
    "omniglot": _omniglot,
    "lfw": _lfw,
    "fruits": _fruits,
}
