"""The parts of a form, in memory: nothing of an image is written to a disk on its way."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from arcwise.serving.problems import RequestProblem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# Broken forms are answered, not logged.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Part(NamedTuple):
    """One part of a form.

    Attributes:
        name: of the field.
        filename: of a file; None for a text.
        content: its bytes.
    """

    name: str
    filename: str | None
    content: bytes


async def read_form(request: Request, images: int, texts: int) -> list[Part]:
    """Return the parts of a form.

    Args:
        request: whose body it is.
        images: that it may have.
        texts: that may come with them.

    Raises:
        RequestProblem: it is broken, ends early, or has too many parts.
    """
    _, options = parse_options_header(request.headers["content-type"])
    form = _Form(images, texts)
    try:
        parser = MultipartParser(options.get(b"boundary", b""), form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
        parser.finalize()
    except FormParserError as problem:
        raise RequestProblem(400, "malformed", f"a broken form: {problem}"[:300]) from None
    if not form.whole:
        raise RequestProblem(400, "malformed", "a form that ends early")
    return form.parts


class _Form:
    """What the parser has found."""

    def __init__(self, images: int, texts: int) -> None:
        self.parts: list[Part] = []
        self.whole = False
        self._images, self._texts = images, texts
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value, self._content = bytearray(), bytearray(), bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """Return what the parser is to call."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_part_data": lambda data, start, end: self._content.extend(data[start:end]),
            "on_part_end": self._end,
            "on_end": self._ended,
        }

    def _begin(self) -> None:
        if len(self.parts) == self._images + self._texts:
            message = (
                f"a form of more than {len(self.parts)} parts; expected at most {self._images} "
                f"images at a time, and {self._texts} texts with them"
            )
            raise RequestProblem(413, "too_large", message)
        self._headers, self._content = {}, bytearray()

    def _header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _end(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise RequestProblem(400, "malformed", "a part of the form has no name")
        filename = options.get(b"filename")
        text = None if filename is None else filename.decode(errors="replace")
        name = options[b"name"].decode(errors="replace")
        self.parts.append(Part(name, text, bytes(self._content)))

    def _ended(self) -> None:
        self.whole = True
