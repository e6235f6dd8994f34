"""Images on their way to a server: which go together, and in which form."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.client.connection import Body
from arcwise.client.gallery_messages import RequestLimits
from arcwise.errors import ArcwiseError, ImageError, UnreadableImages
from arcwise.recognition.images import image_rows
from arcwise.runtime import ImageRows, ImageSource
from arcwise.runtime.model import decode_source

Images = Iterable[ImageSource] | ImageRows

_HEAD = 1024  # bytes that the form needs for each image


class Sent(NamedTuple):
    """Images of one request.

    Attributes:
        rows: their numbers.
        names: what they are called here.
        contents: their files.
        landmarks: what each is aligned by; None where nothing is known of any.
    """

    rows: list[int]
    names: list[str]
    contents: list[bytes]
    landmarks: list[list[float] | None] | None

    def body(self, metadata: Mapping[str, Any] | None = None) -> Body:
        """Return them as a form."""
        fields: dict[str, Any] = {}
        if metadata is not None:
            fields["metadata"] = metadata
        if self.landmarks is not None:
            fields["landmarks"] = self.landmarks
        boundary = secrets.token_hex(16)
        parts = [
            _part(boundary, f'name="{name}"', json.dumps(value).encode())
            for name, value in fields.items()
        ]
        for name, content in zip(self.names, self.contents, strict=True):
            parts.append(_part(boundary, f'name="images"; filename="{_quoted(name)}"', content))
        end = f"--{boundary}--\r\n".encode()
        return Body(f"multipart/form-data; boundary={boundary}", b"".join([*parts, end]))


class Waiting:
    """Images that are to be sent, read one request at a time.

    Args:
        images: as a `Recogniser` takes them.
        limits: of one request.

    Attributes:
        names: what all of them are called.
        failures: those that cannot be read here, by their number; complete once all are sent.

    Raises:
        ArcwiseError: there is none.
    """

    def __init__(self, images: Images, limits: RequestLimits) -> None:
        self._rows, self._limits = image_rows(images), limits
        if not len(self._rows):
            raise ArcwiseError("no image is named; name one or more")
        self.names = self._rows.images
        self.failures: dict[int, ImageError] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def requests(self) -> Iterator[Sent]:
        """Yield the images of each request.

        Raises:
            ImageError: the only image cannot be read.
            UnreadableImages: none can.
        """
        known = self._rows.column("landmarks")
        rows: list[int] = []
        contents: list[bytes] = []
        size = _HEAD

        def taken() -> Sent:
            turned = None if known is None else [known[row] for row in rows]
            return Sent(list(rows), [self.names[row] for row in rows], list(contents), turned)

        for row in range(len(self._rows)):
            try:
                content = self._content(row)
            except ImageError as problem:
                self.failures[row] = problem
                continue
            more = len(content) + _HEAD
            full = len(rows) == self._limits.images or size + more > self._limits.body_bytes
            if rows and full:
                yield taken()
                rows, contents, size = [], [], _HEAD
            rows.append(row)
            contents.append(content)
            size += more
        if rows:
            yield taken()
        self.check_any()

    def note(self, sent: Sent, problem: ImageError | UnreadableImages) -> None:
        """Note that the server can use no image of a request."""
        several = isinstance(problem, UnreadableImages)
        each = problem.failures if several else [problem]
        if len(each) != len(sent.rows):
            raise problem
        for row, name, one in zip(sent.rows, sent.names, each, strict=True):
            self.failures[row] = ImageError(name, one.reason)

    def check_any(self) -> None:
        """Refuse where no image can be used.

        Raises:
            ImageError: there is but one.
            UnreadableImages: there are several.
        """
        if len(self.failures) < len(self):
            return
        failures = [self.failures[row] for row in sorted(self.failures)]
        if len(self) == 1:
            raise failures[0]
        few = "; ".join(map(str, failures[:3])) + "; …" * (len(failures) > 3)
        raise UnreadableImages(f"none of the {len(self)} images could be read ({few})", failures)

    def one_request(self) -> Sent:
        """Return the images that can be read, which go in one request.

        Raises:
            ArcwiseError: they are too many, or too large together.
        """
        every = list(self.requests())
        if len(every) > 1:
            limits = self._limits
            raise ArcwiseError(
                f"{len(self)} images; the server takes at most {limits.images} in one request, of "
                f"{limits.body_bytes:,} bytes together"
            )
        return every[0]

    def _content(self, row: int) -> bytes:
        """Return an image as a file: as it is, or pixels as PNG, which loses nothing."""
        source, name = self._rows.read(row), self.names[row]
        if not isinstance(source, bytes):
            pixels = decode_source(source, name)
            if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
                raise ImageError(name, f"an array {pixels.shape} of {pixels.dtype}; expected "
                                 "(H, W, 3) uint8 RGB")  # fmt: skip
            return _as_png(pixels)
        if len(source) > self._limits.image_bytes:
            raise ImageError(
                name,
                f"{len(source):,} bytes, more than the {self._limits.image_bytes:,} that the "
                "server takes",
            )
        return source


def in_place(
    names: Sequence[str], answered: Mapping[int, Any], failures: Mapping[int, ImageError]
) -> tuple[Any, ...]:
    """Return answers and failures in the order of the images."""
    every = {**answered, **failures}
    return tuple(every[row] for row in range(len(names)) if row in every)


def _as_png(pixels: NDArray[np.uint8]) -> bytes:
    fast = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]), fast)
    return encoded.tobytes()


def _part(boundary: str, disposition: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _quoted(name: str) -> str:
    """Return the last part of a name as a form has it."""
    last = os.path.basename(name).encode(errors="replace").decode()
    for letter, code in (('"', "%22"), ("\r", "%0D"), ("\n", "%0A")):
        last = last.replace(letter, code)
    return last
