import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from arcwise.data.containers.recordio.frames import Damaged
from arcwise.data.containers.recordio.image_header import RecordHeader, pack, unpack

floats = st.floats(width=32)
numbers = st.integers(0, 2**64 - 1)
vectors = npst.arrays(np.float32, st.integers(1, 5), elements=floats)


@given(st.one_of(floats, vectors), numbers, numbers, st.binary(max_size=40))
def test_what_is_packed_is_read_again(label, key, key2, data):
    header, found = unpack(pack(RecordHeader(label, key, key2), data))
    np.testing.assert_array_equal(header.label, label)
    assert np.ndim(header.label) == np.ndim(label)
    assert (header.id, header.id2, found) == (key, key2, data)


def test_bytes_are_those_of_mxnet():
    assert pack(RecordHeader(2.0, 7), b"jpeg") == struct.pack("<IfQQ", 0, 2, 7, 0) + b"jpeg"
    vector = pack(RecordHeader(np.float32([3, 4]), 7), b"jpeg")
    assert vector == struct.pack("<IfQQff", 2, 0, 7, 0, 3, 4) + b"jpeg"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (bytes(23), "holds 23 bytes; its header alone has 24"),
        (struct.pack("<IfQQ", 2**32 - 1, 0, 0, 0) + bytes(8), "announces 4,294,967,295 labels"),
        (struct.pack("<IfQQ", 2, 0, 0, 0) + bytes(7), "announces 2 labels, and has 31 bytes"),
    ],
)
def test_absurd_headers_are_damage(payload: bytes, reason: str):
    with pytest.raises(Damaged, match=reason):
        unpack(payload)
