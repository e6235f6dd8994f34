import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.data.containers.recordio.frames import LONGEST, MAGIC_BYTES, Damaged, frame, unframe

pieces = st.lists(st.one_of(st.just(MAGIC_BYTES), st.binary(max_size=9)), max_size=8)
payloads = pieces.map(b"".join)


def reader(data: bytes):
    return lambda position, length: data[position : position + length]


def part(flag: int, data: bytes, magic: bytes = b"\x0a\x23\xd7\xce") -> bytes:
    return magic + struct.pack("<I", flag << 29 | len(data)) + data


@pytest.mark.parametrize(
    ("payload", "written"),
    [
        (b"", part(0, b"")),
        (b"abcd", part(0, b"abcd")),
        (b"abcde", part(0, b"abcde") + bytes(3)),
        (b"\x0a\x23\xd7\xce", part(1, b"") + part(3, b"")),
        (b"abcd\x0a\x23\xd7\xcee", part(1, b"abcd") + part(3, b"e") + bytes(3)),
        (b"\x0a\x23\xd7\xce" * 2 + b"xy", part(1, b"") + part(2, b"") + part(3, b"xy") + bytes(2)),
        (b"ab\x0a\x23\xd7\xcecd", part(0, b"ab\x0a\x23\xd7\xcecd")),  # not at a multiple of 4
        (b"abcd\x0a\x23\xd7", part(0, b"abcd\x0a\x23\xd7") + bytes(1)),
    ],
)
def test_bytes_are_those_of_dmlc(payload: bytes, written: bytes):
    assert frame(payload) == written
    assert unframe(reader(written), len(written), 0)[::2] == (payload, len(written))


@given(st.lists(payloads, max_size=5))
def test_what_is_framed_is_read_again(written: list[bytes]):
    data = b"".join(map(frame, written))
    position, found = 0, []
    while position < len(data):
        payload, _, position = unframe(reader(data), len(data), position)
        found.append(payload)
    assert found == written


@given(payloads, st.data())
def test_every_truncation_is_damage(payload: bytes, drawn: st.DataObject):
    data = frame(payload)
    short = data[: drawn.draw(st.integers(0, len(data) - 1))]
    with pytest.raises(Damaged):
        unframe(reader(short), len(short), 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file ends before it, at 0 bytes"),
        (part(0, b"abcd", b"\x0a\x23\xd7\xcf"), "begins with 0a 23 d7 cf instead of 0a 23 d7 ce"),
        (part(3, b"abcd"), "has the flag 3, which does not fit here"),
        (part(5, b"abcd"), "has the flag 5"),
        (part(1, b"abcd") + part(0, b"abcd"), "at byte 12 has the flag 0"),
        (part(1, b"abcde") + bytes(3) + part(3, b""), "has 5 bytes, no multiple of 4"),
        (part(0, b"abc") + b"d", "says it has 3 bytes, but no zeros follow"),
        (part(0, b"abcd")[:-1], "says it has 4 bytes; the file ends after 3"),
        (part(0, b"abc"), "the file ends inside it"),
        (MAGIC_BYTES + b"\xff\xff\xff\x1f", "says it has 536,870,911 bytes; the file ends after 0"),
    ],
)
def test_damage_is_named(data: bytes, reason: str):
    with pytest.raises(Damaged, match=reason):
        unframe(reader(data), len(data), 0)


def test_a_length_is_not_believed_before_it_is_compared_with_the_file():
    asked = []

    def read(position: int, length: int) -> bytes:
        asked.append(length)
        return (MAGIC_BYTES + b"\xff\xff\xff\x1f" + bytes(40))[position : position + length]

    with pytest.raises(Damaged, match="the file ends after 40"):
        unframe(read, 48, 0)
    assert max(asked) == 8


def test_a_record_longer_than_29_bits_say_is_refused():
    class Long(bytes):
        def __len__(self) -> int:
            return LONGEST + 1

    with pytest.raises(Damaged, match="536,870,912 bytes; a RecordIO record holds at most"):
        frame(Long())


def test_parts_without_end_are_not_gathered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("arcwise.data.containers.recordio.frames.LONGEST", 20)
    data = part(1, b"abcd") + part(2, b"efgh") * 1000
    with pytest.raises(Damaged, match="its parts have more than 20 bytes"):
        unframe(reader(data), len(data), 0)
