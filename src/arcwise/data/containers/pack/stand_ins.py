"""The values that a followed pickle may hold, and stand-ins for the functions it may name."""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

RAW, QUOTED, UTF8, ESCAPED = range(4)
"""How bytes are written: as they are; as `repr` without its quotes (Python 2, protocol 0); as text
of the characters 0 to 255, in UTF-8 or with escapes (Python 3, protocols 0 to 2)."""

_BYTE, _FLAG = "u1", "b1"
_LATIN = (b"latin1", b"latin-1", b"iso-8859-1")


class Refused(Exception):
    """The pickle does what no pack needs; says what."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes in the file, not read yet."""

    start: int
    length: int
    coding: int


@dataclass(frozen=True, slots=True)
class Text:
    """Text in the file, not read yet."""

    start: int
    length: int
    coding: int


@dataclass(slots=True)
class Array:
    """A NumPy array in one dimension.

    Attributes:
        kind: "u1" for bytes, "b1" for flags.
        size: how many.
        data: them; None until the array has got its state.
    """

    kind: str = ""
    size: int = 0
    data: Bytes | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A NumPy dtype of one byte."""

    name: str


@dataclass(frozen=True, slots=True)
class GlobalName:
    """A function or type that a pickle named."""

    name: str


Content = Callable[[Any], bytes]
"""Short bytes or text → what the file has there; refuses anything else."""


def decoded(data: bytes, coding: int) -> bytes:
    """Return the bytes that the file holds in some coding.

    Raises:
        ValueError: it does not.
    """
    if coding == RAW:
        return data
    if coding == QUOTED:
        return codecs.escape_decode(data)[0]
    text = data.decode("utf-8" if coding == UTF8 else "raw-unicode-escape")
    return text.encode("latin-1")


def call(function: Any, arguments: Any, content: Content) -> Any:
    """Return what a function that a pickle named returns."""
    if not isinstance(function, GlobalName) or not isinstance(arguments, tuple):
        raise Refused(f"would call {kind_of(function)}")
    try:
        return STAND_INS[function.name](content, *arguments)
    except TypeError:  # not with as many arguments
        raise Refused(f"would call {function.name} with {len(arguments)} arguments") from None


def set_state(target: Any, state: Any, content: Content) -> None:
    """Give an array or a dtype the state that a pickle has for it."""
    if isinstance(target, Kind) and isinstance(state, tuple):
        if any(isinstance(one, (tuple, list)) for one in state):
            raise Refused("would build a NumPy dtype with fields")
    elif isinstance(target, Array) and isinstance(state, tuple) and len(state) in (4, 5):
        shape, kind, _, data = state[-4:]
        filled = _from_buffer(content, data, kind, shape)
        target.kind, target.size, target.data = filled.kind, filled.size, filled.data
    else:
        raise Refused(f"would set the state of {kind_of(target)}")


def _reconstruct(_: Content, base: Any, shape: Any, kind: Any) -> Array:
    if base != GlobalName("numpy.ndarray"):
        raise Refused(f"would build {kind_of(base)} as an array")
    return Array()


def _dtype(content: Content, name: Any, align: Any = None, copy: Any = None) -> Kind:
    kind = content(name).lstrip(b"|").decode("latin-1")
    if kind not in (_BYTE, _FLAG):
        raise Refused(f"would build an array of {shown(kind)}, not of bytes (u1)")
    return Kind(kind)


def _from_buffer(
    _: Content, data: Any, kind: Any, shape: Any, order: Any = None, axes: Any = None
) -> Array:
    if not isinstance(kind, Kind) or not isinstance(data, Bytes):
        raise Refused(f"would build an array of {kind_of(data)}")
    if not isinstance(shape, tuple) or not 1 <= len(shape) <= 4:
        raise Refused("would build an array without a shape")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise Refused("would build an array of a shape that is no shape")
    if sum(side != 1 for side in shape) > 1:
        raise Refused(f"would build an array of shape {shape}, not the bytes of a file")
    return Array(kind.name, math.prod(shape), data)


def _scalar(content: Content, kind: Any, value: Any) -> bool:
    if kind != Kind(_FLAG) or not isinstance(value, Bytes):
        raise Refused(f"would build a NumPy number of {kind_of(kind)}")
    try:
        flag = decoded(content(value), value.coding)
    except ValueError:
        flag = b""
    if flag not in (b"\0", b"\1"):
        raise Refused("would build a NumPy flag that is neither true nor false")
    return flag == b"\1"


def _encode(content: Content, text: Any, coding: Any) -> Bytes:
    if not isinstance(text, Text) or content(coding).lower() not in _LATIN:
        raise Refused(f"would encode {kind_of(text)}")
    return Bytes(text.start, text.length, text.coding)


def _no_bytes(_: Content) -> Bytes:
    return Bytes(0, 0, RAW)


def _ndarray(_: Content, *arguments: Any) -> Array:
    raise Refused("would call numpy.ndarray")


STAND_INS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _from_buffer,
    "numpy._core.numeric._frombuffer": _from_buffer,
    "numpy.ndarray": _ndarray,
    "numpy.dtype": _dtype,
    "_codecs.encode": _encode,
    "__builtin__.bytes": _no_bytes,
    "builtins.bytes": _no_bytes,
}
"""The only names a pickle may load, each with what is called in its place."""


def shown(name: str) -> str:
    """Return a name from the file, fit to be printed."""
    return (name if name.isprintable() and name.isascii() else ascii(name))[:100]


def kind_of(value: Any) -> str:
    """Return what a value is, for an error message."""
    if isinstance(value, GlobalName):
        return value.name
    if isinstance(value, (Array, Kind)):
        return "a NumPy array" if isinstance(value, Array) else f"a NumPy dtype {value.name}"
    return type(value).__name__.lower()
