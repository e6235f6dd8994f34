"""Verification packs as Python 2 and 3, NumPy 1 and 2 and all protocols of pickle write them."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

Pickled = Callable[[Sequence[bytes], Sequence[bool], int], bytes]


def plain(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    return pickle.dumps((list(pictures), list(same)), protocol)


def arrays(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    return pickle.dumps(([_array(one) for one in pictures], list(same)), protocol)


def columns(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    """As `cv2.imencode` of OpenCV 4 and older gives them."""
    return pickle.dumps([[_array(one)[:, None] for one in pictures], list(same)], protocol)


def rows(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    return pickle.dumps((tuple(_array(one)[None] for one in pictures), tuple(same)), protocol)


def numpy_flags(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    return pickle.dumps((list(pictures), [np.bool_(one) for one in same]), protocol)


def array_of_flags(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    return pickle.dumps((list(pictures), np.array(same, bool)), protocol)


def numpy_1(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    """Whichever NumPy is installed: the modules of the other are named as well."""
    data = arrays(pictures, [np.bool_(one) for one in same], protocol)
    data = re.sub(rb"c(numpy)\._?core\.(\w+\n)", rb"c\1.core.\2", data)
    return re.sub(rb"\x8c.(numpy)\._?core\.(multiarray|numeric)", _named("core"), data)


def numpy_2(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 4) -> bytes:
    data = arrays(pictures, [np.bool_(one) for one in same], protocol)
    data = re.sub(rb"c(numpy)\._?core\.(\w+\n)", rb"c\1._core.\2", data)
    return re.sub(rb"\x8c.(numpy)\._?core\.(multiarray|numeric)", _named("_core"), data)


def python_2(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 2) -> bytes:
    return _python_2((list(pictures), list(same)), min(protocol, 2))


def python_2_arrays(pictures: Sequence[bytes], same: Sequence[bool], protocol: int = 2) -> bytes:
    return _python_2(([_array(one) for one in pictures], list(same)), min(protocol, 2))


ALL: tuple[Pickled, ...] = (
    plain,
    arrays,
    columns,
    rows,
    numpy_flags,
    array_of_flags,
    numpy_1,
    numpy_2,
    python_2,
    python_2_arrays,
)


def _array(data: bytes) -> np.ndarray:
    return np.frombuffer(data, np.uint8).copy()


def _named(core: str) -> Callable[[re.Match[bytes]], bytes]:
    def replace(found: re.Match[bytes]) -> bytes:
        name = b"%s.%s.%s" % (found[1], core.encode(), found[2])
        return b"\x8c%c%s" % (len(name), name)

    return replace


class _Python2(pickle._Pickler):  # type: ignore[name-defined]
    """Text and bytes are both `str`, as they are there."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def save_str(self, value: str | bytes) -> None:
        data = value.encode() if isinstance(value, str) else value
        if not self.bin:
            self.write(b"S" + repr(data)[1:].encode() + b"\n")
        elif len(data) < 256:
            self.write(b"U" + bytes([len(data)]) + data)
        else:
            self.write(b"T" + len(data).to_bytes(4, "little") + data)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_str


def _python_2(value: object, protocol: int) -> bytes:
    file = io.BytesIO()
    _Python2(file, protocol).dump(value)
    return file.getvalue().replace(b"numpy._core", b"numpy.core")
