"""BMP and TIFF: the size of their rows, or where these lie, says how long the file must be."""

from __future__ import annotations

from struct import calcsize, error, unpack_from

from arcwise.images.headers.header import Header, HeaderError

_BMP_PLAIN = (0, 3, 6)  # no compression; with colour masks


def read_bmp(data: bytes) -> Header:
    """Return the header of a BMP file that holds all its rows."""
    offset, header_size = unpack_from("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: rows from the top
    if width <= 0 or not height:
        raise HeaderError(f"damaged: a BMP of {width} x {height} pixels")
    if compression in _BMP_PLAIN:
        expected = offset + (width * bits + 31) // 32 * 4 * height
        if expected > len(data):
            raise HeaderError(f"cut short: a BMP with {len(data)} of its {expected} bytes")
    return Header(width, height)


_TIFF_TYPES = {1: "B", 2: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _COLOURS, _SAMPLES, _EXTRA, _FORMAT = 256, 257, 258, 262, 277, 338, 339
_STRIPS, _TILES = (273, 279), (324, 325)  # offsets, byte counts
_TAGS = {_WIDTH, _HEIGHT, _BITS, _COLOURS, _SAMPLES, _EXTRA, _FORMAT, *_STRIPS, *_TILES}
_CHANNELS = {0: 1, 1: 1, 2: 3}  # of white-is-zero, black-is-zero, RGB; a further one is alpha
_FLOAT, _MOST_BITS = 3, 16
_DEPTHS = (1, 8, 16)  # bits of grey and RGB that OpenCV reads
_MOST_ENTRIES, _MOST_STRIPS = 4096, 2**20  # a hostile file could claim billions


def read_tiff(data: bytes) -> Header:
    """Return the header of the first image of a TIFF file whose strips or tiles are all there."""
    try:
        tags = _tiff_directory(data)
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


def _tiff_directory(data: bytes) -> dict[int, tuple[int, ...]]:
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
        if tag not in _TAGS or kind not in _TIFF_TYPES:
            continue
        place = entry + 4 + inline
        if calcsize("<" + _TIFF_TYPES[kind]) * count > inline:
            (place,) = unpack_from(order + offset, data, place)
        if count > _MOST_STRIPS:
            raise HeaderError(f"damaged: a TIFF tag with {count} values")
        tags[tag] = unpack_from(f"{order}{count}{_TIFF_TYPES[kind]}", data, place)
    return tags
