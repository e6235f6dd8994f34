"""A pickle followed without unpickling: nothing is loaded, called or copied.

Pickle is a program for a small machine with a stack (CPython's pickletools.py says what each of its
instructions does). This machine knows those that lists, tuples, flags, whole numbers, bytes and
arrays of bytes need. Bytes are not read: only their place is kept. A restricted `pickle.Unpickler`
would build dictionaries and take the memory that a file states before it could refuse, and one
damaged image would take the others with it.
"""

from __future__ import annotations

import struct
from mmap import mmap
from typing import Any, NoReturn

from arcwise.data.containers.pack.stand_ins import (
    ESCAPED,
    QUOTED,
    RAW,
    STAND_INS,
    UTF8,
    Bytes,
    GlobalName,
    Refused,
    Text,
    call,
    kind_of,
    set_state,
    shown,
)
from arcwise.errors import ArcwiseError

_FREE_STEPS = 4096
_BYTES_A_STEP = 4  # on average, of steps that take memory: it stays in proportion to the file
_LONGEST = 256  # names, and lines that hold numbers


def follow(data: bytes | mmap, title: str) -> Any:
    """Return the value of a pickle: lists, tuples, flags, numbers, None, `Bytes`, `Text`, `Array`.

    Args:
        data: the file.
        title: what to call it in an error.

    Raises:
        ArcwiseError: it is damaged, or would load or build anything else, which is named.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except Refused as problem:
        raise ArcwiseError(
            f"{title}: {problem}; refused: a verification pack holds images and flags only"
        ) from None
    except (_Malformed, IndexError, KeyError, struct.error):  # stack, memo or file has no more
        raise ArcwiseError(
            f"{title}: damaged or cut off at byte {machine.at:,}; expected a verification pack, "
            "the pickle of a list of images and one of flags"
        ) from None


class _Malformed(Exception):
    """Not what a pickle has in this place."""


class _Machine:
    """The state of the machine; a method is an instruction, its argument what the table has.

    Attributes:
        at: the position of the instruction that is carried out.
    """

    def __init__(self, data: bytes | mmap) -> None:
        self.at = 0
        self._data = data
        self._next = 0
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what marks have put aside
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        data = self._data
        left = _FREE_STEPS + len(data) // _BYTES_A_STEP
        while left:
            self.at = self._next
            code = data[self.at]
            self._next += 1
            if code == _STOP:
                return self._end()
            if code not in _INSTRUCTIONS:
                raise _Malformed
            instruction, argument = _INSTRUCTIONS[code]
            instruction(self, argument)
            left -= code not in _REFER
        raise Refused("takes more steps than its images can need")

    def _end(self) -> Any:
        if self._next != len(self._data) or self._below or len(self._stack) != 1:
            raise _Malformed
        return self._stack[0]

    def skip(self, count: int) -> None:
        self._next += count

    def constant(self, value: Any) -> None:
        self._stack.append(value)

    def number(self, form: struct.Struct) -> None:
        self._stack.append(self._number(form))

    def long_number(self, _: None) -> None:
        length = self._number(_U1)
        if length > 8 or length > len(self._data) - self._next:
            raise _Malformed
        start, self._next = self._next, self._next + length
        value = int.from_bytes(self._data[start : self._next], "little", signed=True)
        self._stack.append(value)

    def written_number(self, _: None) -> None:
        line = self._line()
        self._stack.append(line == b"01" if line in (b"00", b"01") else _whole(line))

    def counted(self, argument: tuple[struct.Struct, type[Bytes | Text], int]) -> None:
        form, kind, coding = argument
        length = self._number(form)
        if length > len(self._data) - self._next:
            raise _Malformed
        self._stack.append(kind(self._next, length, coding))
        self._next += length

    def quoted(self, _: None) -> None:
        start, end = self._to_line_end()
        if end - start < 2 or self._data[start] != self._data[end - 1]:
            raise _Malformed
        self._stack.append(Bytes(start + 1, end - start - 2, QUOTED))

    def escaped(self, _: None) -> None:
        start, end = self._to_line_end()
        self._stack.append(Text(start, end - start, ESCAPED))

    def mark(self, _: None) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop(self, _: None) -> None:
        self._stack.pop()

    def pop_marked(self, _: None) -> None:
        self._marked()

    def new_list(self, _: None) -> None:
        self._stack.append([])

    def marked(self, kind: type[list | tuple]) -> None:
        items = self._marked()
        self._stack.append(kind(items))

    def last(self, count: int) -> None:
        if count > len(self._stack):
            raise _Malformed
        items = tuple(self._stack[-count:])
        self._stack[-count:] = [items]

    def append(self, _: None) -> None:
        item = self._stack.pop()
        self._extend([item])

    def append_marked(self, _: None) -> None:
        self._extend(self._marked())

    def put(self, form: struct.Struct | None) -> None:
        self._memo[self._place(form)] = self._stack[-1]

    def put_next(self, _: None) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, form: struct.Struct | None) -> None:
        self._stack.append(self._memo[self._place(form)])

    def load(self, _: None) -> None:
        self._load(self._line(), self._line())

    def load_named(self, _: None) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._load(self._content(module), self._content(name))

    def load_and_call(self, _: None) -> NoReturn:
        self._load(self._line(), self._line())
        raise Refused(f"would call {self._stack[-1].name}")

    def call(self, _: None) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        self._stack.append(call(function, arguments, self._content))

    def set_state(self, _: None) -> None:
        state = self._stack.pop()
        set_state(self._stack[-1], state, self._content)

    def refuse(self, what: str) -> NoReturn:
        raise Refused(what)

    def _number(self, form: struct.Struct) -> int:
        (value,) = form.unpack_from(self._data, self._next)
        self._next += form.size
        return value

    def _to_line_end(self, longest: int | None = None) -> tuple[int, int]:
        start, stop = self._next, len(self._data)
        end = self._data.find(b"\n", start, stop if longest is None else min(stop, start + longest))
        if end < 0:
            raise _Malformed
        self._next = end + 1
        return start, end

    def _line(self) -> bytes:
        start, end = self._to_line_end(_LONGEST)
        return self._data[start:end]

    def _place(self, form: struct.Struct | None) -> int:
        """Return a place in the memo."""
        return _whole(self._line()) if form is None else self._number(form)

    def _content(self, value: Any) -> bytes:
        if not isinstance(value, (Bytes, Text)) or value.length > _LONGEST:
            raise Refused(f"has {kind_of(value)} in the place of a name")
        return self._data[value.start : value.start + value.length]

    def _marked(self) -> list[Any]:
        """Return what lies above the last mark."""
        below = self._below.pop()
        items, self._stack = self._stack, below
        return items

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise _Malformed
        self._stack[-1].extend(items)

    def _load(self, module: bytes, name: bytes) -> None:
        full = f"{module.decode('utf-8', 'replace')}.{name.decode('utf-8', 'replace')}"
        if full not in STAND_INS:
            raise Refused(f"would load {shown(full)}")
        self._stack.append(GlobalName(full))


def _whole(line: bytes) -> int:
    digits = line.removesuffix(b"L")
    if not digits.removeprefix(b"-").isdigit() or len(digits) > 18:  # of 8 bytes
        raise _Malformed
    return int(digits)


_U1, _U2, _I4, _U4, _U8 = (struct.Struct(f"<{letter}") for letter in "BHiIQ")
_STOP = ord(".")
_REFER = frozenset(b"N\x88\x89hgj")  # to what is there already
_Entry = tuple[Any, Any]

_INSTRUCTIONS: dict[int, _Entry] = {
    0x80: (_Machine.skip, 1),  # protocol
    0x95: (_Machine.skip, 8),  # frame
    ord("N"): (_Machine.constant, None),
    0x88: (_Machine.constant, True),
    0x89: (_Machine.constant, False),
    ord(")"): (_Machine.constant, ()),
    ord("K"): (_Machine.number, _U1),
    ord("M"): (_Machine.number, _U2),
    ord("J"): (_Machine.number, _I4),
    0x8A: (_Machine.long_number, None),
    ord("I"): (_Machine.written_number, None),
    ord("L"): (_Machine.written_number, None),
    ord("C"): (_Machine.counted, (_U1, Bytes, RAW)),
    ord("B"): (_Machine.counted, (_U4, Bytes, RAW)),
    0x8E: (_Machine.counted, (_U8, Bytes, RAW)),
    0x96: (_Machine.counted, (_U8, Bytes, RAW)),  # a bytearray
    ord("U"): (_Machine.counted, (_U1, Bytes, RAW)),  # str of Python 2
    ord("T"): (_Machine.counted, (_U4, Bytes, RAW)),
    ord("S"): (_Machine.quoted, None),
    0x8C: (_Machine.counted, (_U1, Text, UTF8)),
    ord("X"): (_Machine.counted, (_U4, Text, UTF8)),
    0x8D: (_Machine.counted, (_U8, Text, UTF8)),
    ord("V"): (_Machine.escaped, None),
    ord("("): (_Machine.mark, None),
    ord("0"): (_Machine.pop, None),
    ord("1"): (_Machine.pop_marked, None),
    ord("]"): (_Machine.new_list, None),
    ord("l"): (_Machine.marked, list),
    ord("t"): (_Machine.marked, tuple),
    0x85: (_Machine.last, 1),
    0x86: (_Machine.last, 2),
    0x87: (_Machine.last, 3),
    ord("a"): (_Machine.append, None),
    ord("e"): (_Machine.append_marked, None),
    ord("p"): (_Machine.put, None),
    ord("q"): (_Machine.put, _U1),
    ord("r"): (_Machine.put, _U4),
    0x94: (_Machine.put_next, None),
    ord("g"): (_Machine.get, None),
    ord("h"): (_Machine.get, _U1),
    ord("j"): (_Machine.get, _U4),
    ord("c"): (_Machine.load, None),
    0x93: (_Machine.load_named, None),
    ord("i"): (_Machine.load_and_call, None),
    ord("R"): (_Machine.call, None),
    ord("b"): (_Machine.set_state, None),
    **{
        code: (_Machine.refuse, deed)
        for codes, deed in (
            (b"o\x81\x92", "would build an object"),
            (b"\x82\x83\x84", "would load an extension by its number"),
            (b"PQ", "would load a persistent object"),
            (b"\x97\x98", "would take a buffer from elsewhere"),
            (b"}dsu", "would build a dictionary"),
            (b"\x8f\x90\x91", "would build a set"),
            (b"FG", "would build a fraction"),
            (b"\x8b", "would build a number of more than 8 bytes"),
        )
        for code in codes
    },
}
"""Code → instruction and its argument."""
