"""TIFF: the first directory, and whether the strips it points to are in the file."""

from __future__ import annotations

from struct import calcsize, error, unpack_from

from arcwise.images.headers.header import Header, HeaderError

_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _COLOURS, _SAMPLES, _EXTRA, _FORMAT = 256, 257, 258, 262, 277, 338, 339
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets, byte counts
_WANTED = {_WIDTH, _HEIGHT, _BITS, _COLOURS, _SAMPLES, _EXTRA, _FORMAT, *_STRIPS, *_TILES}
_CHANNELS = {0: 1, 1: 1, 2: 3}  # of white-is-zero, black-is-zero, RGB; a further one is alpha
_FLOAT, _MOST_BITS = 3, 16
_DEPTHS = (1, 8, 16)  # bits of grey and RGB that OpenCV reads
_MOST_ENTRIES, _MOST_STRIPS = 4096, 2**20  # a hostile file could claim billions


def read(data: bytes) -> Header:
    """The header of the first picture of a TIFF file whose strips or tiles are all there."""
    try:
        tags = _directory(data)
    except error:
        raise HeaderError("cut short: a TIFF that ends before its directory") from None
    if _WIDTH not in tags or _HEIGHT not in tags:
        raise HeaderError("damaged: a TIFF without a size")
    if tags.get(_FORMAT, (1,))[0] == _FLOAT:
        raise HeaderError("a TIFF of floating-point numbers; save it with 8 or 16 bits a channel")
    bits, colours = max(tags.get(_BITS, (8,))), tags.get(_COLOURS, (1,))[0]
    if bits > _MOST_BITS or (colours in _CHANNELS and bits not in _DEPTHS):
        raise HeaderError(f"a TIFF of {bits} bits a channel; save it with 8 or 16")
    for offsets, counts in (_STRIPS, _TILES):
        ends = map(sum, zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False))
        end = max(ends, default=0)
        if end > len(data):
            raise HeaderError(f"cut short: a TIFF with {len(data)} of at least {end} bytes")
    samples = tags.get(_SAMPLES, (1,))[0]
    alpha = samples == _CHANNELS.get(tags.get(_COLOURS, (1,))[0], samples) + 1
    premultiplied = alpha and max(tags.get(_BITS, (8,))) <= 8  # libtiff multiplies while reading
    return Header(tags[_WIDTH][0], tags[_HEIGHT][0], alpha, premultiplied=premultiplied)


def _directory(data: bytes) -> dict[int, tuple[int, ...]]:
    order = "<" if data[:1] == b"I" else ">"
    big = unpack_from(order + "H", data, 2)[0] == 43
    offset, counter, inline = ("Q", "Q", 8) if big else ("I", "H", 4)
    (start,) = unpack_from(order + offset, data, 8 if big else 4)
    (entries,) = unpack_from(order + counter, data, start)
    if entries > _MOST_ENTRIES:
        raise HeaderError(f"damaged: a TIFF with {entries} entries in its directory")
    tags: dict[int, tuple[int, ...]] = {}
    for index in range(entries):
        entry = start + calcsize("<" + counter) + index * (4 + 2 * inline)
        tag, kind, count = unpack_from(order + "HH" + offset, data, entry)
        if tag not in _WANTED or kind not in _TYPES:
            continue
        place = entry + 4 + inline
        if calcsize("<" + _TYPES[kind]) * count > inline:
            (place,) = unpack_from(order + offset, data, place)
        if count > _MOST_STRIPS:
            raise HeaderError(f"damaged: a TIFF tag with {count} values")
        tags[tag] = unpack_from(f"{order}{count}{_TYPES[kind]}", data, place)
    return tags
