"""The pictures that a gallery is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from arcwise import runtime
from arcwise.data.formats.folder import read_single
from arcwise.data.formats.opening import FILES, open_manifest
from arcwise.data.formats.table import TABLES
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode
from arcwise.runtime import Embedded, Model

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Asked(Manifest):
    """Pictures by their paths, and among them what was named and holds none: `problem` says why."""

    def read(self, index: int) -> bytes:
        problem = self.table.column("problem")[index].as_py()
        if problem is not None:
            raise ImageError(self.image(index), problem)
        return super().read(index)


def queries(images: Sequence[str | Path | Manifest]) -> Manifest:
    """Return one manifest of all pictures, each named by its path as the user would type it.

    One of several that is not there, or holds no picture, is a row that cannot be read: it fails
    alone, in its place. Files that are no pictures are in `ignored`, and what was noted in
    `notes`.

    Args:
        images: picture files, or folders, zips and tables of them.

    Raises:
        ArcwiseError: none is named, or the only one named is not there or holds no picture.
    """
    names: list[str] = []
    landmarks: list[list[float] | None] = []
    problems: list[str | None] = []
    ignored: list[str] = []
    notes: list[str] = []
    for one in images:
        try:
            found = _opened(one)
        except ArcwiseError as problem:
            if len(images) == 1:
                raise
            name = one.name if isinstance(one, Manifest) else str(one)
            names.append(name.encode(errors="backslashreplace").decode())
            landmarks.append(None)
            problems.append(str(problem).removeprefix(f"{name}: "))
            continue
        names += [str(found.root / image) for image in found.images]
        landmarks += found.column("landmarks") or [None] * len(found)
        problems += [None] * len(found)
        ignored += [str(found.root / file) for file in found.ignored]
        notes += found.notes
    if not names:
        raise ArcwiseError("no picture to ask about; name one or more files or folders")
    columns = {"image": pa.array(names, pa.string()), "problem": pa.array(problems, pa.string())}
    if any(points is not None for points in landmarks):
        columns["landmarks"] = pa.array(landmarks, pa.list_(pa.float32()))
    return _Asked(
        pa.table(columns), Path(), "the query", ignored=tuple(ignored), notes=tuple(notes)
    )


def embed_queries(model: Model, pictures: Manifest) -> Embedded:
    """Return the embeddings of the readable pictures, and why the others have none.

    Raises:
        ImageError: the only picture cannot be read.
        ArcwiseError: none of several can.
    """
    if len(pictures) == 1:
        decode(pictures.read(0), pictures.images[0])  # complains of this picture, not of all
    return runtime.embed_manifest(model, pictures)


def in_place(embedded: Embedded, answers: Sequence[T]) -> list[T | ImageError]:
    """Return the answers and, where a picture has none, its failure, in the order of the query.

    Args:
        embedded: of `embed_queries`.
        answers: one for each of its rows.
    """
    answer_at = dict(zip(embedded.rows.tolist(), answers, strict=True))
    failures = iter(embedded.failures)  # in the order of their rows
    rows = range(len(answers) + len(embedded.failures))
    return [answer_at[row] if row in answer_at else next(failures) for row in rows]


def _opened(one: str | Path | Manifest) -> Manifest:
    """Return what was named as a manifest of pictures, at least one.

    Raises:
        ArcwiseError: there is none; whatever the system says of the path is said in a line.
    """
    try:
        found = one if isinstance(one, Manifest) else _named(str(one))
    except OSError as problem:
        raise ArcwiseError(f"{one}: {problem.strerror or problem}") from None
    if not found.images:
        raise ArcwiseError(f"{found.name}: no picture in it")
    return found


def _named(name: str) -> Manifest:
    """Return the pictures at a path; a file that is no data set is taken for one, as it is named.

    Raises:
        ArcwiseError: nothing is there, or nothing that can be read to its end.
    """
    if not name:
        raise ArcwiseError("an empty name; expected the path of a picture or a folder")
    if _no_text(name):
        raise ArcwiseError(f"{name}: a name that is no text (UTF-8); rename it")
    path = Path(name)
    if not path.exists() and "{" not in name:  # the braces of numbered shards
        raise ArcwiseError(f"{name}: no such file or folder")
    if path.exists() and not (path.is_file() or path.is_dir()):  # it may never end, or never begin
        raise ArcwiseError(f"{name}: a pipe or device; expected a picture or a folder")
    if path.is_file() and path.suffix.lower() not in (*FILES, *TABLES):
        return read_single(path, identities=False)
    return open_manifest(path, identities=False, top_folders="part")  # whose they are is asked


def _no_text(name: str) -> bool:
    """Return whether a path has bytes that are no UTF-8, which no table holds."""
    return any("\ud800" <= letter <= "\udfff" for letter in name)
