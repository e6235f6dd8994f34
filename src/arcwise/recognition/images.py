"""The images that are asked about: from files, bytes and arrays, or with a reason why not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike, fspath
from typing import Any

from arcwise.data.digests import content_digest
from arcwise.data.image_files import read_image_bytes
from arcwise.errors import ImageError
from arcwise.recognition.recorded import CONTENT, image_record
from arcwise.runtime import ImageRows, ImageSource, listed


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images by row, which the runtime embeds as it does those of a data set.

    Attributes:
        sources: each image, or why it cannot be read.
        landmarks: what each is aligned by, None where nothing is known; None where nothing is
            known of any.
        ignored: files that lay beside them and are no images.
        notes: what the user has to know of them.
        name: what to call all of them in an error.
        names: what to call each of them, where its source has no path; None for its number.
    """

    sources: Sequence[ImageSource | ImageError]
    landmarks: Sequence[list[float] | None] | None = None
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = "the query"
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.sources)

    @cached_property
    def images(self) -> list[str]:
        """What to call each image: its path, its name, or its number."""
        if self.names is not None:
            return list(self.names)
        return [_name(source, row) for row, source in enumerate(self.sources)]

    def column(self, name: str) -> list[Any] | None:
        """Return the landmarks, which are all that is known of the images."""
        known = name == "landmarks" and self.landmarks is not None
        return list(self.landmarks or ()) if known else None

    def read(self, index: int) -> ImageSource:
        """Return an image: the bytes of a file, and what was given otherwise.

        Raises:
            ImageError: it cannot be read.
        """
        source = self.sources[index]
        if isinstance(source, ImageError):
            raise source
        if isinstance(source, str | PathLike):
            path = fspath(source)
            if not path:
                raise ImageError(self.images[index], "an empty path; expected that of an image")
            return read_image_bytes("", path)
        return source

    def record(self, index: int) -> dict[str, Any]:
        """Return what a template records of an image: its file or name, as far as there is one."""
        source, content = self.sources[index], self.read(index)
        if not isinstance(content, bytes):
            return {}
        digest = content_digest(content)
        landmarks = None if self.landmarks is None else self.landmarks[index]
        if not isinstance(source, str | PathLike):
            named = {} if self.names is None else {"image": self.images[index]}
            turned = {} if landmarks is None else {"landmarks": landmarks}
            return {**named, CONTENT: f"{digest:016x}", **turned}
        return image_record(fspath(source), "", digest, landmarks)


def image_rows(images: Iterable[ImageSource] | ImageRows) -> ImageRows:
    """Return images as rows: a list becomes one of rows; a manifest is rows already.

    Raises:
        ArcwiseError: it is a single image.
    """
    return images if isinstance(images, ImageRows) else ImageList(listed(images))


def _name(source: ImageSource | ImageError, row: int) -> str:
    if isinstance(source, ImageError):
        return source.name
    return (fspath(source) if isinstance(source, str | PathLike) else "") or f"image {row}"
