"""The images of a request: files of a form, or base64 texts of a JSON document.

A form is the main way: files go as they are, a third smaller than base64, and every browser and
`curl -F images=@a.jpg` sends them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from starlette.requests import Request

from arcwise.errors import ImageError
from arcwise.images.headers import HeaderError, read_header
from arcwise.recognition.growing import GROWN, SIGHTING
from arcwise.recognition.images import ImageList
from arcwise.recognition.objects import Box, objects_in_boxes
from arcwise.recognition.recorded import CONTENT
from arcwise.recognition.together import TOGETHER
from arcwise.runtime import ImageRows
from arcwise.serving.forms import read_form
from arcwise.serving.problems import RequestProblem
from arcwise.serving.settings import ServerLimits

RESERVED = frozenset(
    {"image", "root", CONTENT, "landmarks", TOGETHER, GROWN, SIGHTING, "upgraded_from"}
)
"""Keys of metadata that Arcwise writes: of a template's image, by which its file is found again,
and of where the template comes from."""

_LONGEST_NAME = 200
_FIELDS = ("metadata", "landmarks", "boxes")
_LARGEST = 1e6
_WHOLE = (0.0, 0.0, _LARGEST, _LARGEST)
_POINTS = (10, 136)  # x and y of 5 or 68 points
_UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

FORM = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "binary"},
            "description": "Image files: JPEG, PNG, WebP, BMP, GIF, TIFF or PNM.",
        },
        "metadata": {
            "type": "string",
            "description": "A JSON object, kept with each template (of `enrol` alone).",
        },
        "landmarks": {
            "type": "string",
            "description": "A JSON list: for each image null, or x and y of its 5 points in a row, "
            "for a model that turns faces.",
        },
        "boxes": {
            "type": "string",
            "description": "A JSON list: for each image null, or the boxes of the objects in it, "
            "left, top, width and height in pixels, each a query of its own (of `search` alone).",
        },
    },
}
DOCUMENT = {
    "type": "object",
    "required": ["images"],
    "properties": {
        "images": {
            "type": "array",
            "minItems": 1,
            "items": {"type": "string", "format": "byte"},
            "description": "Image files in base64.",
        },
        "names": {"type": "array", "items": {"type": "string"}, "description": "Their names."},
        "metadata": {"type": "object", "description": "Kept with each template (`enrol` alone)."},
        "landmarks": {
            "type": "array",
            "items": {"type": ["array", "null"], "items": {"type": "number"}},
            "description": "For each image null, or x and y of its 5 points in a row.",
        },
        "boxes": {
            "type": "array",
            "items": {"type": ["array", "null"], "items": {"type": "array"}},
            "description": "For each image null, or the boxes of its objects (`search` alone).",
        },
    },
}
REQUEST_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": FORM, "encoding": {"images": {"contentType": "image/*"}}},
        "application/json": {
            "schema": DOCUMENT,
            "example": {"images": ["/9j/4AAQSkZJRgABAQ…"], "names": ["oat-milk.jpg"]},
        },
    },
}
"""The body of a request with images, for the OpenAPI."""


class Upload(NamedTuple):
    """What was sent.

    Attributes:
        images: with a reason in the place of each that is refused unread.
        pixels: of all of them, as their headers say.
        metadata: that came with them; None for none.
        boxes: of each image; None where it is taken whole.
    """

    images: ImageList
    pixels: int
    metadata: dict[str, Any] | None
    boxes: list[list[Box] | None] | None

    def objects(self) -> ImageRows:
        """Return the images, or the parts of them that are in boxes."""
        if self.boxes is None:
            return self.images
        return objects_in_boxes(self.images, [boxes or [_WHOLE] for boxes in self.boxes])


async def read_upload(request: Request, limits: ServerLimits, *, takes: Sequence[str]) -> Upload:
    """Return the images of a request.

    Args:
        request: whose body it is.
        limits: of it.
        takes: what may come with the images.

    Raises:
        RequestProblem: no images, too many, or a body that is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        contents, names, fields = await _of_form(request, limits)
    elif kind == "application/json":
        contents, names, fields = await _of_document(request)
    else:
        raise RequestProblem(415, "wrong_type", f"the body is {kind[:100] or 'of no stated type'}")
    if not contents:
        raise RequestProblem(422, "malformed", "no image; expected one or more, called `images`")
    if len(contents) > limits.images:
        raise RequestProblem(
            413, "too_large", f"{len(contents)} images; expected at most {limits.images} at a time"
        )
    if extra := sorted(set(fields) - set(takes)):
        raise RequestProblem(422, "malformed", f"`{extra[0]}` means nothing to this call")
    names = [shown_name(name, row) for row, name in enumerate(names)]
    checked = [_checked(*one, limits) for one in zip(contents, names, strict=True)]
    images = ImageList(
        [source for source, _ in checked], _landmarks(fields, len(names)), names=names
    )
    boxes = _boxes(fields, len(names), limits.images)
    return Upload(images, sum(pixels for _, pixels in checked), _metadata(fields), boxes)


def shown_name(name: str | None, row: int) -> str:
    """Return what to call an image: the last part of its name, without what cannot be shown."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    text = _UNSHOWN.sub("", last.encode(errors="replace").decode())
    return text[:_LONGEST_NAME] or f"image {row}"


async def _of_form(
    request: Request, limits: ServerLimits
) -> tuple[list[bytes], list[str | None], dict[str, Any]]:
    contents, names, fields = [], [], {}
    for name, filename, content in await read_form(request, limits.images, len(_FIELDS)):
        if name == "images" and filename is not None:
            contents.append(content)
            names.append(filename)
        elif name in _FIELDS and filename is None:
            fields[name] = _json(content, name)
        else:
            raise RequestProblem(
                422,
                "malformed",
                f"a part called {name[:50]!r}; expected files called `images`, and texts called "
                + " and ".join(f"`{one}`" for one in _FIELDS),
            )
    return contents, names, fields


async def _of_document(request: Request) -> tuple[list[bytes], list[str | None], dict[str, Any]]:
    document = _json(await request.body(), "the body")
    if not isinstance(document, dict):
        raise RequestProblem(422, "malformed", "the body is no JSON object")
    unknown = sorted(set(document) - {"images", "names", *_FIELDS})
    if unknown:
        raise RequestProblem(422, "malformed", f"{unknown[0][:50]!r} is unknown in the body")
    texts, names = document.pop("images", None), document.pop("names", None)
    if not isinstance(texts, list) or not all(isinstance(one, str) for one in texts):
        raise RequestProblem(422, "malformed", "images: expected a list of base64 texts")
    named: list[str | None] = [None] * len(texts)
    if isinstance(names, list):
        named = [one for one in names if one is None or isinstance(one, str)]
    if len(named) != len(texts) or not isinstance(names, list | None):
        raise RequestProblem(422, "malformed", "names: expected a text for each image")
    try:
        contents = [base64.b64decode(one, validate=True) for one in texts]
    except (binascii.Error, ValueError):
        raise RequestProblem(422, "malformed", "images: a text that is no base64") from None
    return contents, named, document


def _json(text: bytes, place: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise RequestProblem(422, "malformed", f"{place}: no JSON") from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _checked(content: bytes, name: str, limits: ServerLimits) -> tuple[bytes | ImageError, int]:
    """Return an image, or why it is refused unread, and its pixels."""
    if len(content) > limits.image_bytes:
        return ImageError(
            name,
            f"{len(content):,} bytes, more than the {limits.image_bytes:,} allowed; make it "
            "smaller",
        ), 0  # fmt: skip
    try:
        header = read_header(content)
    except HeaderError:
        return content, 0  # decoding says it better
    pixels = header.width * header.height
    if pixels > limits.pixels:
        return ImageError(
            name,
            f"{header.width} x {header.height} pixels, more than the {limits.pixels:,} allowed; "
            "make it smaller",
        ), 0  # fmt: skip
    return content, pixels


def _landmarks(fields: dict[str, Any], count: int) -> Sequence[list[float] | None] | None:
    value = fields.get("landmarks")
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count or not all(map(_is_landmarks, value)):
        raise RequestProblem(
            422, "malformed", f"landmarks: expected {count} of null or lists of 10 numbers"
        )
    return value


def _boxes(fields: dict[str, Any], count: int, most: int) -> list[list[Box] | None] | None:
    value = fields.get("boxes")
    if value is None:
        return None
    fits = isinstance(value, list) and len(value) == count and "landmarks" not in fields
    if not fits or not all(one is None or (isinstance(one, list) and one) for one in value):
        raise RequestProblem(
            422, "malformed", f"boxes: expected {count} of null or lists of boxes, and no landmarks"
        )
    every = [box for one in value for box in one or ()]
    if not all(_are_numbers(box, (4,)) for box in every):
        raise RequestProblem(
            422, "malformed", "boxes: expected left, top, width and height in pixels of each"
        )
    if len(every) > most:
        raise RequestProblem(413, "too_large", f"{len(every)} boxes; expected at most {most}")
    return [None if one is None else [tuple(box) for box in one] for one in value]


def _are_numbers(value: Any, counts: tuple[int, ...]) -> bool:
    return (
        isinstance(value, list)
        and len(value) in counts
        and all(type(one) in (int, float) and abs(one) < _LARGEST for one in value)
    )


def _is_landmarks(value: Any) -> bool:
    return value is None or _are_numbers(value, _POINTS)


def _metadata(fields: dict[str, Any]) -> dict[str, Any] | None:
    value = fields.get("metadata")
    if value is not None and not isinstance(value, dict):
        raise RequestProblem(422, "malformed", "metadata: expected a JSON object")
    return None if value is None else own_metadata(value)


def own_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return metadata of a user's.

    Raises:
        RequestProblem: it has keys that say where the image of a template lies.
    """
    taken = sorted(RESERVED & set(metadata))
    if taken:
        raise RequestProblem(
            422,
            "refused",
            f"metadata: {taken[0]!r} is a key that Arcwise itself writes; name it other",
        )
    return metadata
