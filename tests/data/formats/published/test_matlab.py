"""MATLAB files: what scipy writes is read, and damage never does more than raise."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from arcwise.data.formats.published import matlab
from arcwise.data.formats.published.matlab import read_variables
from arcwise.errors import ArcwiseError

NUMBERS = st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8", "i8", "u8"])
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)
NAMES = st.text("abcdefgh", min_size=1, max_size=8)


def packed(variables: dict[str, Any], compress: bool = False) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, do_compression=compress, long_field_names=True)
    return file.getvalue()


def cells(values: list[Any]) -> np.ndarray:
    found = np.empty((1, len(values)), object)
    for number, value in enumerate(values):
        found[0, number] = value
    return found


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    kind = np.dtype(draw(NUMBERS))
    data = draw(st.binary(max_size=5 * kind.itemsize))
    values = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind)
    return np.nan_to_num(values).reshape(1, -1)


@settings(deadline=None)
@given(arrays(), TEXT, st.lists(TEXT, min_size=1), st.dictionaries(NAMES, TEXT), st.booleans())
def test_what_was_written_is_read(
    numbers: np.ndarray, text: str, several: list[str], record: dict[str, str], compress: bool
) -> None:
    variables = {"numbers": numbers, "text": text, "several": cells(several)}
    if record:
        variables["record"] = record
    found = read_variables(packed(variables, compress), "a.mat")
    assert found["numbers"].tolist() == numbers.ravel().tolist()
    assert found["text"] == text
    assert found["several"] == several
    if record:
        assert found["record"] == [record]


@pytest.mark.parametrize("compress", [False, True])
def test_damage_raises_and_nothing_else(compress: bool) -> None:
    records = np.zeros((1, 3), [("name", object), ("number", object)])
    for number in range(3):
        records["name"][0, number], records["number"][0, number] = f"{number}.jpg", number
    whole = packed({"annotations": records, "class_names": cells(["a", "bcdefg"])}, compress)
    draw = random.Random(1)
    for cut in range(len(whole)):
        try:
            found = read_variables(whole[:cut], "a.mat")
        except ArcwiseError as error:
            assert str(error).startswith("a.mat: ")  # noqa: PT017 - one of two right answers
        else:
            assert len(found) < 2
    for place in range(len(whole)):
        for value in (0, 255, whole[place] ^ 1 << draw.randrange(8)):
            damaged = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                found = read_variables(damaged, "a.mat")
            except ArcwiseError as error:
                assert str(error).startswith("a.mat: ")  # noqa: PT017 - likewise
            else:
                assert len(found) <= 2


def element(kind: int, body: bytes) -> bytes:
    return struct.pack("<II", kind, len(body)) + body + bytes(-len(body) % 8)


def matrix(kind: int, count: int, *parts: bytes) -> bytes:
    flags, sizes = element(6, struct.pack("<II", kind, 0)), struct.pack("<ii", 1, count)
    return element(14, flags + element(5, sizes) + element(1, b"x") + b"".join(parts))


def file(*parts: bytes) -> bytes:
    return bytes(124) + b"\x00\x01IM" + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a MATLAB file"),
        (b"\x89HDF\r\n\x1a\n", r"version 7\.3; save it with -v7"),
        (file(element(5, b"")), "type 5 where a variable belongs"),
        (file(struct.pack("<II", 14, 2**31)), "2,147,483,648 bytes where 0 are left"),
        (file(b"\x0e\x00\x09\x00    "), "a small element of 9 bytes"),
        (file(matrix(1, 2**31 - 1)), "2,147,483,647 values where there is no room"),
        (file(matrix(6, 2**31 - 1, element(9, bytes(8)))), "1 numbers where 2,147,483,647"),
        (file(matrix(6, -1)), "without a size"),
        (file(matrix(6, 1)), "ends too early"),
        (file(matrix(2, 1, element(5, bytes(4)), element(1, b""))), "a struct without names"),
        (file(matrix(17, 1)), "of class 17; expected numbers, text, cells or structs"),
        (file(matrix(4, 1, element(16, b"\xff"))), "text that is none"),
        (file(matrix(4, 1, element(9, bytes(8)))), "where text belongs"),
        (file(matrix(1, 1, element(9, bytes(8)))), "type 9 where a value belongs"),
        (file(element(15, zlib.compress(bytes(9))[:-1])), "cut off"),
        (file(element(15, b"not zlib")), "a compressed variable is damaged"),
    ],
)
def test_hostile_files_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        read_variables(data, "a.mat")


def test_cells_may_not_be_nested_without_end() -> None:
    inner = matrix(6, 1, element(9, bytes(8)))
    for _ in range(2000):
        inner = matrix(1, 1, inner)
    with pytest.raises(ArcwiseError, match="too deep"):
        read_variables(file(inner), "a.mat")


def test_bombs_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "MOST", 10_000)
    bomb = element(15, zlib.compress(matrix(6, 2**14, element(9, bytes(2**17)))))
    with pytest.raises(ArcwiseError, match="over 10,000 bytes"):
        read_variables(file(bomb), "a.mat")
