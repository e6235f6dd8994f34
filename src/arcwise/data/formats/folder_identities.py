"""Identities, splits and domains of image files, from the folders they lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import pyarrow as pa

from arcwise.data.formats.file_kinds import (
    SPLITS,
    hidden_part,
    is_image,
    printable,
    split_of,
    unread_photo_notes,
)
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

TopFolders = Literal["split", "domain", "part", "identity"]
"""What the top folders are, above folders of the same names: splits; domains of an identity; a part
of its name; or the identity itself, whatever lies below."""

_FULL = 0.75  # of the sub-folders that each of several top folders could have


def manifest_of_files(
    files: Iterable[str],
    root: Path,
    name: str,
    *,
    identities: bool = True,
    prefix: str = "",
    top_folders: TopFolders | None = None,
) -> Manifest:
    """Return the manifest of files whose folders name their identities.

    The identity is the folder that directly holds the image, with the folders above it
    (`fruit/apple`). Folders around all images are no part of it: a folder, a zip of it, and one
    more folder around either give the same identities. Top folders that are exactly splits
    (`Train`, `valid`, `gallery`, …) become the column `split`.

    Args:
        files: paths with forward slashes, relative to the data set.
        root: what the manifest's images start from.
        name: of the data set.
        identities: whether an image outside any folder is an error.
        prefix: put before each path (`archive.zip/`).
        top_folders: what the top folders are, where their names do not say it.

    Raises:
        ArcwiseError: no image, images whose identity no folder names, or top folders that may
            be splits or a part of the identity.
    """
    images: list[str] = []
    others: set[str] = set()
    for file in files:
        if is_image(file):
            images.append(file)
        else:
            others.add(hidden_part(file) or file)
    ignored = sorted(others)
    if not images:
        raise ArcwiseError(f"{root / prefix}: no image in it{_instead(ignored)}")
    images.sort()
    folders = [file.rpartition("/")[0] for file in images]
    flat = [file for file, folder in zip(images, folders, strict=True) if not folder]
    if flat and identities:
        raise ArcwiseError(
            f"{root / prefix}: {len(flat)} images lie in no folder ({flat[0]}), so their "
            "identities are unknown; put each into a folder named after its identity, or write a "
            "table with the columns image and identity"
        )
    columns = {"image": [prefix + file for file in images]}
    understood, notes = "a flat folder of images", unread_photo_notes(ignored)
    if len(flat) < len(images):
        by_folder = folder_columns(folders, str(root / prefix), top_folders)
        columns |= by_folder.columns
        understood, notes = by_folder.understood, (*notes, *by_folder.notes)
    table = pa.table({key: pa.array(values, pa.string()) for key, values in columns.items()})
    return Manifest(table, root, name, tuple(map(printable, ignored)), understood, notes=notes)


class FolderColumns(NamedTuple):
    """The columns of a manifest that the folders of its images give.

    Attributes:
        columns: `identity`, and perhaps `split` or `domain`, of each image.
        understood: how they were read.
        notes: what the user has to know.
    """

    columns: dict[str, list[str]]
    understood: str
    notes: tuple[str, ...] = ()


def folder_columns(
    folders: list[str], title: str, top_folders: TopFolders | None = None
) -> FolderColumns:
    """Return the columns that the folder of each image gives.

    Args:
        folders: of each image.
        title: of the data set, for an error.
        top_folders: what the top folders are, where their names do not say it.

    Raises:
        ArcwiseError: the top folders may be splits or a part of the identity, and `top_folders`
            does not say which, or says something that they cannot be.
    """
    understood = "a folder per identity"
    columns = {}
    outer, folders = _without_common(folders)
    if outer:
        understood = f"a folder per identity, all inside {outer}"
    tops = sorted({folder.partition("/")[0] for folder in folders})
    if top_folders is None and (turned := _splits_on_top(folders)):
        file = folders[0]
        folders, understood = turned, f"splits in each of the top folders ({tops[0]}, …)"
        columns["split"] = [split_of(folder.partition("/")[0]) or "" for folder in folders]
        columns["identity"] = [folder.partition("/")[2] for folder in folders]
        note = (
            f"splits lie within each of the {len(tops)} top folders ({printable(file)}), which are "
            "taken for identities; if not, say --top-folders part"
        )
        return FolderColumns(columns, understood, (note,))
    meaning, notes = (top_folders, ()) if top_folders else _meaning(folders, title)
    top_names = f"{', '.join(tops[:6])}{', …' if len(tops) > 6 else ''}"
    if meaning in ("split", "domain"):
        if not _nested(folders):
            raise ArcwiseError(
                f"{title}: --top-folders {meaning}, and images lie right in {tops[0]}; expected "
                "a folder per identity in each top folder"
            )
        above = [folder.partition("/")[0] for folder in folders]
        columns[meaning] = [split_of(one) or one for one in above] if meaning == "split" else above
        outer, folders = _without_common([folder.partition("/")[2] for folder in folders])
        understood = (
            f"the top folders as {meaning}s ({top_names}), below them a folder per identity"
        )
        if outer:
            understood += f", all inside {outer}"
    elif meaning == "identity":
        folders = [folder.partition("/")[0] for folder in folders]
        understood = f"the top folders as identities ({top_names}), whatever lies below"
    columns["identity"] = folders
    if any("/" in folder for folder in folders):
        understood += ", nested folders written with /"
    return FolderColumns(columns, understood, notes)


def _splits_on_top(folders: list[str]) -> list[str]:
    """Return the folders with the split in their second part put first; empty if any has none."""
    turned = []
    for folder in folders:
        top, *below = folder.split("/")
        if not below or split_of(top) or not split_of(below[0]):
            return []
        turned.append("/".join((below[0], top, *below[1:])))
    return turned


def _meaning(folders: list[str], title: str) -> tuple[TopFolders, tuple[str, ...]]:
    """Return what the top folders are, by their names and content, and notes about it.

    Raises:
        ArcwiseError: they may be several things.
    """
    below: dict[str, set[str]] = {}
    for folder in folders:
        top, _, rest = folder.partition("/")
        below.setdefault(top, set()).add(rest.partition("/")[0])
    tops, splits = sorted(below), [top for top in sorted(below) if split_of(top)]
    if not _nested(folders):
        if len(splits) < 2 and not any(
            split_of(top) == "train" or any(below[top]) for top in splits
        ):
            return "part", ()  # a person may be called Val or Dev
        right_in = next(top for top in (*splits, *tops) if "" in below[top])
        note = (
            f"{', '.join(splits)}, named like splits, are taken for identities or a part of "
            f"them: images lie right in {right_in}; if they are splits, put these into a folder "
            "per identity, or name all in a table"
        )
        return "part", (note,)
    if len(splits) == len(tops):
        return "split", ()
    often = Counter(chain.from_iterable(below.values()))
    shared = sorted(one for one, count in often.items() if count > 1)
    some = f"{', '.join(shared[:2])}{' …' if len(shared) > 2 else ''}"
    answer = (
        "say what the top folders are (--top-folders split, domain, part or identity), or rename "
        f"them: {', '.join(dict.fromkeys(SPLITS.values()))} are splits"
    )
    if splits:
        other = next(top for top in tops if top not in splits)
        raise ArcwiseError(
            f"{title}: {splits[0]} is named like a split and {other} beside it is not; {answer}"
        )
    if len(tops) == 2 and len(shared) >= max(2, min(map(len, below.values())) / 2):
        raise ArcwiseError(
            f"{title}: {tops[0]} and {tops[1]} have {len(shared)} sub-folders of the same names "
            f"({some}): whether these are the same identities is unknown; {answer}"
        )
    if len(shared) > 1 and sum(map(len, below.values())) >= _FULL * len(often) * len(tops):
        example = f"{tops[0]}/{shared[0]}"
        return "part", (
            f"the {len(tops)} top folders ({tops[0]}, {tops[1]} …) have sub-folders of the same "
            f"names ({some}), and an identity is both ({example}); if not, say --top-folders "
            "split, domain or identity",
        )
    return "part", ()


def _without_common(folders: list[str]) -> tuple[str, list[str]]:
    """Return the folders around all of them, up to a split, and the rest of each folder.

    At least the folder of the identity is left.
    """
    outer: list[str] = []
    while _nested(folders):
        tops = {folder.partition("/")[0] for folder in folders}
        if len(tops) > 1 or any(map(split_of, tops)):
            break
        outer += tops
        folders = [folder.partition("/")[2] for folder in folders]
    return "/".join(outer), folders


def _nested(folders: list[str]) -> bool:
    """Return whether there is a folder around every folder that holds images."""
    return all("/" in folder for folder in folders)


def _instead(ignored: list[str]) -> str:
    """Return what a folder without an image holds, for the end of a message."""
    tables = [file for file in ignored if file.endswith((".csv", ".parquet", ".zip"))]
    if tables:
        return f", but {printable(tables[0])} is; did you mean that one?"
    if note := unread_photo_notes(ignored):
        return f" that can be read: {note[0]}"
    if ignored:
        return f" among {len(ignored)} files ({printable(ignored[0])} …)"
    return "; it is empty"
