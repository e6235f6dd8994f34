"""HEIF and what is built like it (HEIC, AVIF): boxes within boxes (ISO/IEC 14496-12, 23008-12)."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

from arcwise.images.headers.header import Header, HeaderError

_KINDS = {
    "AVIF": (b"avif", b"avis"),
    "HEIC": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"),
    "HEIF": (b"mif1", b"msf1", b"mif2"),
}
_ALPHA = b":auxiliary:alpha\0"
_UPRIGHT: dict[tuple[int, int | None], int] = {  # quarter turns to the left, mirror → EXIF's
    (0, None): 1, (0, 1): 2, (2, None): 3, (0, 0): 4, (1, 0): 5, (3, None): 6, (3, 0): 7,
    (1, None): 8, (2, 1): 4, (2, 0): 2, (1, 1): 7, (3, 1): 5,
}  # fmt: skip


class _Box(NamedTuple):
    kind: bytes
    start: int  # of its content
    end: int


def heif_kind(data: bytes) -> str | None:
    """Return what the brands in a file say it is, such as "HEIC"; None for other files."""
    if data[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(data[:4], "big"), 512)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, length, 4))]
    return next((name for name, some in _KINDS.items() if {*some} & {*brands}), None)


def read_heif(data: bytes) -> Header:
    """Return the header of the primary image of a file that is as long as its boxes say."""
    top = list(_boxes(data, 0, len(data)))
    meta = _only(data, top, b"meta")
    inside = list(_boxes(data, meta.start + 4, meta.end))
    primary = _number(data, _only(data, inside, b"pitm"))
    properties = list(_boxes(data, *_only(data, inside, b"iprp")[1:]))
    every = list(_boxes(data, *_only(data, properties, b"ipco")[1:]))
    width, height = 0, 0
    turns: int = 0
    mirror: int | None = None
    for index in _of_item(data, _only(data, properties, b"ipma"), primary):
        if not 0 < index <= len(every):
            continue
        box = every[index - 1]
        if box.kind == b"ispe":
            width, height = unpack_from(">II", data, box.start + 4)
        elif box.kind == b"irot":
            turns = data[box.start] & 3
        elif box.kind == b"imir":
            mirror = data[box.start] & 1
    if not width or not height:
        raise HeaderError(f"damaged: {heif_kind(data)} without a size")
    alpha = any(box.kind == b"auxC" and _ALPHA in data[box.start : box.end] for box in every)
    return Header(width, height, alpha, _UPRIGHT[turns, mirror])


def _boxes(data: bytes, start: int, end: int) -> Iterator[_Box]:
    while start < end:
        size, name = unpack_from(">I4s", data, start)
        content = start + 8
        if size == 1:
            (size,) = unpack_from(">Q", data, content)
            content += 8
        stop = end if size == 0 else start + size
        if stop < content:
            raise HeaderError(f"damaged: {heif_kind(data)} with a box of {size} bytes")
        if stop > end:
            raise HeaderError(
                f"cut short: {heif_kind(data)} with {len(data)} of at least {stop} bytes"
            )
        yield _Box(name, content, stop)
        start = stop


def _only(data: bytes, boxes: list[_Box], name: bytes) -> _Box:
    only = next((box for box in boxes if box.kind == name), None)
    if only is None:
        raise HeaderError(
            f"damaged or cut short: {heif_kind(data)} without a box {name.decode()!r}"
        )
    return only


def _number(data: bytes, box: _Box) -> int:
    return unpack_from(">I" if data[box.start] else ">H", data, box.start + 4)[0]


def _of_item(data: bytes, box: _Box, item: int) -> list[int]:
    """Return the numbers of an item's properties, counted from 1."""
    wide = data[box.start + 3] & 1
    form = ">IB" if data[box.start] else ">HB"
    (items,) = unpack_from(">I", data, box.start + 4)
    at = box.start + 8
    for _ in range(items):
        number, count = unpack_from(form, data, at)
        at += 5 if data[box.start] else 3
        if number == item:
            numbers = unpack_from(f">{count}{'H' if wide else 'B'}", data, at)
            return [one & (0x7FFF if wide else 0x7F) for one in numbers]
        at += count * (2 if wide else 1)
    return []
