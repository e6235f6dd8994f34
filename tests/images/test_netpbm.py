"""PGM and PPM mean the same grey, whatever number they call white and however they write it."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.errors import ImageError
from arcwise.images import decode


def netpbm(kind: str, numbers: list[int], width: int, maximum: int, head: str = "") -> bytes:
    """A file of one row, byte by byte."""
    start = f"{kind}\n{head}{width} 1\n{maximum}\n".encode()
    if kind in ("P2", "P3"):
        return start + " ".join(map(str, numbers)).encode() + b"\n"
    size = 1 if maximum < 256 else 2
    return start + b"".join(one.to_bytes(size, "big") for one in numbers)


@pytest.mark.parametrize("maximum", [1, 2, 15, 100, 127, 254, 255, 256, 1000, 4095, 65534])
@pytest.mark.parametrize("kinds", [("P2", "P5", 6), ("P3", "P6", 2)])
def test_the_maximum_is_white(kinds: tuple[str, str, int], maximum: int) -> None:
    plain, binary, width = kinds
    numbers = [0, 1, maximum // 3, maximum // 2, maximum - 1, maximum]
    images = [decode(netpbm(one, numbers, width, maximum), one) for one in (plain, binary)]
    assert (images[0] == images[1]).all()
    grey = images[1][0, :, 0] if width == 6 else images[1].reshape(-1)
    assert np.abs(grey - np.array(numbers) * 255 / maximum).max() <= 0.5


def test_of_16_bits_the_upper_byte_is_taken() -> None:
    for kind in ("P2", "P5"):
        image = decode(netpbm(kind, [0, 255, 256, 65535], 4, 65535), "x")
        assert image[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("head", ["# a comment\n", "#\n# two 9 9\n", "# Windows\r\n", " \t\n"])
def test_comments_are_no_numbers(head: str) -> None:
    assert decode(netpbm("P5", [0, 15], 2, 15, head), "x")[0, :, 0].tolist() == [0, 255]
    assert decode(netpbm("P2", [0, 15], 2, 15, head), "x")[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize(
    "data",
    [
        b"P5#one\n2#two\n1\n15\n\x00\x0f",
        b"P5\n2 1\n15#last\n\x00\x0f",
        b"P5\r\n2 1\r\n15\r\n\x00\x0f",
        b"P2\n2 1\n15\n0 # black\n15",
    ],
)
def test_a_comment_or_a_line_may_end_anywhere(data: bytes) -> None:
    assert decode(data, "x")[0, :, 0].tolist() == [0, 255]


def test_a_row_may_begin_like_a_comment() -> None:
    assert decode(b"P5\n2 1\n255\n#\n", "x")[0, :, 0].tolist() == [35, 10]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"P5\n2 1\n4095\n\0\1\0", "cut short"),
        (b"P2\n3 1\n15\n1 2", "2 of its 3"),
        (b"P3\n1 1\n15\n1 2", "2 of its 3"),
        (b"P2\n2 1\n15\n3 -1", "'-'"),
        (b"P2\n2 1\n15\n3 16", "16"),
        (b"P5\n2 1\n15\n\x03\x10", "16"),
        (b"P5\n2 1\n0\n\0\0", "maximum is 0"),
        (b"P6\n1 1\n65536\n\0\0\0\0\0\0", "65536"),
        (b"P5\n0 1\n15\n", "0 x 1"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n\0", "PAM"),
        (b"PF\n1 1\n-1.0\n\0\0\0\0\0\0\0\0\0\0\0\0", "PFM"),
        (b"Pf\n1 1\n-1.0\n\0\0\0\0", "PFM"),
    ],
)
def test_what_cannot_be_read_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        decode(data, "x")
